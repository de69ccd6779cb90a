"""Parquet and Arrow files: their columns, one column at a time, and images in chunks of rows.

An Arrow file is a stream, as `datasets` writes it, or has the file format, as Feather has. A chunk
is what is read at once: a row group of a Parquet file, a record batch of an Arrow file, or a whole
Arrow stream, which is mapped into memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

PARQUET_SUFFIXES = (".parquet",)
ARROW_SUFFIXES = (".arrow", ".feather")
FILE_FORMAT = b"ARROW1"  # how an Arrow file begins that is no stream
FEATHER_1 = b"FEA1"


class Chunk(NamedTuple):
    """Rows of a file that are read at once."""

    path: Path
    number: int
    n_rows: int


class TableFile(NamedTuple):
    """A file with its columns and its chunks."""

    path: Path
    schema: pa.Schema
    chunks: list[Chunk]


def open_table_file(path: Path) -> TableFile:
    """Return what a file holds, without its rows.

    Raises:
        ValueError: the file cannot be read
    """
    with _named_errors(path):
        if _is_arrow(path):
            return _open_arrow(path)
        with pq.ParquetFile(path) as file:
            chunks = []
            for number in range(file.num_row_groups):
                n_rows = file.metadata.row_group(number).num_rows
                chunks.append(Chunk(path, number, n_rows))
            return TableFile(path, file.schema_arrow, chunks)


def read_column(file: TableFile, name: str) -> pa.ChunkedArray:
    """Return one column of all rows.

    Raises:
        ValueError: the file cannot be read
    """
    with _named_errors(file.path):
        if not _is_arrow(file.path):
            return pq.read_table(file.path, columns=[name], partitioning=None)[name]
        column = file.schema.get_field_index(name)
        options = pa.ipc.IpcReadOptions(included_fields=[column])
        table = _open_reader(file.path, options).read_all()
        table.validate(full=True)
        return table[name]


def read_chunk(chunk: Chunk, name: str) -> pa.ChunkedArray:
    """Return one column of a chunk.

    Raises:
        ValueError: the file cannot be read
    """
    with _named_errors(chunk.path):
        if not _is_arrow(chunk.path):
            with pq.ParquetFile(chunk.path) as file:
                return file.read_row_group(chunk.number, [name])[name]
        reader = _open_reader(chunk.path)
        if isinstance(reader, pa.RecordBatchFileReader):
            table = pa.Table.from_batches([reader.get_batch(chunk.number)])
        else:
            table = reader.read_all()
        column = table[name]
        column.validate(full=True)
        return column


def _open_arrow(path: Path) -> TableFile:
    reader = _open_reader(path)
    if isinstance(reader, pa.RecordBatchFileReader):
        sizes = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
    else:
        sizes = [len(reader.read_all())]
    chunks = [Chunk(path, number, n_rows) for number, n_rows in enumerate(sizes)]
    return TableFile(path, reader.schema, chunks)


def _open_reader(
    path: Path, options: pa.ipc.IpcReadOptions | None = None
) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
    file = pa.memory_map(str(path))
    magic = file.read(len(FILE_FORMAT))
    file.seek(0)
    if magic.startswith(FEATHER_1):
        raise ValueError(f"{path}: Feather of version 1: write it again as version 2")
    if magic == FILE_FORMAT:
        return pa.ipc.open_file(file, options=options)
    return pa.ipc.open_stream(file, options=options)


def _is_arrow(path: Path) -> bool:
    return path.suffix.lower() in ARROW_SUFFIXES


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Turn what a library raises for a damaged file into an error that names it."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: cannot be read ({reason}): copy this file again") from error
