"""The schemas of the tables that cross module borders, and the checked reader of each.

Every error names the file, the column, the first bad row (counted from 0) and the remedy.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools.dataset.row_selection import mark_rows
from cnlw_tools.dataset.table_io import (
    INFO_KEY,
    cast_column,
    is_text,
    read_table,
    reject_bad_rows,
    reject_duplicates,
)
from cnlw_tools.files import atomic_write
from cnlw_tools.files.texts import parse_json
from cnlw_tools.recipe.inputs import SourceOptions
from cnlw_tools.recipe.strict import read_dataclass

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

STRING = pa.string()
MANIFEST = pa.schema(
    [
        pa.field("image_id", STRING, nullable=False),  # the id of the image
        pa.field("label", pa.int32(), nullable=False),  # the class of the image, counted from 0
        pa.field("split", STRING, nullable=False),  # train, validation ...; web for candidates
        pa.field("uri", STRING),  # the URL of the image
        pa.field("sha256", STRING),  # the sha256 of the file, or of the RGB pixels
    ]
)
VOTES = pa.schema(
    [
        pa.field("image_id", STRING, nullable=False),  # the candidate
        pa.field("label", pa.int32(), nullable=False),  # the class that the vote is about
        pa.field("annotator", STRING),  # the number of the person, or "consensus"
        pa.field("correct", pa.bool_()),  # whether the image shows the class; empty if unsure
        pa.field("at", pa.timestamp("us", "UTC")),  # the time of the vote
    ]
)
SECONDS = pa.field("seconds", pa.float32())  # of a vote: how long the picture was in view
PLAN = pa.schema(
    [
        pa.field("image_id", STRING, nullable=False),  # the image in the slot
        pa.field("label", pa.int32(), nullable=False),  # the label that the learner gets
        pa.field("clean_label", pa.int32()),  # the true class; empty if it is unknown
        pa.field("origin", STRING, nullable=False),  # base, web, other or white
        pa.field("replaces", STRING),  # the image that this one replaces, if any
        pa.field("is_noisy", pa.bool_(), nullable=False),  # wrong label, or unknown true class
        pa.field("split", STRING, nullable=False),  # the split of the row: train, validation ...
    ]
)
RUNS = pa.schema(
    [
        pa.field("run", STRING, nullable=False),  # the folder of the run
        pa.field("dataset", STRING, nullable=False),  # the dataset of the run
        pa.field("config", STRING, nullable=False),  # the config of the run, such as red_40
        pa.field("noise", STRING, nullable=False),  # the noise of the config
        pa.field("level", pa.int32()),  # the level in percent; empty if the noise has none
        pa.field("method", STRING, nullable=False),  # the method
        pa.field("options", STRING, nullable=False),  # options of the method, as JSON
        pa.field("seed", pa.int64(), nullable=False),  # the seed of the run
        pa.field("epoch", pa.int32(), nullable=False),  # the epoch, counted from 1
        pa.field("metric", STRING, nullable=False),  # what was measured, such as val_top1
        pa.field("value", pa.float64()),  # the measured value
    ]
)
PUBLISHED_SPLITS = pa.schema(
    [
        pa.field("noise", STRING, nullable=False),  # red or blue
        pa.field(
            "level", pa.int32(), nullable=False
        ),  # the level that the list is named after, in %
        pa.field("image_id", STRING, nullable=False),  # an image of the list
        pa.field("label", pa.int32(), nullable=False),  # its label in the list
    ]
)
CLASSES = pa.schema(
    [
        pa.field("label", pa.int32(), nullable=False),  # the number of the class, counted from 0
        pa.field("name", STRING, nullable=False),  # the name of the class
    ]
)
SPLIT_PATTERN = r"^(train|probe|verified|(validation|test)(_[a-z0-9_]+)?)$"
SPLIT_NAMES = "train, validation, test (the last two also with _NAME), probe, verified"
NOISY_SPLITS = ("train", "verified")  # the splits that noise may fall on
ORIGINS = ("base", "web", "other", "white")
MAX_CLASSES = 1 << 31  # where the number of classes is not known


def read_classes(path: Path) -> tuple[str, ...]:
    """Return the class names in label order.

    Raises:
        ValueError: labels are not 0, 1, 2 ... in order, or a name occurs twice
    """
    table = read_table(path, CLASSES)
    if not len(table):
        raise ValueError(f"{path}: the table has no rows: add a row for each class")
    labels = table["label"].to_numpy()
    out_of_order = labels != np.arange(len(labels))
    remedy = "labels must count 0, 1, 2 ... in row order"
    reject_bad_rows(
        path,
        "label",
        out_of_order,
        labels,
        remedy,
    )
    reject_duplicates(
        path,
        table,
        ["name"],
        "give every class a different name",
    )
    return tuple(table["name"].to_pylist())


def read_manifest(
    path: Path,
    n_classes: int,
    web: bool = False,
) -> pa.Table:
    """Return a manifest: one row an image, or one row an image and label in a web manifest.

    Raises:
        ValueError: a wrong column or type, a label out of range, a duplicate key, a split of the
            other kind
    """
    return check_manifest(read_table(path, MANIFEST), path, n_classes, web)


def check_manifest(
    table: pa.Table,
    path: Path | str,
    n_classes: int,
    web: bool = False,
) -> pa.Table:
    """Return a manifest after checking it; ``path`` is what errors call it.

    Raises:
        ValueError: see `read_manifest`
    """
    _check_labels(path, table, n_classes)
    if web:
        pattern, remedy = "^web$", "a web manifest holds the split 'web' and no other"
    else:
        pattern = SPLIT_PATTERN
        remedy = f"the split 'web' belongs in web.parquet; others are {SPLIT_NAMES}"
    has_bad_split = mark_rows(
        table["split"], lambda splits: pc.invert(pc.match_substring_regex(splits, pattern))
    )
    reject_bad_rows(path, "split", has_bad_split, table["split"], remedy)
    key_columns = ["image_id", "label"] if web else ["image_id"]
    reject_duplicates(
        path,
        table,
        key_columns,
        "keep one row of each",
    )
    return _check_marks(table, path) if web else table


def _check_marks(web: pa.Table, path: Path | str) -> pa.Table:
    """Return candidates whose marks are booleans: ``dead`` and ``withdrawn``, if they are there."""
    for name in ("dead", "withdrawn"):
        if name in web.column_names:
            field = pa.field(name, pa.bool_(), nullable=False)
            marks = cast_column(path, field, web[name])
            web = web.set_column(web.column_names.index(name), name, marks)
    return web


def read_votes(path: Path, web: pa.Table) -> pa.Table:
    """Return the votes on the candidates of a web manifest, one row a vote.

    Raises:
        ValueError: a wrong column or type, a vote for a candidate that is not in the manifest, two
            votes of one annotator on one candidate
    """
    return check_votes(read_table(path, VOTES), path, web)


def check_votes(
    votes: pa.Table,
    path: Path | str,
    web: pa.Table,
) -> pa.Table:
    """Check that votes are on candidates, at most one by an annotator on each; return the votes.

    ``path`` names the table in errors.

    Raises:
        ValueError: see `read_votes`
    """
    check_candidates(votes, path, web)
    signed_rows = np.flatnonzero(votes["annotator"].is_valid().to_numpy())
    key_columns = ["image_id", "label", "annotator"]
    remedy = "keep one vote of each annotator on a candidate"
    reject_duplicates(
        path,
        votes,
        key_columns,
        remedy,
        signed_rows,
    )
    return votes


def check_candidates(
    votes: pa.Table,
    path: Path | str,
    web: pa.Table,
) -> pa.Table:
    """Return the votes after checking that each is on a candidate of the web manifest.

    An annotator may have voted several times on one candidate.

    Raises:
        ValueError: a vote for a candidate that is not in the manifest
    """
    vote_numbers, web_numbers = number_candidates(votes, web)
    is_unknown = ~np.isin(vote_numbers, web_numbers)
    candidates = pa.StructArray.from_arrays(
        [votes["image_id"].combine_chunks(), votes["label"].combine_chunks()],
        ["image_id", "label"],
    )
    remedy = "no such image_id and label in the web manifest: add or remove it"
    reject_bad_rows(
        path,
        "image_id",
        is_unknown,
        candidates,
        remedy,
    )
    return votes


def find_addresses(votes: pa.Table) -> dict[str, NDArray[np.bool_]]:
    """Return which votes have an @ in a column of text other than the image id, by column.

    Builds are published, and an annotator's e-mail address should not be.
    """
    has_address = {}
    for name in votes.column_names:
        if name != "image_id" and is_text(votes.schema.field(name).type):
            has_sign = pc.match_substring(votes[name].cast(STRING), "@")
            has_address[name] = pc.fill_null(has_sign, False).to_numpy()
    return has_address


def read_plan(path: Path) -> pa.Table:
    """Return a plan with its metadata.

    Raises:
        ValueError: a wrong column or type, an unknown origin, a label below 0
    """
    table = read_table(path, PLAN)
    _check_labels(path, table, MAX_CLASSES)
    is_unknown = pc.invert(pc.is_in(table["origin"], pa.array(ORIGINS)))
    remedy = f"the origins are {', '.join(ORIGINS)}"
    reject_bad_rows(
        path,
        "origin",
        is_unknown.to_numpy(),
        table["origin"],
        remedy,
    )
    return table


def read_published_splits(path: Path, n_classes: int) -> pa.Table:
    """Return published splits, one row an image of a list.

    Raises:
        ValueError: a wrong column or type, a label out of range, or an image twice in a list
    """
    return check_published_splits(read_table(path, PUBLISHED_SPLITS), path, n_classes)


def check_published_splits(
    table: pa.Table,
    path: Path | str,
    n_classes: int,
) -> pa.Table:
    """Return published splits after checking them; ``path`` is what errors call them.

    Raises:
        ValueError: a label out of range, or an image twice in a list
    """
    _check_labels(path, table, n_classes)
    key_columns = ["noise", "level", "image_id"]
    reject_duplicates(
        path,
        table,
        key_columns,
        "keep one row of an image in a list",
    )
    return table


def read_runs(path: Path) -> pa.Table:
    """Return what training measured, one row a number.

    Raises:
        ValueError: a wrong column or type, or one number twice
    """
    table = read_table(path, RUNS)
    key_columns = ["run", "epoch", "metric"]
    reject_duplicates(
        path,
        table,
        key_columns,
        "keep one value of a metric a run and epoch",
    )
    return table


def write_parquet(
    table: pa.Table,
    path: Path,
    repetitive: Collection[str] | None = None,
) -> None:
    """Write a table as Parquet, whole or not at all; the same table gives the same bytes.

    Args:
        table: any table
        path: of the file
        repetitive: the columns whose values are written once each, and then by number. Default:
            all. Columns with other values in each row are written faster without it
    """
    by_number = True if repetitive is None else list(repetitive)
    with atomic_write(path) as draft:
        pq.write_table(
            table, draft, compression="zstd", write_page_index=True, use_dictionary=by_number
        )


def write_csv(table: pa.Table, path: Path) -> None:
    """Write a small table as CSV, whole or not at all."""
    with atomic_write(path) as draft:
        pacsv.write_csv(table, draft, pacsv.WriteOptions(quoting_style="needed"))


@dataclass(frozen=True, slots=True)
class ManifestInfo:
    """What the file of a base manifest says about it."""

    source: str = ""  # the source that reads its images; empty: the one of the dataset's name
    options: SourceOptions = field(default_factory=SourceOptions)  # of that source
    validation: int = 0  # percent of each class that the import moved from train to validation

    def as_block(self) -> dict[str, Any]:
        """Return what is set, for `with_info`."""
        block = {
            "source": self.source,
            "options": self.options.as_block(),
            "validation": self.validation,
        }
        return {name: value for name, value in block.items() if value}


def read_info(
    cls: type[T],
    table: pa.Table,
    source: str,
    remedy: str = "",
) -> T:
    """Return what a table's file says about it: JSON in the Parquet metadata, as a dataclass.

    Args:
        cls: the dataclass
        table: with the metadata of its file
        source: what errors call it
        remedy: the end of errors

    Raises:
        ValueError: the JSON lacks a field, or has one that the dataclass has not
    """
    text = (table.schema.metadata or {}).get(INFO_KEY, b"{}")
    return read_dataclass(cls, parse_json(text, source, remedy), source, remedy)


def with_info(table: pa.Table, block: Mapping[str, Any]) -> pa.Table:
    """Return the table with a JSON block in its metadata, for `read_info` to read."""
    text = json.dumps(block, sort_keys=True)
    return table.replace_schema_metadata({INFO_KEY: text.encode()})


def _check_labels(
    path: Path | str,
    table: pa.Table,
    n_classes: int,
) -> None:
    out_of_range = mark_rows(
        table["label"],
        lambda labels: pc.or_(pc.less(labels, 0), pc.greater_equal(labels, n_classes)),
    )
    remedy = f"labels run from 0 to {n_classes - 1}: fix the label or the class list"
    reject_bad_rows(path, "label", out_of_range, table["label"], remedy)


def number_candidates(
    votes: pa.Table, web: pa.Table
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give each (image_id, label) one number in both tables; -1 for votes on unknown images.

    Returns:
        the numbers of the votes and those of the web manifest's rows
    """
    ids = pc.unique(web["image_id"])
    labels_per_id = np.int64(1) << 32
    web_id = pc.index_in(web["image_id"], ids).to_numpy().astype(np.int64)
    vote_id = pc.fill_null(pc.index_in(votes["image_id"], ids), -1).to_numpy().astype(np.int64)
    web_numbers = web["label"].to_numpy() + labels_per_id * web_id
    vote_numbers = votes["label"].to_numpy() + labels_per_id * vote_id
    return np.where(vote_id < 0, -1, vote_numbers), web_numbers
