"""Votes from a file, joined to those of a dataset.

A file is a table, an export of Label Studio, or the verdicts of the release of 2020. Votes are
joined so:

    with annotator      an annotator has one vote on a candidate: the later one, if both have a time
    without             equal votes cannot be told apart: they count as often as in the table that
                        has more of them

So a file that is imported twice counts once, and the order of the files does not matter. Imports at
the same time wait for each other. Annotators become numbers (annotators.py), and columns that votes
do not have are left out.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset import dataset, raw_votes, table_io, tables
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.files.locks import wait_for_lock
from cnlw_tools.files.texts import read_json
from cnlw_tools.ingest import label_studio
from cnlw_tools.ingest.annotators import AnnotatorKey, Person, annotator_names, key_path
from cnlw_tools.ingest.votes_by_url import name_candidates, names_urls
from cnlw_tools.registry import suggest
from cnlw_tools.sources.formats import release

Ints = NDArray[np.int64]
NO_TIME = np.iinfo(np.int64).min  # the time of a vote without one
COLUMNS = (*tables.VOTES.names, tables.SECONDS.name)
VOTES_AS_TEXT = pa.schema([(name, pa.string()) for name in COLUMNS])
OPTIONAL_COLUMNS = ("annotator", "at")


class ImportedVotes(NamedTuple):
    """What an import did."""

    path: Path  # of the votes of the dataset
    n_votes: int  # of the dataset, after the import
    n_added: int
    n_replaced: int  # by later votes of the same annotator
    n_unanswered: int  # tasks, or rows of a list of candidates, without a vote
    other_columns: tuple[str, ...]  # of the file, which votes do not have
    key: Path | None  # of the annotators, if they have names


class VoteFile(NamedTuple):
    """What a file of votes holds."""

    votes: pa.Table  # of the VOTES schema, with annotators as the file calls them
    people: Sequence[Person] = ()  # names of annotators who have several
    n_unanswered: int = 0
    other_columns: tuple[str, ...] = ()


def add_votes(file: Path, name: str, root: Path) -> ImportedVotes:
    """Join the votes of a file to those of a dataset: all of them, or none in case of an error.

    Raises:
        LookupError: there is no such dataset
        ValueError: a vote is on no candidate, or an annotator has two verdicts, neither later
        OSError: there is no such file, or the votes cannot be written
    """
    dataset.check_writable(name, root)
    new = read_vote_file(file, lambda: dataset.read_dataset(name, root))
    with wait_for_lock(root / "manifests" / name):
        return _join_votes(new, file, name, root)


def _join_votes(new: VoteFile, file: Path, name: str, root: Path) -> ImportedVotes:
    """Read the votes of a dataset, join others to them, and write them and the annotators' key."""
    web_dataset = dataset.read_dataset(name, root)
    old_votes = web_dataset.votes
    require_candidates(web_dataset, root)
    tables.check_candidates(new.votes, file, web_dataset.web)
    key = AnnotatorKey(key_path(name, root))
    key.add_annotators(old_votes)
    key.add_people([*new.people, *zip(annotator_names(new.votes))], str(file))
    votes, n_replaced = merge_votes(
        key.replace_numbers(old_votes), key.replace_names(new.votes), file, key.name_of
    )
    key.write()
    path = votes_path(name, root)
    tables.write_parquet(votes, path)
    return ImportedVotes(
        path,
        n_votes=len(votes),
        n_added=max(0, len(votes) - len(old_votes)),
        n_replaced=n_replaced,
        n_unanswered=new.n_unanswered,
        other_columns=new.other_columns,
        key=key.path if key.path.exists() else None,
    )


def votes_path(name: str, root: Path) -> Path:
    """Return where the votes of a dataset lie."""
    return root / "annotations" / name / "votes.parquet"


def require_candidates(web_dataset: dataset.Dataset, root: Path) -> None:
    """Raise if a dataset has no candidate to vote on.

    Raises:
        ValueError: with the command that adds some
    """
    if not len(web_dataset.web):
        path = root / "manifests" / web_dataset.name / "web.parquet"
        raise ValueError(
            f"{path}: there is no candidate to vote on: add some with `cnlw import "
            f"candidates FILE --as {web_dataset.name}`"
        )


