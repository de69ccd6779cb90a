"""The four tables that cross the borders, and the one way in for each: read, cast, check.

Every complaint names the file, the column, the first bad row (counted from 0) and the remedy.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools.dataset import table_io
from cnlw_tools.files import atomic_write
from cnlw_tools.recipe.strict import parse_json, read_dataclass

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

INFO = b"cnlw"  # key of the Parquet metadata
STRING = pa.string()
MANIFEST = pa.schema(
    [
        pa.field("image_id", STRING, nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field(
            "split", STRING, nullable=False
        ),  # train | validation ... | probe | verified | web
        pa.field("uri", STRING),
        pa.field(
            "sha256", STRING
        ),  # of the image as its source gives it: the file, or the RGB pixels
    ]
)
VOTES = pa.schema(
    [
        pa.field("image_id", STRING, nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("annotator", STRING),
        pa.field("correct", pa.bool_()),  # does the image show the label? null: unsure
        pa.field("at", pa.timestamp("us", "UTC")),
    ]
)
PLAN = pa.schema(
    [
        pa.field("image_id", STRING, nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("clean_label", pa.int32()),  # null where nobody knows: a wrong web image
        pa.field("origin", STRING, nullable=False),  # base | web | other | white
        pa.field("replaces", STRING),  # the image that lost the slot
        pa.field("is_noisy", pa.bool_(), nullable=False),
        pa.field("split", STRING, nullable=False),
    ]
)
RUNS = pa.schema(
    [
        pa.field("run", STRING, nullable=False),
        pa.field("dataset", STRING, nullable=False),
        pa.field("config", STRING, nullable=False),
        pa.field("method", STRING, nullable=False),
        pa.field("options", STRING, nullable=False),  # JSON
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("metric", STRING, nullable=False),
        pa.field("value", pa.float64()),
    ]
)
OFFICIAL = pa.schema(
    [
        pa.field("noise", STRING, nullable=False),
        pa.field("level", pa.int32(), nullable=False),  # percent, as the list's name says
        pa.field("image_id", STRING, nullable=False),
        pa.field("label", pa.int32(), nullable=False),
    ]
)
CLASSES = pa.schema(
    [pa.field("label", pa.int32(), nullable=False), pa.field("name", STRING, nullable=False)]
)
SPLITS = r"^(train|probe|verified|(validation|test)(_[a-z0-9_]+)?)$"
SPLITS_SAID = "train, validation, test (the last two also with _NAME), probe, verified"
NOISY = ("train", "verified")  # the splits that noise may fall on
ORIGINS = ("base", "web", "other", "white")


def read_classes(path: Path) -> tuple[str, ...]:
    """Return the class names in label order.

    Raises:
        ValueError: labels are not 0, 1, 2 ... in order, or a name comes twice
    """
    table = table_io.load(path, CLASSES)
    if not len(table):
        raise ValueError(f"{path}: there is no class: add a row for each")
    labels = table["label"].to_numpy()
    table_io.first(
        path,
        "label",
        labels != np.arange(len(labels)),
        labels,
        "labels must count 0, 1, 2 ... in row order",
    )
    table_io.distinct(path, table, ["name"], "give each class a name of its own")
    return tuple(table["name"].to_pylist())


def read_manifest(path: Path, classes: int, web: bool = False) -> pa.Table:
    """Return a manifest: one row an image, or one row an image and label in a web manifest.

    Raises:
        ValueError: a wrong column or type, a label out of range, a duplicate key, a split of the other kind
    """
    return check_manifest(table_io.load(path, MANIFEST), path, classes, web)


def check_manifest(table: pa.Table, path: Path | str, classes: int, web: bool = False) -> pa.Table:
    """Return the manifest as it is, if it is one; ``path`` is what the errors call it."""
    _labels(path, table, classes)
    split = table["split"]
    wrong = pc.invert(pc.match_substring_regex(split, "^web$" if web else SPLITS))
    remedy = (
        "a web manifest holds the split 'web' and no other"
        if web
        else f"the split 'web' belongs in web.parquet; others are {SPLITS_SAID}"
    )
    table_io.first(path, "split", wrong.to_numpy(), split, remedy)
    table_io.distinct(
        path, table, ["image_id", "label"] if web else ["image_id"], "keep one row of each"
    )
    if web and "dead" in table.column_names:
        dead = table_io.cast(path, pa.field("dead", pa.bool_(), nullable=False), table["dead"])
        table = table.set_column(table.column_names.index("dead"), "dead", dead)
    return table


def read_votes(path: Path, web: pa.Table) -> pa.Table:
    """Return the votes on the candidates of a web manifest, one row a vote.

    Raises:
        ValueError: a wrong column or type, a vote for a candidate that is not in the manifest, two votes of
            one annotator on one candidate
    """
    return check_votes(table_io.load(path, VOTES), path, web)


def check_votes(table: pa.Table, path: Path | str, web: pa.Table) -> pa.Table:
    """Return votes as they are, if they are some on these candidates; ``path`` is what the errors call them."""
    on_candidates(table, path, web)
    named = np.flatnonzero(table["annotator"].is_valid().to_numpy())
    table_io.distinct(
        path,
        table,
        ["image_id", "label", "annotator"],
        "keep one vote of an annotator on a candidate",
        named,
    )
    return table


def on_candidates(table: pa.Table, path: Path | str, web: pa.Table) -> pa.Table:
    """Return votes as they are, if all are on these candidates; of one annotator there may be several on one."""
    known = np.isin(*_candidates(table, web))
    table_io.first(
        path,
        "image_id",
        ~known,
        _pairs(table),
        "no such image_id and label in the web manifest: add or drop it",
    )
    return table


def read_plan(path: Path) -> pa.Table:
    """Return a plan with its metadata.

    Raises:
        ValueError: a wrong column or type, an unknown origin, a label below 0
    """
    table = table_io.load(path, PLAN)
    _labels(path, table, 1 << 31)
    unknown = pc.invert(pc.is_in(table["origin"], pa.array(ORIGINS)))
    table_io.first(
        path, "origin", unknown.to_numpy(), table["origin"], f"there are {', '.join(ORIGINS)}"
    )
    return table


def read_official(path: Path, classes: int) -> pa.Table:
    """Return published splits, one row an image of a list.

    Raises:
        ValueError: a wrong column or type, a label out of range, or an image twice in a list
    """
    return check_official(table_io.load(path, OFFICIAL), path, classes)


def check_official(table: pa.Table, path: Path | str, classes: int) -> pa.Table:
    """Return published splits as they are, if they are some; ``path`` is what the errors call them."""
    _labels(path, table, classes)
    table_io.distinct(
        path, table, ["noise", "level", "image_id"], "keep one row of an image in a list"
    )
    return table


def read_runs(path: Path) -> pa.Table:
    """Return what training measured, one row a number.

    Raises:
        ValueError: a wrong column or type, or one number twice
    """
    table = table_io.load(path, RUNS)
    table_io.distinct(
        path, table, ["run", "epoch", "metric"], "keep one value of a metric a run and epoch"
    )
    return table


def write(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet, whole or not at all; the same table gives the same bytes."""
    with atomic_write(path) as draft:
        pq.write_table(table, draft, compression="zstd", write_page_index=True)


