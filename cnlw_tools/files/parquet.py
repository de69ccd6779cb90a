"""Parquet files.

A Parquet file stores a value once, in a dictionary, and rows that point at it: a text of 1 MB in a
million rows takes 1 MB on the disk and 1 TB in memory. The sizes in the footer do not show
that. So before text or bytes of such columns are decoded, their longest dictionary entry is read: a
column has at most its stored bytes, and one such entry a row. If that is too much, the bytes are
counted. Columns of numbers have as many bytes as rows times their width.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

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
EXPANSION = 32  # a larger file may become this many times its size; labels shrink so, ids do not
MAKE_AGAIN = "make or copy this file again"
PARQUET = "Parquet"
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}  # bytes
BUFFER_SIZE = 1 << 16  # bytes read from the disk at a time, where one row is wanted
LARGEST_BATCH = 64 << 20  # bytes of the rows that are handed over at a time
BATCH_ROWS = 1 << 16  # rows in memory at a time while texts are counted
TEXT_WIDTH = 8  # bytes of a row of text or bytes beside its content: where it begins
PREFIX_ENCODING = "DELTA_BYTE_ARRAY"  # a value is a prefix of the last one, and a rest


def read_table(
    path: Path,
    columns: Sequence[str] | None = None,
    remedy: str = MAKE_AGAIN,
) -> pa.Table:
    """Return the rows of a Parquet file.

    Args:
        path: the file
        columns: names of columns, which are returned in their order; all if not given. Of a
            struct, ``image.bytes`` is the struct with this field alone
        remedy: ends the errors

    Raises:
        BadFile, OSError: it is damaged, too large in memory, lacks a column, or cannot be read
    """
    with open_parquet(path, remedy) as file, translate_errors(path, PARQUET, remedy):
        check_decoded_size(file, path, columns, remedy)
        return _select(file.read(columns), columns)


def read_tables(
    folder: Path,
    columns: Sequence[str] | None = None,
    remedy: str = MAKE_AGAIN,
) -> pa.Table:
    """Return the rows of all Parquet files of a folder, in the order of their names.

    Raises:
        BadFile, OSError: there is none, they differ in columns, or one cannot be read
    """
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise FileNotFoundError(f"{folder}: there is no .parquet file here: {remedy}")
    tables = [read_table(path, columns, remedy) for path in paths]
    with translate_errors(folder, "files of one table", remedy):
        return pa.concat_tables(tables)


def open_parquet(path: Path, remedy: str = MAKE_AGAIN, **options: Any) -> pq.ParquetFile:
    """Open a Parquet file; call its methods inside `translate_errors`.

    It stays open until its ``close``, or until the end of a ``with`` block.

    Raises:
        BadFile, OSError: it is none, or cannot be read
    """
    check_regular(path, remedy)
    with translate_errors(path, PARQUET, remedy):
        return pq.ParquetFile(path, **options)


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
        return _select(file.read_row_group(row_group, columns), columns)


def read_plain_group(
    file: BinaryIO,
    place: Path | str,
    row_group: int,
    columns: Sequence[str],
    footer: pq.FileMetaData | None = None,
) -> tuple[pa.Table, pq.FileMetaData]:
    """Return the rows of one row group of an open file, whose columns have no dictionaries.

    Of a file in a storage, only these columns are requested, and the footer if it is not given.

    Returns:
        the rows; the footer, for the next call

    Raises:
        BadFile, OSError: it is damaged, has a dictionary, or cannot be read
    """
    with (
        translate_errors(place, PARQUET, MAKE_AGAIN),
        pq.ParquetFile(file, metadata=footer) as parquet,
    ):
        leaves = _leaves(parquet, columns)
        for chunk in _chunks(parquet, row_group, leaves, None):
            if chunk.has_dictionary or chunk.n_stored > LEAST_LIMIT:
                raise BadFile(
                    f"{place}: its column {chunk.name} is dictionary-encoded or too large: "
                    f"{MAKE_AGAIN}"
                )
        rows = _select(parquet.read_row_group(row_group, columns), columns)
        return rows, parquet.metadata


def read_batches(
    file: pq.ParquetFile,
    path: Path,
    n_rows: int,
    columns: Sequence[str] | None = None,
    remedy: str = MAKE_AGAIN,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file, ``n_rows`` at a time; fewer where its texts are very long.

    Raises:
        BadFile: it is damaged, a batch is too large in memory, or a column is missing
        OSError: it cannot be read
    """
    with translate_errors(path, PARQUET, remedy):
        check_decoded_size(file, path, columns, remedy, n_rows=n_rows)
        names = file.schema_arrow.names
        missing = [name for name in columns or () if name.partition(".")[0] not in names]
        if missing:
            raise KeyError(missing[0])
        n_rows = _rows_that_fit(file, path, columns, n_rows)
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
    """Check that the columns that are read do not take too much memory.

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
    numbers = range(file.num_row_groups) if row_groups is None else row_groups
    groups = [file.metadata.row_group(number) for number in numbers]
    leaves = _leaves(file, columns)
    n_bytes: float = sum(group.total_byte_size for group in groups)
    if n_bytes <= limit:  # else a dictionary itself may be huge
        widest = sum(leaf.width or n_bytes + TEXT_WIDTH for leaf in leaves)
        has_lists = any(leaf.is_repeated for leaf in leaves)
        if not has_lists and sum(group.num_rows for group in groups) * widest <= limit:
            return
        _try_columns(path, numbers, leaves)
        chunks = [chunk for number in numbers for chunk in _chunks(file, number, leaves, n_rows)]
        n_bytes = sum(map(_decoded_size, chunks))
        if n_bytes > limit:
            n_bytes = sum(_measured(path, chunks, limit))
    if n_bytes > limit:
        raise BadFile(
            f"{path}: up to {to_megabytes(n_bytes)} in memory, and a file of its size may "
            f"become {to_megabytes(limit)}: {remedy}"
        )


def _rows_that_fit(
    file: pq.ParquetFile,
    path: Path,
    columns: Sequence[str] | None,
    n_rows: int,
) -> int:
    """Return how many rows, at most ``n_rows``, fit into a batch if all have the longest texts."""
    numbers = range(file.num_row_groups)
    n_stored = sum(file.metadata.row_group(number).total_byte_size for number in numbers)
    if n_rows * n_stored <= LARGEST_BATCH:
        return n_rows
    leaves = _leaves(file, columns)
    _try_columns(path, numbers, leaves)
    longest = 1
    for number in numbers:
        entries = _longest_entries(path, number, _chunks(file, number, leaves, None))
        longest = max(longest, sum(entries.values()))
    return max(1, min(n_rows, LARGEST_BATCH // longest))


def _select(table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    """Return columns in the order in which they were asked for; a KeyError if one is missing."""
    if columns is None:
        return table
    return table.select([name.partition(".")[0] for name in columns])


def _limit(n_bytes: int) -> int:
    return max(LEAST_LIMIT, EXPANSION * n_bytes)


class _Leaf(NamedTuple):
    """A column as the schema describes it; of a struct, each field is one."""

    number: int
    name: str  # with the names of the structs and lists that it is in
    width: int  # bytes of a value; 0: text or bytes
    is_repeated: bool  # it has more values than rows, or fewer


class _Chunk(NamedTuple):
    """A column of a row group, as the footer describes it."""

    name: str
    width: int
    row_group: int
    n_values: float
    n_stored: int  # bytes, not compressed
    has_dictionary: bool
    has_prefixes: bool
    longest_value: int  # bytes, at most


def _leaves(file: pq.ParquetFile, columns: Sequence[str] | None) -> list[_Leaf]:
    """Return the columns that are read; those asked for may be fields of structs."""
    leaves = []
    for number in range(len(file.schema)):
        column = file.schema.column(number)
        is_read = columns is None or any(
            column.path == name or column.path.startswith(f"{name}.") for name in columns
        )
        width = WIDTHS.get(column.physical_type, 0)
        if column.physical_type == "FIXED_LEN_BYTE_ARRAY":
            width = column.length
        if is_read:
            is_repeated = column.max_repetition_level > 0
            leaves.append(_Leaf(number, column.path, width, is_repeated))
    return leaves


def _try_columns(
    path: Path,
    row_groups: Sequence[int],
    leaves: Sequence[_Leaf],
) -> None:
    """Read one row of each row group, an error if the footer describes columns wrongly.

    Reading such a footer, as `_chunks` does, would end the process.
    """
    names = [leaf.name for leaf in leaves]
    with pq.ParquetFile(path, buffer_size=BUFFER_SIZE) as file:
        for number in row_groups:
            next(file.iter_batches(1, row_groups=[number], columns=names), None)


def _chunks(
    file: pq.ParquetFile,
    row_group: int,
    leaves: Sequence[_Leaf],
    n_rows: int | None,
) -> list[_Chunk]:
    """Return columns of a row group; of lists, as many values as ``n_rows`` have on average."""
    group = file.metadata.row_group(row_group)
    share = 1.0 if n_rows is None else min(1.0, n_rows / max(1, group.num_rows))
    chunks = []
    for leaf in leaves:
        column = group.column(leaf.number)
        chunk = _Chunk(
            name=leaf.name,
            width=leaf.width,
            row_group=row_group,
            n_values=share * max(group.num_rows, column.num_values),
            n_stored=column.total_uncompressed_size,
            has_dictionary=column.has_dictionary_page,
            has_prefixes=PREFIX_ENCODING in column.encodings,
            longest_value=column.total_uncompressed_size,
        )
        chunks.append(chunk)
    return chunks


def _decoded_size(chunk: _Chunk) -> float:
    """Return how many bytes the rows of a column that are read have in memory, at most."""
    if chunk.width:
        return chunk.n_values * chunk.width
    if chunk.has_dictionary or chunk.has_prefixes:
        return chunk.n_stored + chunk.n_values * (chunk.longest_value + TEXT_WIDTH)
    return chunk.n_stored + chunk.n_values * TEXT_WIDTH


def _measured(
    path: Path,
    chunks: Sequence[_Chunk],
    limit: int,
) -> Iterator[float]:
    """Yield how many bytes columns have, counted exactly where one might have too many."""
    longest_entries = {}
    for row_group in {chunk.row_group for chunk in chunks}:
        longest_entries[row_group] = _longest_entries(path, row_group, chunks)
    for chunk in chunks:
        longest = longest_entries[chunk.row_group].get(chunk.name, chunk.longest_value)
        n_bytes = _decoded_size(chunk._replace(longest_value=longest))
        if n_bytes > limit // len(chunks) and not chunk.width:
            n_bytes = _count_bytes(path, chunk, limit)
        yield n_bytes


def _longest_entries(
    path: Path,
    row_group: int,
    chunks: Sequence[_Chunk],
) -> dict[str, int]:
    """Return the bytes of the longest dictionary entry of columns of text, by their names."""
    names = []
    for chunk in chunks:
        if chunk.row_group == row_group and chunk.has_dictionary and not chunk.width:
            names.append(chunk.name)
    if not names:
        return {}
    with pq.ParquetFile(path, read_dictionary=names) as file:
        batches = file.iter_batches(1, row_groups=[row_group], columns=names)
        batch = next(batches, None)
    if batch is None:
        return {}
    return {name: _longest_value(batch[name.partition(".")[0]]) for name in names}


def _count_bytes(path: Path, chunk: _Chunk, limit: int) -> float:
    """Return how many bytes a column of text has in memory, without having them there.

    A dictionary is kept as one. Values that repeat the one before are read so few at a time that
    they fit even if each is as long as the whole column.
    """
    names = [] if chunk.has_prefixes else [chunk.name]
    n_rows = limit // max(1, chunk.n_stored) if chunk.has_prefixes else BATCH_ROWS
    n_bytes = chunk.n_values * TEXT_WIDTH
    with pq.ParquetFile(path, read_dictionary=names) as file:
        batches = file.iter_batches(
            max(1, n_rows), row_groups=[chunk.row_group], columns=[chunk.name]
        )
        for batch in batches:
            n_bytes += _text_bytes(batch.columns[0])
            if n_bytes > limit:
                break
    return n_bytes


def _longest_value(array: pa.Array) -> int:
    """Return the bytes of the longest text that an array, or its dictionary, holds."""
    return max((pc.max(lengths).as_py() or 0 for lengths in _text_lengths(array)), default=0)


def _text_bytes(array: pa.Array) -> int:
    """Return the bytes of all texts of an array, a dictionary written out."""
    return sum(pc.sum(lengths).as_py() or 0 for lengths in _text_lengths(array, written_out=True))


def _text_lengths(array: pa.Array, written_out: bool = False) -> Iterator[pa.Array]:
    """Yield the bytes of texts in an array, its structs and lists; or in its dictionary."""
    if pa.types.is_dictionary(array.type):
        for lengths in _text_lengths(array.dictionary):
            yield lengths.take(array.indices) if written_out else lengths
    elif pa.types.is_struct(array.type):
        for field in array.flatten():
            yield from _text_lengths(field, written_out)
    elif hasattr(array, "values"):  # a list
        yield from _text_lengths(array.values, written_out)
    elif not pa.types.is_primitive(array.type) and not pa.types.is_null(array.type):
        lengths = pc.binary_length(array.cast(pa.large_binary()))
        yield lengths.cast(pa.int64())
