"""The tables of ``shapes``: base manifest, web manifest and votes, made from the ids alone.

    python -m cnlw_tools.sources.shapes FOLDER

writes them below a folder as they lie in the repository. The arithmetic is that of IEEE 754 and the
options of the Parquet files are fixed, so one version of pyarrow always writes the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools.prng import uniform
from cnlw_tools.sources.shapes.drawings import CLASSES
from cnlw_tools.sources.shapes.ids import N_BASE, N_TRAIN, N_VALIDATION, N_WEB, base_ids, web_ids
from cnlw_tools.sources.shapes.rng import image_keys
from cnlw_tools.sources.shapes.votes import make_votes
from cnlw_tools.sources.shapes.web import candidate_content

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
TEXT_SHARE = 0.82  # of the candidates, found by a search for the word; the others by image search
LATENESS = {  # how much further down in the results each kind of candidate comes
    "class": 0.0,
    "lookalike": 0.3,
    "related": 0.5,
    "poster": 0.4,
    "collage": 0.4,
    "blank": 0.7,
}

# Random streams of the tables
SEARCH_STREAM = 1
RANK_STREAM = 2


def base_manifest() -> pa.Table:
    """Return the 6000 base images: 500 for training and 100 for validation per class."""
    ids = _base_ids()
    splits_of_class = ["train"] * N_TRAIN + ["validation"] * N_VALIDATION
    unknown = [None] * len(ids)
    columns = [
        ids,
        _labels(N_BASE),
        splits_of_class * len(CLASSES),
        unknown,
        unknown,
    ]
    return pa.table(columns, schema=MANIFEST)


def web_manifest() -> pa.Table:
    """Return the candidates of all classes, with the search that found each and its rank there."""
    uris: list[str] = []
    queries: list[str] = []
    searches: list[str] = []
    ranks: list[int] = []
    for class_name in CLASSES:
        ids = web_ids(class_name)
        searches_of_class = _choose_searches(ids)
        uris += [f"https://images.example/{class_name}/{image_id}.jpg" for image_id in ids]
        queries += [class_name] * N_WEB
        searches += searches_of_class
        ranks += _rank_results(class_name, ids, searches_of_class)
    n_candidates = len(queries)
    columns = [
        _web_ids(),
        _labels(N_WEB),
        ["web"] * n_candidates,
        uris,
        [None] * n_candidates,
        queries,
        searches,
        ranks,
    ]
    return pa.table(columns, schema=WEB_MANIFEST)


def vote_table() -> pa.Table:
    """Return all votes on all candidates."""
    kinds: list[str] = []
    for class_name in CLASSES:
        kinds += _kinds(class_name, web_ids(class_name))
    return make_votes(_web_ids(), np.array(_labels(N_WEB), np.int32), kinds)


def write_tables(folder: Path) -> None:
    """Write all tables below a folder: ``manifests/shapes`` and ``annotations/shapes``."""
    manifests = folder / "manifests" / "shapes"
    annotations = folder / "annotations" / "shapes"
    manifests.mkdir(parents=True, exist_ok=True)
    annotations.mkdir(parents=True, exist_ok=True)
    _write_parquet(base_manifest(), manifests / "base.parquet")
    _write_parquet(web_manifest(), manifests / "web.parquet")
    _write_parquet(vote_table(), annotations / "votes.parquet")
    lines = ["label,name"]
    lines += [f"{label},{class_name}" for label, class_name in enumerate(CLASSES)]
    text = "\n".join([*lines, ""])
    (manifests / "classes.csv").write_text(text, encoding="utf-8", newline="\n")


def _write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table in few bytes: neighbouring ids and uris share most of their characters."""
    encodings = {}
    dictionary_columns = []
    for name in table.column_names:
        if name in ("image_id", "uri"):
            encodings[name] = "DELTA_BYTE_ARRAY"
        else:
            dictionary_columns.append(name)
    pq.write_table(
        table,
        path,
        version="2.6",
        compression="zstd",
        compression_level=19,
        use_dictionary=dictionary_columns,
        column_encoding=encodings,
        write_statistics=False,
        store_schema=True,
    )


def _choose_searches(ids: Sequence[str]) -> list[str]:
    """Return the search that found each candidate, ``text`` or ``image``, in exact shares."""
    order = np.argsort(uniform(image_keys(ids), SEARCH_STREAM), kind="stable")
    n_text = round(TEXT_SHARE * len(ids))
    searches = ["image"] * len(ids)
    for row in order[:n_text]:
        searches[row] = "text"
    return searches


def _rank_results(class_name: str, ids: Sequence[str], searches: Sequence[str]) -> list[int]:
    """Return the ranks of the candidates of a class among the results of their search, from 1.

    Wrong candidates come later.
    """
    lateness = np.array([LATENESS[kind] for kind in _kinds(class_name, ids)])
    score = uniform(image_keys(ids), RANK_STREAM) + lateness
    search_of_row = np.array(searches)
    ranks: NDArray[np.int32] = np.zeros(len(ids), np.int32)
    for search in ("text", "image"):
        rows = np.flatnonzero(search_of_row == search)
        best_first = rows[np.argsort(score[rows], kind="stable")]
        ranks[best_first] = np.arange(1, len(rows) + 1)
    return [int(rank) for rank in ranks]


def _kinds(class_name: str, ids: Sequence[str]) -> list[str]:
    """Return what kind of thing each candidate of a class shows."""
    return [candidate_content(image_id, class_name).kind for image_id in ids]


def _base_ids() -> list[str]:
    return [image_id for class_name in CLASSES for image_id in base_ids(class_name)]


def _web_ids() -> list[str]:
    return [image_id for class_name in CLASSES for image_id in web_ids(class_name)]


def _labels(n_per_class: int) -> list[int]:
    """Return the label of each image, class by class."""
    labels: list[int] = []
    for label in range(len(CLASSES)):
        labels += [label] * n_per_class
    return labels
