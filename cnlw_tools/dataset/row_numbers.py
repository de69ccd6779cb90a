"""Rows of tables as numbers: equal rows have one number, so that NumPy compares and counts them.

Nothing is hashed to fewer bits: a number stands for the exact values. Rows are numbered in parts of
about a quarter of a million: a hash of the first column says in which part a row is, so equal rows
are in one part. Within a part, each column becomes the numbers of its distinct values; the number
of a row is  first * k + second  for a column of k distinct values, and is counted anew where it
would not fit into 62 bits. With n rows in all, this takes time n log n; the numbers lie on the disk
(files/mapped.py), so that memory holds only the part.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.row_selection import filter_rows, take_rows, take_values
from cnlw_tools.files.mapped import release_pages, zeros
from cnlw_tools.noise.base import Ranks, row_type

Ints = NDArray[np.integer]
LARGEST_NUMBER = 1 << 62
PART_ROWS = 1 << 18  # whose distinct values are in memory at a time
PART_SEED = 0x70617274  # of the hash that chooses the part of a text


def number_rows(tables: Sequence[pa.Table], columns: Sequence[str]) -> list[Ints]:
    """Return (n,) a number from 0 for each row of each table; equal rows have one number.

    Args:
        tables: with these columns, of the types that the first one has, or that become these
        columns: names; the first should have many different values, since it chooses the parts.
            Null is a value like any other
    """
    tables = [table.select(columns) for table in tables]
    sizes = [len(table) for table in tables]
    numbers = [zeros(n, row_type(sum(sizes))) for n in sizes]
    n_numbers = 0
    for places in _split_rows([table[columns[0]] for table in tables], sum(sizes)):
        parts = [take_rows(*pair) for pair in zip(tables, places, strict=True)]
        parts = [part.cast(tables[0].schema) for part in parts]
        part_numbers, n_distinct = _number_part(parts, columns)
        for out, rows, values in zip(numbers, places, part_numbers, strict=True):
            out[rows] = values + n_numbers
        n_numbers += n_distinct
    return numbers


def number_values(column: pa.ChunkedArray) -> Ints:
    """Return (n,) a number from 0 for each value of a column; equal ones have one number."""
    (numbers,) = number_rows([pa.table({"value": column})], ["value"])
    return numbers


def find_values(values: pa.Array | pa.ChunkedArray, among: pa.Array | pa.ChunkedArray) -> Ints:
    """Return (n,) the first place of each value in a column; -1 where it is not, and of null."""
    columns = [pa.chunked_array([c]) if isinstance(c, pa.Array) else c for c in (values, among)]
    places = zeros(len(values), row_type(len(among)))
    places[:] = -1
    if not len(values) or not len(among):
        return places
    for rows, among_rows in _split_rows(columns, len(values) + len(among)):
        part = take_values(columns[0], rows)
        among_part = take_values(columns[1], among_rows)
        place = pc.fill_null(pc.index_in(part, among_part, skip_nulls=True), -1).to_numpy()
        is_found = place >= 0
        places[rows[is_found]] = among_rows[place[is_found]]
    return places


def distinct_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values of a column without nulls, each once, in the order of appearance."""
    is_first = first_places(number_values(column)) == np.arange(len(column))
    table = pa.table({"value": column})
    return filter_rows(table, is_first & column.is_valid().to_numpy())["value"]


