"""The tables of ``shapes``: base manifest, web manifest and votes, made anew from the ids alone.

    python -m cnlw_tools.sources.shapes FOLDER

writes them below a folder as they lie in the repository. The arithmetic is that of IEEE 754 and the
options of the Parquet files are fixed, so one version of pyarrow always writes the same bytes.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cnlw_tools.prng import uniform
from cnlw_tools.sources.shapes.chance import id_keys
from cnlw_tools.sources.shapes.drawings import CLASSES
from cnlw_tools.sources.shapes.ids import TRAIN, base_ids, web_ids
from cnlw_tools.sources.shapes.votes import votes
from cnlw_tools.sources.shapes.web import find

MANIFEST = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("uri", pa.string()),
        pa.field("sha256", pa.string()),
    ]
)
WEB_MANIFEST = pa.schema(
    [
        *MANIFEST,
        pa.field("query", pa.string()),
        pa.field("search", pa.string()),
        pa.field("rank", pa.int32()),
    ]
)
T = TypeVar("T")
TEXT = 0.82  # share of the candidates found by a search for the word; the rest by a search for similar images
LATE = {
    "class": 0.0,
    "lookalike": 0.3,
    "related": 0.5,
    "poster": 0.4,
    "collage": 0.4,
    "blank": 0.7,
}  # further down


def base_manifest() -> pa.Table:
    """Return the 6000 base images: 500 for training and 100 for validation a class."""
    ids = [base_ids(name) for name in CLASSES]
    split = [["train" if i < TRAIN else "validation" for i in range(len(row))] for row in ids]
    n = sum(map(len, ids))
    return pa.table(
        [_flat(ids), _labels(ids), _flat(split), [None] * n, [None] * n], schema=MANIFEST
    )


def web_manifest() -> pa.Table:
    """Return the candidates of all classes, with the search that found each and its rank there."""
    ids = [web_ids(name) for name in CLASSES]
    search = [_searches(row) for row in ids]
    rank = [_ranks(name, *rows) for name, *rows in zip(CLASSES, ids, search, strict=True)]
    uri = [[f"https://images.example/{i.split('-')[0]}/{i}.jpg" for i in row] for row in ids]
    query = [[name] * len(row) for name, row in zip(CLASSES, ids, strict=True)]
    flat = [
        _flat(ids),
        _labels(ids),
        ["web"] * sum(map(len, ids)),
        _flat(uri),
        [None] * sum(map(len, ids)),
    ]
    return pa.table([*flat, _flat(query), _flat(search), _flat(rank)], schema=WEB_MANIFEST)


def vote_table() -> pa.Table:
    """Return all votes on all candidates."""
    ids = [web_ids(name) for name in CLASSES]
    kinds = [
        find(image_id, name).kind
        for name, row in zip(CLASSES, ids, strict=True)
        for image_id in row
    ]
    return votes(_flat(ids), np.array(_labels(ids), np.int32), kinds)


def write(folder: Path) -> None:
    """Write all tables below a folder: ``manifests/shapes`` and ``annotations/shapes``."""
    manifests, annotations = folder / "manifests" / "shapes", folder / "annotations" / "shapes"
    for path in (manifests, annotations):
        path.mkdir(parents=True, exist_ok=True)
    _store(base_manifest(), manifests / "base.parquet")
    _store(web_manifest(), manifests / "web.parquet")
    _store(vote_table(), annotations / "votes.parquet")
    lines = ["label,name", *(f"{label},{name}" for label, name in enumerate(CLASSES)), ""]
    (manifests / "classes.csv").write_text("\n".join(lines), encoding="utf-8", newline="\n")


def _store(table: pa.Table, path: Path) -> None:
    front = {name: "DELTA_BYTE_ARRAY" for name in ("image_id", "uri") if name in table.column_names}
    rest = [name for name in table.column_names if name not in front]
    pq.write_table(
        table, path, version="2.6", compression="zstd", compression_level=19, use_dictionary=rest,
        column_encoding=front, write_statistics=False, store_schema=True,
    )  # fmt: skip


def _searches(ids: list[str]) -> list[str]:
    """Search for the word or for similar images: exact shares, for ids in the order of one number each."""
    order = np.argsort(uniform(id_keys(ids), 1), kind="stable")
    text = np.zeros(len(ids), bool)
    text[order[: round(TEXT * len(ids))]] = True
    return ["text" if yes else "image" for yes in text]


def _ranks(name: str, ids: list[str], search: list[str]) -> list[int]:
    """Number the results of either search from 1; what is wrong comes late."""
    late = np.array([LATE[find(image_id, name).kind] for image_id in ids])
    score, by = uniform(id_keys(ids), 2) + late, np.array(search)
    rank = np.zeros(len(ids), np.int32)
    for kind in ("text", "image"):
        rows = np.flatnonzero(by == kind)
        rank[rows[np.argsort(score[rows], kind="stable")]] = np.arange(1, len(rows) + 1)
    return [int(r) for r in rank]


def _labels(rows: list[list[str]]) -> list[int]:
    return [label for label, row in enumerate(rows) for _ in row]


def _flat(rows: Iterable[Iterable[T]]) -> list[T]:
    return [cell for row in rows for cell in row]
