"""Parquet files.

A Parquet file stores a value once, in a dictionary, and rows that point at it: a text of 1 MB in a
million rows takes 1 MB on the disk and 1 TB in memory. What the footer says of sizes does not count
that. So before text or bytes of such columns are decoded, their longest dictionary entry is looked
at: a column has at most its stored bytes, and one such entry a row. Columns of numbers have as many
bytes as rows times their width.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cnlw_tools.files.untrusted import (
    BadFile,
    check_regular,
    to_megabytes,
    translate_errors,
)

LEAST_LIMIT = 512 << 20  # bytes that a file of any size may become
EXPANSION = 32  # a larger file may become so many times its size; labels shrink so, ids do not
MAKE_AGAIN = "make or copy this file again"
PARQUET = "Parquet"
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}  # bytes
TEXT_WIDTH = 8  # bytes of a row of text or bytes beside its content: where it begins
PREFIX_ENCODING = "DELTA_BYTE_ARRAY"  # a value is the begin of the last one, and a rest


def read_table(
    path: Path,
    columns: Sequence[str] | None = None,
    remedy: str = MAKE_AGAIN,
) -> pa.Table:
    """Return the rows of a Parquet file.

    Args:
        path: the file
        columns: names of columns, a field of a struct as ``image.bytes``; all if not given
        remedy: ends the errors

    Raises:
        BadFile, OSError: it is damaged, too large in memory, lacks a column, or cannot be read
    """
    with open_parquet(path, remedy) as file, translate_errors(path, PARQUET, remedy):
        check_decoded_size(file, path, columns, remedy)
        return file.read(columns)


@contextmanager
def open_parquet(
    path: Path,
    remedy: str = MAKE_AGAIN,
    **options: Any,
) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; call its methods inside `translate_errors`.

    Raises:
        BadFile, OSError: it is none, or cannot be read
    """
    check_regular(path)
    with translate_errors(path, PARQUET, remedy):
        file = pq.ParquetFile(path, **options)
    with file:
        yield file


def read_schema(path: Path, remedy: str = MAKE_AGAIN) -> pa.Schema:
    """Return the columns of a Parquet file and their metadata.

    Raises:
        BadFile, OSError: it is none, or cannot be read
    """
    with open_parquet(path, remedy) as file, translate_errors(path, PARQUET, remedy):
        return file.schema_arrow


def read_n_rows(path: Path, remedy: str = MAKE_AGAIN) -> int:
    """Return the number of rows that the footer of a Parquet file says.

    Raises:
        BadFile, OSError: it is none, or cannot be read
    """
    with open_parquet(path, remedy) as file, translate_errors(path, PARQUET, remedy):
        return int(file.metadata.num_rows)


def read_row_group(
    file: pq.ParquetFile,
    path: Path,
    row_group: int,
    columns: Sequence[str] | None = None,
    remedy: str = MAKE_AGAIN,
) -> pa.Table:
    """Return the rows of one row group.

    Raises:
        BadFile, OSError: it is damaged, too large in memory, lacks a column, or cannot be read
    """
    with translate_errors(path, PARQUET, remedy):
        check_decoded_size(file, path, columns, remedy, [row_group])
        return file.read_row_group(row_group, columns)


