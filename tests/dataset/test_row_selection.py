"""Rows that are taken or kept are those of Arrow, whatever the chunks."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.dataset.row_selection import filter_rows, mark_rows, take_rows

IDS = st.lists(st.one_of(st.none(), st.sampled_from(["", "a", "bb"])), max_size=12)
CUTS = st.lists(st.integers(0, 12), max_size=3)


def as_table(ids, cuts):
    """Return a table in chunks, with other chunks in each column."""
    numbers = pa.array(range(len(ids)), pa.int64())
    bounds = sorted({0, len(ids), *(cut for cut in cuts if cut < len(ids))})
    column = pa.array(ids, pa.string())
    chunks = [column.slice(start, end - start) for start, end in pairwise(bounds)]
    return pa.table({"id": pa.chunked_array(chunks, pa.string()), "number": numbers})


@given(IDS, CUTS, st.data())
def test_taken_rows_are_those_of_arrow(ids, cuts, data):
    """In any order, and several times; nulls, empty chunks and empty tables included."""
    table = as_table(ids, cuts)
    number = st.integers(0, max(0, len(ids) - 1))
    rows = np.array(data.draw(st.lists(number, max_size=12 if ids else 0)), np.int64)

    assert table.take(pa.array(rows)).equals(take_rows(table, rows))


@given(IDS, CUTS, st.data())
def test_kept_rows_are_those_of_arrow(ids, cuts, data):
    """All, none, or some of each chunk."""
    table = as_table(ids, cuts)
    is_kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids))))
    is_kept = is_kept.astype(bool)

    assert table.filter(pa.array(is_kept)).equals(filter_rows(table, is_kept))


def test_chunks_that_are_kept_as_a_whole_are_not_copied():
    """Only the chunk in which the rows begin is."""
    table = pa.concat_tables([pa.table({"label": np.arange(4)}), pa.table({"label": np.arange(4)})])

    first, second = filter_rows(table, np.arange(8) >= 2)["label"].chunks

    assert [2, 3] == first.to_pylist()
    assert table["label"].chunk(1).buffers()[1].address == second.buffers()[1].address


def test_mark_rows():
    """A value is marked wherever its chunk begins; null is not."""
    column = pa.chunked_array([["a", "b"], [], ["b", None], ["a"]], pa.string())

    marks = mark_rows(column, lambda values: pc.equal(values, "b"))

    assert marks.tolist() == [False, True, True, False, False]
    assert not len(mark_rows(column[:0], lambda values: pc.equal(values, "b")))
