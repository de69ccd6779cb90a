"""Some rows of a long table, without a copy of the whole: chunk by chunk.

Arrow's own `take` and `filter` first copy a column of text into one array, or copy every row that
stays. Here, only rows that are taken from the middle of a chunk are copied.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.files.arrow import integer_array
from cnlw_tools.files.mapped import zeros

Rows = NDArray[np.integer]
BLOCK_ROWS = 1 << 18  # whose values are in memory at a time


def mark_rows(
    column: pa.ChunkedArray, is_marked: Callable[[pa.Array], pa.Array]
) -> NDArray[np.bool_]:
    """Return (n,) whether each value of a column is marked, on the disk.

    Args:
        column: (n,) values
        is_marked: returns whether each value of a chunk is; null counts as false
    """
    marks = zeros(len(column), np.bool_)
    for start, chunk in _placed_chunks(column):
        marks[start : start + len(chunk)] = pc.fill_null(is_marked(chunk), False).to_numpy(
            zero_copy_only=False
        )
    return marks


def filter_rows(table: pa.Table, is_kept: NDArray[np.bool_]) -> pa.Table:
    """Return the rows that are kept; chunks that are kept as a whole are not copied.

    Args:
        table: (n,) rows
        is_kept: (n,) which of them
    """
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        chunks = []
        for start, chunk in _placed_chunks(column):
            mask = is_kept[start : start + len(chunk)]
            if mask.all():
                chunks.append(chunk)
            elif mask.any():
                chunks.append(chunk.filter(pa.array(mask)))
        columns.append(pa.chunked_array(chunks, field.type))
    return pa.table(columns, schema=table.schema)


def take_rows(table: pa.Table, rows: Rows) -> pa.Table:
    """Return (k,) rows of a table by their numbers, in this order, each column in one chunk."""
    columns = [take_values(column, rows) for column in table.columns]
    return pa.table(columns, schema=table.schema)


def take_values(column: pa.ChunkedArray, rows: Rows) -> pa.Array:
    """Return (k,) values of a column by their numbers, in this order."""
    if column.num_chunks == 1:
        return column.chunk(0).take(integer_array(rows))
    starts = np.cumsum([0, *map(len, column.chunks)])
    is_sorted = bool((rows[1:] >= rows[:-1]).all())
    order = None if is_sorted else np.argsort(rows, kind="stable")
    ordered = rows if order is None else rows[order]
    bounds = np.searchsorted(ordered, starts)
    parts = [pa.array([], column.type)]
    for number, (begin, end) in enumerate(pairwise(bounds)):
        if end > begin:
            places = ordered[begin:end] - starts[number]
            parts.append(column.chunk(number).take(integer_array(places)))
    values = pa.concat_arrays(parts)
    if order is None:
        return values
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.arange(len(order))
    return values.take(integer_array(inverse))


def take_or_null(column: pa.ChunkedArray, rows: Rows) -> pa.Array:
    """Return (k,) values of a column by their numbers, in this order; null where one is -1."""
    is_taken = rows >= 0
    values = take_values(column, rows[is_taken])
    place = np.cumsum(is_taken) - 1
    return values.take(pa.array(place, mask=~is_taken))


def values_differ(
    column: pa.ChunkedArray, other_column: pa.ChunkedArray, places: Rows
) -> NDArray[np.bool_]:
    """Return (n,) whether each value of a column differs from the one at its place in another.

    Args:
        column: (n,) values; null is a value like any other
        other_column: of the same type
        places: (n,) numbers of values of ``other_column``; a value with place -1 does not differ
    """
    differs = np.zeros(len(column), bool)
    for start in range(0, len(column), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        values = column.slice(start, BLOCK_ROWS)
        other_values = take_or_null(other_column, places[block])
        is_other = pc.fill_null(pc.not_equal(values, other_values), False).to_numpy()
        is_other |= values.is_null().to_numpy() != other_values.is_null().to_numpy(
            zero_copy_only=False
        )
        differs[block] = is_other & (places[block] >= 0)
    return differs


def _placed_chunks(column: pa.ChunkedArray) -> Iterator[tuple[int, pa.Array]]:
    """Yield the chunks of a column, each with the number of its first row."""
    start = 0
    for chunk in column.chunks:
        yield start, chunk
        start += len(chunk)