def read_batches(
    file: pq.ParquetFile,
    path: Path,
    n_rows: int,
    columns: Sequence[str] | None = None,
    remedy: str = MAKE_AGAIN,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file, ``n_rows`` at a time.

    Raises:
        BadFile: it is damaged, a batch is too large in memory, or a column is missing
        OSError: it cannot be read
    """
    with translate_errors(path, PARQUET, remedy):
        check_decoded_size(file, path, columns, remedy, n_rows=n_rows)
        batches = file.iter_batches(n_rows, columns=columns)
    while True:
        with translate_errors(path, PARQUET, remedy):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def check_decoded_size(
    file: pq.ParquetFile,
    path: Path,
    columns: Sequence[str] | None = None,
    remedy: str = MAKE_AGAIN,
    row_groups: Sequence[int] | None = None,
    n_rows: int | None = None,
) -> None:
    """Insist that what is read of a Parquet file has an honest size in memory.

    Args:
        file: the open file
        path: the file
        columns: that are read; all if not given
        remedy: ends the error
        row_groups: that are read, by number; all if not given
        n_rows: that are in memory at a time; all of the row groups if not given

    Raises:
        BadFile: it would be too large
    """
    limit = _limit(path.stat().st_size)
    n_bytes = 0.0
    for group in range(file.num_row_groups) if row_groups is None else row_groups:
        chunks = _chunks(file, group, columns)
        share = 1.0
        if n_rows is not None:
            share = min(1.0, n_rows / max(1, file.metadata.row_group(group).num_rows))
        if sum(chunk.n_stored for chunk in chunks) <= limit:  # else a dictionary itself is huge
            chunks = _with_entries(path, group, chunks, limit)
        n_bytes += sum(_decoded_size(chunk, share) for chunk in chunks)
        if n_bytes > limit:
            raise BadFile(
                f"{path}: up to {to_megabytes(n_bytes)} in memory, and a file of its size may "
                f"become {to_megabytes(limit)}: {remedy}"
            )


def _limit(n_bytes: int) -> int:
    return max(LEAST_LIMIT, EXPANSION * n_bytes)


class _Chunk(NamedTuple):
    """A column of a row group, as the footer describes it."""

    name: str  # with the names of the structs and lists that it is in
    width: int  # bytes of a value; 0: text or bytes
    n_values: int
    n_stored: int  # bytes, not compressed
    has_dictionary: bool
    repeats_values: bool  # by a dictionary, or by prefixes
    longest_value: int  # bytes, at most


def _chunks(
    file: pq.ParquetFile,
    row_group: int,
    columns: Sequence[str] | None,
) -> list[_Chunk]:
    """Return the columns of a row group that are read; those asked for may be fields of structs."""
    group = file.metadata.row_group(row_group)
    chunks = []
    for i in range(group.num_columns):
        column = group.column(i)
        name = column.path_in_schema
        is_read = columns is None or any(
            name == asked or name.startswith(f"{asked}.") for asked in columns
        )
        if not is_read:
            continue
        width = WIDTHS.get(column.physical_type, 0)
        if column.physical_type == "FIXED_LEN_BYTE_ARRAY":
            width = file.schema.column(i).length
        chunk = _Chunk(
            name=name,
            width=width,
            n_values=max(group.num_rows, column.num_values),
            n_stored=column.total_uncompressed_size,
            has_dictionary=column.has_dictionary_page,
            repeats_values=column.has_dictionary_page or PREFIX_ENCODING in column.encodings,
            longest_value=column.total_uncompressed_size,
        )
        chunks.append(chunk)
    return chunks


def _decoded_size(chunk: _Chunk, share: float) -> float:
    """Return how many bytes a share of the rows of a column has in memory, at most."""
    n_values = chunk.n_values * share
    if chunk.width:
        return n_values * chunk.width
    if chunk.repeats_values:
        return chunk.n_stored + n_values * (chunk.longest_value + TEXT_WIDTH)
    return chunk.n_stored + n_values * TEXT_WIDTH


def _with_entries(
    path: Path,
    row_group: int,
    chunks: list[_Chunk],
    limit: int,
) -> list[_Chunk]:
    """Return the columns with the longest values of their dictionaries, where those matter."""
    names = []
    for chunk in chunks:
        is_small = chunk.n_values * chunk.n_stored <= limit // len(chunks)
        if chunk.has_dictionary and not chunk.width and not is_small:
            names.append(chunk.name)
    if not names:
        return chunks
    with pq.ParquetFile(path, read_dictionary=names) as file:
        batches = file.iter_batches(1, row_groups=[row_group], columns=names)
        batch = next(batches, None)
    if batch is None:
        return chunks
    longest = {name: _longest_value(batch[name]) for name in batch.schema.names}
    result = []
    for chunk in chunks:
        if chunk.name in names:
            chunk = chunk._replace(longest_value=longest[chunk.name.partition(".")[0]])
        result.append(chunk)
    return result


def _longest_value(array: pa.Array) -> int:
    """Return the bytes of the longest entry of the dictionaries that an array holds."""
    if pa.types.is_dictionary(array.type):
        return pc.max(pc.binary_length(array.dictionary)).as_py() or 0
    if pa.types.is_struct(array.type):
        return max(map(_longest_value, array.flatten()), default=0)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return _longest_value(array.values)
    return 0
