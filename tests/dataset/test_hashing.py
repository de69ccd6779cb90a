"""Columns as numbers and bytes: a digest says what the rows say, and nothing else changes it."""

import datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.dataset import hashing


@pytest.mark.parametrize("classes", [1, 2, 7])
def test_pack(classes):
    """A matrix comes back exactly."""
    matrix = np.random.default_rng(classes).random((classes, classes))

    assert np.array_equal(matrix, hashing.decode_matrix(hashing.encode_matrix(matrix)))


KINDS = {
    "text": st.text(max_size=5),
    "number": st.integers(-(2**31), 2**31 - 1),
    "flag": st.booleans(),
    "real": st.floats(allow_nan=False),
    "at": st.datetimes(timezones=st.just(datetime.UTC)),
    "word": st.sampled_from(["a", "b", "é"]),
    "list": st.lists(st.integers(0, 9), max_size=3),
    "raw": st.binary(max_size=4),
}
TYPES = {
    "text": pa.string(),
    "number": pa.int32(),
    "flag": pa.bool_(),
    "real": pa.float64(),
    "at": pa.timestamp("us", "UTC"),
    "word": pa.dictionary(pa.int8(), pa.string()),
    "list": pa.list_(pa.int16()),
    "raw": pa.binary(),
    "nothing": pa.null(),
}


def typed(rows):
    return pa.table(
        {name: pa.array([row[name] for row in rows], kind) for name, kind in TYPES.items()}
    )


ROWS = st.lists(
    st.fixed_dictionaries(
        {**{name: st.none() | kind for name, kind in KINDS.items()}, "nothing": st.none()}
    ),
    max_size=12,
)


@given(ROWS, st.data())
def test_digest_and_chunks(rows, data):
    """A table's digest is that of its rows, in whatever chunks and slices they lie."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    edges = [0, *cuts, len(rows)]
    padded = typed([*rows[:1], *rows, *rows[-1:]])
    sliced = padded.slice(min(1, len(rows)), len(rows))
    parts = [typed(rows[lo:hi]) for lo, hi in pairwise(edges)]

    assert {hashing.digest(typed(rows))} == {
        hashing.digest(sliced),
        hashing.digest(pa.concat_tables(parts)),
    }


@given(ROWS, ROWS)
def test_digest_tells_apart(rows, other_rows):
    """Two tables have one digest only where they have the same rows."""
    table, other_table = typed(rows), typed(other_rows)
    same_rows = table.to_pylist() == other_table.to_pylist()

    assert same_rows == (hashing.digest(table) == hashing.digest(other_table))


@pytest.mark.parametrize(
    ("values", "other_values"),
    [
        ([True] * 7, [True] * 7 + [None]),
        ([None] * 3, [None] * 4),
        (["", None], [None, ""]),
        (["ab", "c"], ["a", "bc"]),
        ([0, None], [None, 0]),
        ([False, None], [None, False]),
        ([[1], [2]], [[1, 2], []]),
        ([[1], None], [[1], []]),
        ([{"a": None}], [None]),
        ([b"a", b""], [b"", b"a"]),
        ([0.0], [-0.0]),
    ],
)
def test_digest_of_neighbours(values, other_values):
    """Tables that are nearly the same have different digests."""
    first = pa.array(values)
    second = pa.array(other_values, first.type)

    assert hashing.digest(pa.table({"a": first})) != hashing.digest(pa.table({"a": second}))


def test_digest_of_types_and_names():
    """The same values under another name or type are another table."""
    tables = [
        pa.table({"a": pa.array([], pa.int32())}),
        pa.table({"b": pa.array([], pa.int32())}),
        pa.table({"a": pa.array([], pa.int64())}),
        pa.table({}),
    ]

    assert len({hashing.digest(table) for table in tables}) == 4


def test_digest_ignores_hidden_values():
    """What lies in the buffer below a null does not count."""
    hidden = pa.Array.from_buffers(
        pa.int32(), 2, [pa.py_buffer(b"\1"), pa.array([5, 77], pa.int32()).buffers()[1]]
    )

    assert hidden.to_pylist() == [5, None]
    assert hashing.digest(pa.table({"a": pa.array([5, None], pa.int32())})) == hashing.digest(
        pa.table({"a": hidden})
    )


def test_digest_of_dictionaries():
    """A dictionary's own order does not count."""
    chunks = [
        pa.array(["b", "a"]).dictionary_encode(),
        pa.array(["a", None, "c"]).dictionary_encode(),
    ]
    whole = pa.array(["b", "a", "a", None, "c"]).dictionary_encode()

    assert hashing.digest(pa.table({"a": whole})) == hashing.digest(
        pa.table({"a": pa.chunked_array(chunks)})
    )


def test_digest_of_many_rows():
    """Beyond one block of rows the chunks do not count either."""
    n = hashing.BLOCK_ROWS + 10
    table = pa.table({"a": pa.array(range(n), pa.int32()), "b": [str(i) for i in range(n)]})
    parts = pa.concat_tables([table[:7], table[7 : n - 20], table[n - 20 :]])

    assert hashing.digest(table) == hashing.digest(parts)
    assert hashing.digest(table) != hashing.digest(table[: n - 1])


def test_digest_of_maps():
    """A free column of maps is hashed like a list of pairs."""
    kind = pa.map_(pa.string(), pa.int64())
    tables = [pa.table({"m": pa.array([[("a", n)], []], kind)}) for n in (1, 1, 2)]

    assert len({hashing.digest(t) for t in tables}) == 2