def write_csv(table: pa.Table, path: Path) -> None:
    """Write a small table as CSV, whole or not at all."""
    with atomic_write(path) as draft:
        pacsv.write_csv(table, draft, pacsv.WriteOptions(quoting_style="needed"))


@dataclass(frozen=True, slots=True)
class ManifestInfo:
    """What a base manifest says about itself."""

    source: str = ""  # the source that reads its images; none: the one of the dataset's name


def read_info(cls: type[T], table: pa.Table, source: str, remedy: str = "") -> T:
    """Return what a table's file says about it: JSON in the Parquet metadata, as a dataclass.

    Args:
        cls: the dataclass
        table: with the metadata of its file
        source: what the errors call it
        remedy: ends the errors

    Raises:
        ValueError: it says something that the dataclass has no place for, or too little
    """
    text = (table.schema.metadata or {}).get(INFO, b"{}")
    return read_dataclass(cls, parse_json(text, source, remedy), source, remedy)


def with_info(table: pa.Table, block: Mapping[str, Any]) -> pa.Table:
    """Return the table, whose file will say this about it."""
    return table.replace_schema_metadata({INFO: json.dumps(block, sort_keys=True).encode()})


def _labels(path: Path | str, table: pa.Table, classes: int) -> None:
    label = table["label"].to_numpy()
    bad = (label < 0) | (label >= classes)
    table_io.first(
        path,
        "label",
        bad,
        label,
        f"labels run from 0 to {classes - 1}: mend the label or the class list",
    )


def _candidates(votes: pa.Table, web: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the (image_id, label) pairs of both tables alike; -1 in votes where the image is unknown."""
    ids = pc.unique(web["image_id"])
    width = np.int64(1) << 32
    known = web["label"].to_numpy() + width * pc.index_in(web["image_id"], ids).to_numpy().astype(
        np.int64
    )
    place = pc.fill_null(pc.index_in(votes["image_id"], ids), -1).to_numpy().astype(np.int64)
    return np.where(place < 0, -1, votes["label"].to_numpy() + width * place), known


def _pairs(table: pa.Table) -> pa.StructArray:
    return pa.StructArray.from_arrays(
        [table["image_id"].combine_chunks(), table["label"].combine_chunks()], ["image_id", "label"]
    )