def read_vote_file(file: Path, find_dataset: Callable[[], Dataset] | None = None) -> VoteFile:
    """Return the votes of a .csv or .parquet table, or of a .json export or release.

    Args:
        file: of the votes
        find_dataset: returns the dataset, if a table names candidates by class and url

    Raises:
        ValueError: it is not such a file
        OSError: it cannot be read
    """
    if file.suffix.lower() in (".csv", ".tsv", ".parquet"):
        return _read_vote_table(file, find_dataset)
    if file.suffix.lower() != ".json":
        raise ValueError(
            f"{file}: votes are read from .csv, .parquet and .json files: rename or convert it"
        )
    content = read_json(file, "export it again")
    if isinstance(content, list):
        export = label_studio.read_export(content, str(file))
        return VoteFile(export.votes, export.people, export.n_unanswered)
    _, votes = release.read_annotations(file)
    return VoteFile(votes)


def merge_votes(
    old: pa.Table,
    new: pa.Table,
    file: Path | str,
    name_of: Callable[[str], str] = str,
) -> tuple[pa.Table, int]:
    """Return the votes of both tables, and how many of the old ones were replaced.

    Args:
        old: votes of the dataset
        new: votes of the file
        file: what the error messages call the new votes
        name_of: returns what error messages call an annotator

    Raises:
        ValueError: an annotator has two verdicts on one candidate, and neither is later
    """
    old = with_seconds(old, "the votes of the dataset")
    votes = pa.concat_tables([old, new], promote_options="default").combine_chunks()
    has_annotator = votes["annotator"].is_valid().to_numpy()
    named_rows = np.flatnonzero(has_annotator)
    nameless_rows = np.flatnonzero(~has_annotator)
    used_rows = [
        _latest_rows(votes, named_rows, file, name_of),
        _rows_of_fuller_table(votes, nameless_rows, len(old)),
    ]
    is_used = np.zeros(len(votes), bool)
    is_used[np.concatenate(used_rows)] = True
    n_old_used = np.count_nonzero(is_used[: len(old)])
    return votes.filter(pa.array(is_used)), len(old) - int(n_old_used)


def with_seconds(votes: pa.Table, path: Path | str) -> pa.Table:
    """Return votes whose column ``seconds``, if they have one, has the type of SECONDS.

    Raises:
        ValueError: it holds something else
    """
    name = tables.SECONDS.name
    if name not in votes.column_names:
        return votes
    seconds = table_io.cast_column(path, tables.SECONDS, votes[name])
    return votes.set_column(votes.column_names.index(name), tables.SECONDS, seconds)


def _read_vote_table(file: Path, find_dataset: Callable[[], Dataset] | None) -> VoteFile:
    """Return the votes of a table, which need not say who voted, and when."""
    table = table_io.open_table(file, VOTES_AS_TEXT)
    n_rows = len(table)
    places = None
    if find_dataset is not None and names_urls(table):
        table, places = name_candidates(table, file, find_dataset())
    names = table.column_names
    for name in tables.VOTES.names:
        is_optional = name in OPTIONAL_COLUMNS and not suggest(name, names)
        if name not in names and not is_optional:
            table_io.column(file, table, name)
    present = [name for name in COLUMNS if name in names]
    columns = {name: _values(table[name]) for name in present}
    votes = raw_votes.read_columns(columns, str(file), places)
    other_columns = tuple(name for name in names if name not in COLUMNS)
    return VoteFile(votes, n_unanswered=n_rows - len(votes), other_columns=other_columns)


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column for Python; times as text, as Python's end in the year 9999."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp(column.type.unit, column.type.tz and "UTC"))
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.string())
    values: list[Any] = column.to_pylist()
    return values


def _latest_rows(
    votes: pa.Table,
    rows: Ints,
    file: Path | str,
    name_of: Callable[[str], str],
) -> Ints:
    """Return the row of the vote that counts for each annotator and candidate.

    Args:
        votes: all votes
        rows: (n,) which of them have an annotator
        file: for the error message
        name_of: for the error message
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
        raise _contradiction(votes, contradicting_rows, file, name_of)
    latest: Ints = rows[np.unique(last)]
    return latest


def _contradiction(
    votes: pa.Table,
    rows: Ints,
    file: Path | str,
    name_of: Callable[[str], str],
) -> ValueError:
    """Return the error for votes that differ from the latest without being earlier."""
    (vote,) = votes.slice(int(rows[0]), 1).to_pylist()
    annotator = name_of(vote["annotator"])
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
