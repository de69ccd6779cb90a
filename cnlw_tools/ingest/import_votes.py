"""Votes from a file, joined to those of a dataset.

A file is a table, an export of Label Studio, or the verdicts of the release of 2020. Votes are
joined so:

    with annotator      an annotator has one vote on a candidate: the later one, if both have a time
    without             equal votes cannot be told apart: they count as often as in the table that
                        has more of them

So a file that is imported twice counts once, and the order of the files does not matter.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset import dataset, table_io, tables
from cnlw_tools.ingest import label_studio
from cnlw_tools.registry import suggest
from cnlw_tools.sources.formats import release

Ints = NDArray[np.int64]
NO_TIME = np.iinfo(np.int64).min  # the time of a vote without one
OPTIONAL_COLUMNS = ("annotator", "at")


class ImportedVotes(NamedTuple):
    """What an import did."""

    path: Path  # of the votes of the dataset
    n_votes: int  # of the dataset, after the import
    n_added: int
    n_replaced: int  # by later votes of the same annotator


def add_votes(file: Path, name: str, root: Path) -> ImportedVotes:
    """Join the votes of a file to those of a dataset: all of them, or none in case of an error.

    Raises:
        LookupError: there is no such dataset
        ValueError: a vote is on no candidate, or an annotator has two verdicts, neither later
        FileNotFoundError: there is no such file
    """
    web_dataset = dataset.read_dataset(name, root)
    old_votes = web_dataset.votes
    if not len(web_dataset.web):
        path = root / "manifests" / name / "web.parquet"
        raise ValueError(
            f"{path}: no candidate to vote on: write this table first, see manifests/README.md"
        )
    new_votes = read_vote_file(file)
    tables.check_candidates(new_votes, file, web_dataset.web)
    votes, n_replaced = merge_votes(old_votes, new_votes, file)
    path = root / "annotations" / name / "votes.parquet"
    tables.write_parquet(votes, path)
    return ImportedVotes(
        path,
        n_votes=len(votes),
        n_added=len(votes) - len(old_votes),
        n_replaced=n_replaced,
    )


def read_vote_file(file: Path) -> pa.Table:
    """Return the votes of a .csv or .parquet table, or of a .json export or release.

    Raises:
        ValueError: it is not such a file
        FileNotFoundError: there is no such file
    """
    if file.suffix in (".csv", ".parquet"):
        return _read_vote_table(file)
    if file.suffix != ".json":
        raise ValueError(
            f"{file}: votes are read from .csv, .parquet and .json files: rename or convert it"
        )
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not UTF-8 ({error.reason}): export it again") from error
    if text.lstrip().startswith("["):
        return label_studio.read_export(text, str(file))
    _, votes = release.read_annotations(file)
    return votes


def merge_votes(old: pa.Table, new: pa.Table, file: Path | str) -> tuple[pa.Table, int]:
    """Return the votes of both tables, and how many of the old ones were replaced.

    Args:
        old: votes of the dataset
        new: votes of the file
        file: what the error messages call the new votes

    Raises:
        ValueError: an annotator has two verdicts on one candidate, and neither is later
    """
    votes = pa.concat_tables([old, new], promote_options="default").combine_chunks()
    has_annotator = votes["annotator"].is_valid().to_numpy()
    named_rows = np.flatnonzero(has_annotator)
    nameless_rows = np.flatnonzero(~has_annotator)
    used_rows = [
        _latest_rows(votes, named_rows, file),
        _rows_of_fuller_table(votes, nameless_rows, len(old)),
    ]
    is_used = np.zeros(len(votes), bool)
    is_used[np.concatenate(used_rows)] = True
    n_old_used = np.count_nonzero(is_used[: len(old)])
    return votes.filter(pa.array(is_used)), len(old) - int(n_old_used)


def _read_vote_table(file: Path) -> pa.Table:
    """Return the votes of a table, which need not say who voted, and when."""
    names = table_io.read_table(file, pa.schema([])).column_names
    absent = []
    for name in OPTIONAL_COLUMNS:
        is_misspelled = bool(suggest(name, names))
        if name in names or is_misspelled:
            continue
        absent.append(name)
    present = [field for field in tables.VOTES if field.name not in absent]
    votes = table_io.read_table(file, pa.schema(present))
    for name in absent:
        field = tables.VOTES.field(name)
        position = tables.VOTES.get_field_index(name)
        nulls = pa.nulls(len(votes), field.type)
        votes = votes.add_column(position, field, nulls)
    return votes


def _latest_rows(votes: pa.Table, rows: Ints, file: Path | str) -> Ints:
    """Return the row of the vote that counts for each annotator and candidate.

    Args:
        votes: all votes
        rows: (n,) which of them have an annotator
        file: for the error message
    """
    groups_of_votes = _group_numbers(votes, ["image_id", "label", "annotator"])
    group = groups_of_votes[rows]  # (n,)
    time = _times(votes)[rows]  # (n,)
    order = np.lexsort((-rows, time, group))
    n_groups = group.max(initial=-1) + 1
    last_of_group = np.empty(n_groups, np.int64)
    last_of_group[group[order]] = order  # of several votes of a group the last one stays
    last = last_of_group[group]  # (n,)
    is_not_earlier = (time == NO_TIME) | (time == time[last])
    verdict = _codes(votes["correct"])[rows]  # (n,)
    differs = verdict != verdict[last]
    contradicting_rows = rows[differs & is_not_earlier]
    if len(contradicting_rows):
        raise _contradiction(votes, contradicting_rows, file)
    latest: Ints = rows[np.unique(last)]
    return latest


def _contradiction(votes: pa.Table, rows: Ints, file: Path | str) -> ValueError:
    """Return the error for votes that differ from the latest without being earlier."""
    (vote,) = votes.slice(int(rows[0]), 1).to_pylist()
    annotator = vote["annotator"]
    image_id = vote["image_id"]
    label = vote["label"]
    return ValueError(
        f"{file}: {annotator!r} gives two verdicts on image {image_id!r}, "
        f"label {label} ({len(rows)} such votes), and neither is later: "
        "give both a time in column 'at', or remove one"
    )


def _rows_of_fuller_table(votes: pa.Table, rows: Ints, n_old: int) -> Ints:
    """Return the rows of the votes without annotator that count.

    Of equal votes the old ones count, and as many new ones as there are more of them than old ones.

    Args:
        votes: all votes, the old ones first
        rows: (n,) which of them have no annotator
        n_old: how many votes are old
    """
    groups_of_votes = _group_numbers(votes, ["image_id", "label", "correct", "at"])
    group = groups_of_votes[rows]  # (n,)
    n_groups = group.max(initial=-1) + 1
    is_old = rows < n_old
    old_rows = rows[is_old]
    new_rows = rows[~is_old]
    new_group = group[~is_old]
    old_count = np.bincount(group[is_old], minlength=n_groups)  # (groups,)
    number = _number_within_groups(new_group)
    exceeds_old = number >= old_count[new_group]
    return np.concatenate([old_rows, new_rows[exceeds_old]])


def _number_within_groups(group: Ints) -> Ints:
    """Number the rows of each group 0, 1, 2 ... in row order, (n,)."""
    order = np.argsort(group, kind="stable")
    sorted_group = group[order]
    begin = np.searchsorted(sorted_group, sorted_group)
    number = np.empty(len(group), np.int64)
    number[order] = np.arange(len(group)) - begin
    return number


def _group_numbers(votes: pa.Table, names: list[str]) -> Ints:
    """Number the combinations of values of some columns, (n,)."""
    group = np.zeros(len(votes), np.int64)
    for name in names:
        codes = _codes(votes[name])
        combined = group * (codes.max(initial=0) + 1) + codes
        group = np.unique(combined, return_inverse=True)[1]
    return group


def _codes(column: pa.ChunkedArray) -> Ints:
    """Number the distinct values of a column, null among them, (n,)."""
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    codes: Ints = encoded.indices.to_numpy().astype(np.int64)
    return codes


def _times(votes: pa.Table) -> Ints:
    """Return the time of each vote in microseconds, or NO_TIME, (n,)."""
    microseconds = votes["at"].cast(pa.int64())
    times: Ints = pc.fill_null(microseconds, NO_TIME).to_numpy()
    return times
