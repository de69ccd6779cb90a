"""Parquet and Arrow files: their columns, one column at a time, and images in chunks of rows.

An Arrow file is a stream, as `datasets` writes it, or has the file format, as Feather has. A chunk
is what is read at once: a row group of a Parquet file, a record batch of an Arrow file, or a whole
Arrow stream, which is mapped into memory.
"""

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from cnlw_tools.files.arrow import ARROW, open_arrow
from cnlw_tools.files.parquet import PARQUET, open_parquet, read_row_group, read_table
from cnlw_tools.files.untrusted import COPY_AGAIN, translate_errors

PARQUET_SUFFIXES = (".parquet",)
ARROW_SUFFIXES = (".arrow", ".feather")


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
    if _is_arrow(path):
        return _open_arrow(path)
    with open_parquet(path, COPY_AGAIN) as file, translate_errors(path, PARQUET):
        chunks = []
        for number in range(file.num_row_groups):
            n_rows = file.metadata.row_group(number).num_rows
            chunks.append(Chunk(path, number, n_rows))
        return TableFile(path, _decoded(file.schema_arrow), chunks)


def read_column(file: TableFile, name: str) -> pa.ChunkedArray:
    """Return one column of all rows.

    Raises:
        ValueError: the file cannot be read
    """
    if not _is_arrow(file.path):
        column = read_table(file.path, [name], COPY_AGAIN)[name]
        with translate_errors(file.path, PARQUET):
            column.validate(full=True)
        return column
    with translate_errors(file.path, ARROW):
        position = file.schema.get_field_index(name)
        table = open_arrow(file.path, position).read_all()
        table.validate(full=True)
        return table[name]


def read_chunk(chunk: Chunk, name: str) -> pa.ChunkedArray:
    """Return one column of a chunk.

    Raises:
        ValueError: the file cannot be read
    """
    path = chunk.path
    if not _is_arrow(path):
        with open_parquet(path, COPY_AGAIN) as file:
            return read_row_group(file, path, chunk.number, [name], COPY_AGAIN)[name]
    with translate_errors(path, ARROW):
        reader = open_arrow(path)
        if isinstance(reader, pa.RecordBatchFileReader):
            table = pa.Table.from_batches([reader.get_batch(chunk.number)])
        else:
            table = reader.read_all()
        column = table[name]
        column.validate(full=True)
        return column


def _open_arrow(path: Path) -> TableFile:
    with translate_errors(path, ARROW):
        reader = open_arrow(path)
        if isinstance(reader, pa.RecordBatchFileReader):
            sizes = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
        else:
            sizes = [len(reader.read_all())]
        chunks = [Chunk(path, number, n_rows) for number, n_rows in enumerate(sizes)]
        return TableFile(path, _decoded(reader.schema), chunks)


def _decoded(schema: pa.Schema) -> pa.Schema:
    """Return a schema all of whose names are UTF-8; else Arrow would raise when one is used."""
    fields = [pa.field(field.name, field.type) for field in schema]
    return pa.schema(fields, schema.metadata)


def _is_arrow(path: Path) -> bool:
    return path.suffix.lower() in ARROW_SUFFIXES
