"""Rows of tables as numbers: equal rows have one number, so that NumPy compares and counts them.

Nothing is hashed to fewer bits: a number stands for the exact values. Each column becomes the
numbers of its distinct values; the number of a row is  first * k + second  for a column of k
distinct values, and is counted anew where it would not fit into 62 bits. With n rows in all, this
takes time n log n and 40 bytes a row, besides the distinct values.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
LARGEST_NUMBER = 1 << 62


def number_rows(tables: Sequence[pa.Table], columns: Sequence[str]) -> list[Ints]:
    """Return (n,) a number from 0 for each row of each table; equal rows have one number.

    Args:
        tables: with these columns, of the same types
        columns: names; null is a value like any other
    """
    n_rows = sum(map(len, tables))
    numbers = np.zeros(n_rows, np.int64)
    n_numbers = 1
    for name in columns:
        chunks = [chunk for table in tables for chunk in table[name].chunks]
        values, n_values = number_values(
            pa.chunked_array(chunks, tables[0].schema.field(name).type)
        )
        if n_numbers * n_values >= LARGEST_NUMBER:
            numbers, n_numbers = _count_anew(numbers)
        numbers *= n_values
        numbers += values
        n_numbers *= n_values
    numbers, _ = _count_anew(numbers)
    ends = np.cumsum([len(table) for table in tables])
    return np.split(numbers, ends[:-1])


def number_values(column: pa.ChunkedArray) -> tuple[Ints, int]:
    """Return (n,) the number of each value of a column, in order of appearance; and how many."""
    encoded = pc.dictionary_encode(column, null_encoding="encode")
    parts = [np.empty(0, np.int64)]
    parts += [chunk.indices.to_numpy() for chunk in encoded.chunks]
    numbers = np.concatenate(parts)
    return numbers.astype(np.int64), int(numbers.max(initial=0)) + 1


def surplus_rows(first: Ints, second: Ints) -> tuple[int, int]:
    """Compare two bags of numbered rows.

    Args:
        first, second: numbers of `number_rows`

    Returns:
        how many rows the first has more often than the second, and the first of these rows, which
        is 0 if there is none
    """
    n_numbers = max(first.max(initial=0), second.max(initial=0)) + 1
    surplus = np.bincount(first, minlength=n_numbers) - np.bincount(second, minlength=n_numbers)
    np.maximum(surplus, 0, out=surplus)
    n_surplus = int(surplus.sum())
    return n_surplus, int(np.argmax(surplus[first] > 0)) if n_surplus else 0


def first_places(numbers: Ints) -> Ints:
    """Return (n,) for each row the first row that has the same number."""
    first = np.full(int(numbers.max(initial=-1)) + 1, -1, np.int64)
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]
    return first[numbers]


def repeats_before(numbers: Ints) -> Ints:
    """Return (n,) how many rows before it have the same number as a row."""
    order = np.argsort(numbers, kind="stable")
    counts = np.bincount(numbers)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(numbers), np.int64)
    rank[order] = np.arange(len(numbers)) - starts[numbers[order]]
    return rank


def group_repeats(numbers: Ints) -> Iterator[Ints]:
    """Yield the rows of each number that several rows have, in the order of their first rows."""
    is_repeated = np.bincount(numbers)[numbers] > 1 if len(numbers) else np.empty(0, bool)
    rows = np.flatnonzero(is_repeated)
    place = first_places(numbers[rows])
    order = np.argsort(place, kind="stable")
    bounds = np.flatnonzero(np.diff(place[order])) + 1
    yield from np.split(rows[order], bounds) if len(rows) else []


def _count_anew(numbers: Ints) -> tuple[Ints, int]:
    """Return numbers without gaps, in the same order, and how many there are."""
    distinct, counted = np.unique(numbers, return_inverse=True)
    return counted.astype(np.int64), len(distinct)
