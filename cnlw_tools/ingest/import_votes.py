"""Votes from a file, joined to those that are there: a table, an export of Label Studio, the verdicts of the release.

    named       one annotator has one vote on a candidate: the later one, if both have a time
    nameless    such votes cannot be told apart: equal ones count as often as the fuller of the two tables has them

So a file that comes twice counts once, and the order in which files come makes no difference.
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
NEVER = np.iinfo(np.int64).min  # the time of a vote without one


class Added(NamedTuple):
    """What an import did."""

    path: Path
    votes: int  # in all
    added: int
    replaced: int  # by later ones of the same annotator


def add(file: Path, name: str, root: Path) -> Added:
    """Join the votes of a file to those of a dataset, all or none of them.

    Raises:
        LookupError: there is no such dataset
        ValueError: the file holds no votes on its candidates, or two verdicts of one annotator, neither later
        FileNotFoundError: there is no such file
    """
    found = dataset.load(name, root)
    if not len(found.web):
        where = root / "manifests" / name / "web.parquet"
        raise ValueError(
            f"{where}: no candidate to vote on: make it first, see manifests/README.md"
        )
    new = tables.on_candidates(read(file), file, found.web)
    kept, replaced = merge(found.votes, new, file)
    path = root / "annotations" / name / "votes.parquet"
    tables.write(kept, path)
    return Added(path, len(kept), len(kept) - len(found.votes), replaced)


def read(file: Path) -> pa.Table:
    """Return the votes of a file as they stand there: .csv, .parquet, or .json of Label Studio or the release.

    Raises:
        ValueError: it is none of these
        FileNotFoundError: there is no such file
    """
    if file.suffix not in (".json", ".csv", ".parquet"):
        raise ValueError(
            f"{file}: votes are read from .csv, .parquet and .json: name or store it so"
        )
    if file.suffix != ".json":
        return _table(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not UTF-8 ({error.reason}): export it again") from error
    listed = text.lstrip().startswith("[")
    return label_studio.read(text, str(file)) if listed else release.consensus(file)[1]


def _table(file: Path) -> pa.Table:
    """Return the votes of a table; it may leave out who voted, and when."""
    names = table_io.load(file, pa.schema([])).column_names
    absent = [
        name for name in ("annotator", "at") if name not in names and not suggest(name, names)
    ]
    found = table_io.load(
        file, pa.schema([field for field in tables.VOTES if field.name not in absent])
    )
    for name in absent:
        field = tables.VOTES.field(name)
        found = found.add_column(
            tables.VOTES.get_field_index(name), field, pa.nulls(len(found), field.type)
        )
    return found


def merge(there: pa.Table, new: pa.Table, file: Path | str) -> tuple[pa.Table, int]:
    """Return the votes of both tables, and how many of the first gave way to later ones.

    Raises:
        ValueError: two verdicts of one annotator on one candidate, of which neither is later
    """
    both = pa.concat_tables([there, new], promote_options="default").combine_chunks()
    named = both["annotator"].is_valid().to_numpy()
    keep = np.zeros(len(both), bool)
    keep[_latest(both, np.flatnonzero(named), file)] = True
    keep[_fuller(both, np.flatnonzero(~named), len(there))] = True
    return both.filter(pa.array(keep)), int((~keep[: len(there)]).sum())


def _latest(votes: pa.Table, rows: Ints, file: Path | str) -> Ints:
    """Return, of these rows of named votes, the one of each annotator and candidate that counts."""
    group = _groups(votes, ["image_id", "label", "annotator"])[rows]
    at, said = _time(votes)[rows], _codes(votes["correct"])[rows]
    order = np.lexsort((-rows, at, group))
    last = np.empty(group.max(initial=-1) + 1, np.int64)
    last[group[order]] = order  # of several, the one that comes last in this order
    by = last[group]
    clash = (said != said[by]) & ((at == NEVER) | (at == at[by]))
    if clash.any():
        vote = votes.slice(int(rows[np.argmax(clash)]), 1).to_pylist()[0]
        who, image, label = vote["annotator"], vote["image_id"], vote["label"]
        raise ValueError(
            f"{file}: {who!r} says two things of image {image!r}, label {label} ({int(clash.sum())} such votes), and "
            "neither is later: give both a time in column 'at', or drop one"
        )
    counts: Ints = rows[np.unique(by)]
    return counts


def _fuller(votes: pa.Table, rows: Ints, begin: int) -> Ints:
    """Return these rows of nameless votes without those from ``begin`` on whose like was there as often before."""
    group = _groups(votes, ["image_id", "label", "correct", "at"])[rows]
    old = rows < begin
    there = np.bincount(group[old], minlength=group.max(initial=-1) + 1)
    return np.concatenate([rows[old], rows[~old][_nth(group[~old]) >= there[group[~old]]]])


def _nth(group: Ints) -> Ints:
    """Number the rows of each group 0, 1, 2 ... in row order."""
    order = np.argsort(group, kind="stable")
    nth = np.empty(len(group), np.int64)
    nth[order] = np.arange(len(group)) - np.searchsorted(group[order], group[order])
    return nth


def _groups(votes: pa.Table, names: list[str]) -> Ints:
    """Number the combinations of values of some columns, (n,)."""
    group = np.zeros(len(votes), np.int64)
    for name in names:
        codes = _codes(votes[name])
        group = np.unique(group * (codes.max(initial=0) + 1) + codes, return_inverse=True)[1]
    return group


def _codes(column: pa.ChunkedArray) -> Ints:
    """Number the values of a column, null among them."""
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    codes: Ints = encoded.indices.to_numpy().astype(np.int64)
    return codes


def _time(votes: pa.Table) -> Ints:
    at: Ints = pc.fill_null(votes["at"].cast(pa.int64()), NEVER).to_numpy()
    return at