def _split_rows(columns: Sequence[pa.ChunkedArray], n: int) -> Iterator[list[Ints]]:
    """Yield the rows of each column, part by part: rows with equal values are in one part.

    Args:
        columns: of the same type
        n: how many values are in memory at a time, if there is one part
    """
    n_parts = -(-n // PART_ROWS)
    if n_parts <= 1:
        yield [np.arange(len(column)) for column in columns]
        return
    groups = [_group_by_part(choose_parts(column, n_parts), n_parts) for column in columns]
    for number in range(n_parts):
        yield [rows[bounds[number] : bounds[number + 1]] for rows, bounds in groups]
        release_pages(written=False)


def _group_by_part(parts: NDArray[np.uint16], n_parts: int) -> tuple[Ints, NDArray[np.int64]]:
    """Return (n,) the rows of each part, in order, and (n_parts + 1,) where the parts begin."""
    counts = np.zeros(n_parts, np.int64)
    for _, block in _blocks(parts):
        counts += np.bincount(block, minlength=n_parts)
    bounds = np.append(0, np.cumsum(counts))
    places = Ranks(bounds[:-1])
    rows = zeros(len(parts), row_type(len(parts)))
    for start, block in _blocks(parts):
        rows[places.add(block)] = np.arange(start, start + len(block))
    return rows, bounds


def _blocks(values: Ints) -> Iterator[tuple[int, Ints]]:
    """Yield values in blocks that fit into memory, each with the number of its first row."""
    for start in range(0, len(values), PART_ROWS):
        yield start, values[start : start + PART_ROWS]


def choose_parts(column: pa.ChunkedArray, n_parts: int) -> NDArray[np.uint16]:
    """Return (n,) the part of each value of a column, from 0 to ``n_parts``; of nulls, the first.

    Args:
        column: of text, sha256, or numbers
        n_parts: less than 65,536
    """
    parts = zeros(len(column), np.uint16)
    for start in range(0, len(column), PART_ROWS):
        values = column.slice(start, PART_ROWS)
        keys = _part_keys(values)
        block = (keys % np.uint64(n_parts)).astype(np.uint16)
        if values.null_count:
            block[values.is_null().to_numpy()] = 0
        parts[start : start + PART_ROWS] = block
    return parts


def _part_keys(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Return (n,) numbers that choose the parts of values."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return hashing.random_keys(column, PART_SEED)
    chunks = [_number_bytes(chunk) for chunk in column.chunks]
    return np.concatenate([np.empty(0, np.uint64), *chunks])


def _number_bytes(array: pa.Array) -> NDArray[np.uint64]:
    """Return (n,) numbers as they are, and the first eight bytes of values of bytes."""
    if not pa.types.is_fixed_size_binary(array.type):
        numbers: NDArray[np.uint64] = array.fill_null(0).to_numpy().astype(np.uint64)
        return numbers
    width = array.type.byte_width
    flat = np.frombuffer(array.buffers()[1] or b"", np.uint8)
    values = flat[array.offset * width :][: len(array) * width].reshape(-1, width)
    words: NDArray[np.uint64] = np.ascontiguousarray(values[:, :8]).view("<u8")[:, 0]
    return words


def _number_part(tables: Sequence[pa.Table], columns: Sequence[str]) -> tuple[list[Ints], int]:
    """Return the numbers of the rows of tables, and how many numbers there are."""
    n_rows = sum(map(len, tables))
    numbers = np.zeros(n_rows, np.int64)
    n_numbers = 1
    for name in columns:
        chunks = [chunk for table in tables for chunk in table[name].chunks]
        column = pa.chunked_array(chunks, tables[0].schema.field(name).type)
        values, n_values = _encode(column)
        if n_numbers * n_values >= LARGEST_NUMBER:
            numbers, n_numbers = _count_anew(numbers)
        numbers *= n_values
        numbers += values
        n_numbers *= n_values
    numbers, n_numbers = _count_anew(numbers)
    ends = np.cumsum([len(table) for table in tables])
    return np.split(numbers, ends[:-1]), n_numbers


def _encode(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], int]:
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
    n_numbers = int(max(first.max(initial=0), second.max(initial=0))) + 1
    surplus = zeros(n_numbers, row_type(len(first)))
    for _, block in _blocks(first):
        np.add.at(surplus, block, 1)
    for _, block in _blocks(second):
        np.subtract.at(surplus, block, 1)
    np.maximum(surplus, 0, out=surplus)
    n_surplus = int(surplus.sum())
    return n_surplus, int(np.argmax(surplus[first] > 0)) if n_surplus else 0


def first_places(numbers: Ints) -> Ints:
    """Return (n,) for each row the first row that has the same number."""
    first = zeros(int(numbers.max(initial=-1)) + 1, row_type(len(numbers)))
    for start, block in reversed([*_blocks(numbers)]):
        first[block[::-1]] = np.arange(start, start + len(block))[::-1]
    return _take_numbers(first, numbers)


def last_places(numbers: Ints) -> Ints:
    """Return (n,) for each row the last row that has the same number."""
    last = zeros(int(numbers.max(initial=-1)) + 1, row_type(len(numbers)))
    for start, block in _blocks(numbers):
        last[block] = np.arange(start, start + len(block))
    return _take_numbers(last, numbers)


def _take_numbers(values: Ints, places: Ints) -> Ints:
    """Return (n,) the values at some places, on the disk."""
    taken = zeros(len(places), values.dtype)
    for start, block in _blocks(places):
        taken[start : start + len(block)] = values[block]
    return taken


def repeats_before(numbers: Ints) -> Ints:
    """Return (n,) how many rows before it have the same number as a row."""
    order = np.argsort(numbers, kind="stable")
    counts = np.bincount(numbers)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(numbers), row_type(len(numbers)))
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


def _count_anew(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return numbers without gaps, in the same order, and how many there are."""
    distinct, counted = np.unique(numbers, return_inverse=True)
    return counted.astype(np.int64), len(distinct)
