"""The URLs to fetch: a Parquet file with the columns `image_id` and `uri`.

It is read in blocks, so that memory does not grow with the size of the file.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from cnlw_tools.files.parquet import open_parquet, read_batches
from cnlw_tools.registry import suggest

BLOCK_ROWS = 512  # rows read at a time
MAX_ID_BYTES = 512
LICENCE_COLUMN = re.compile(
    r"licen[cs]e|author|creator|attribution|credit|copyright|rights", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One image to fetch."""

    image_id: str
    uri: str | None
    licence: str | None  # JSON: the columns on licences and authors
    problem: str | None  # why the image cannot be fetched: an invalid id, or no URI


class Urls(Protocol):
    """The images to fetch, in an order that stays."""

    def __len__(self) -> int:
        """Return how many rows there are."""
        ...

    def read_blocks(self) -> Iterator[list[ManifestRow]]:
        """Yield the rows in order, a block at a time."""
        ...


class Manifest:
    """A Parquet file of URLs."""

    def __init__(self, path: Path) -> None:
        """Open a manifest.

        Raises:
            OSError: there is no such file
            ValueError: it is not Parquet, or a column is missing or has a wrong type
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file; a manifest is a .parquet file")
        self.file = open_parquet(path, buffer_size=1 << 20, pre_buffer=False)
        self.path = path
        schema = self.file.schema_arrow
        for name in ("image_id", "uri"):
            _check_column(path, schema, name)
        self.licence_columns = []
        for field in schema:
            if LICENCE_COLUMN.search(field.name) and _is_text(field.type):
                self.licence_columns.append(field.name)

    def __len__(self) -> int:
        return int(self.file.metadata.num_rows)

    def read_blocks(self) -> Iterator[list[ManifestRow]]:
        """Yield the rows in order, a block at a time.

        Raises:
            ValueError: the file is damaged
        """
        n_read = 0
        names = ["image_id", "uri", *self.licence_columns]
        for batch in read_batches(self.file, self.path, BLOCK_ROWS, names):
            columns = [_to_texts(batch.column(name)) for name in names]
            rows = []
            for number, values in enumerate(zip(*columns, strict=True), n_read):
                rows.append(self._make_row(number, *values))
            yield rows
            n_read += len(batch)

    def _make_row(
        self, number: int, image_id: str | None, uri: str | None, *licences: str | None
    ) -> ManifestRow:
        by_column = zip(self.licence_columns, licences, strict=True)
        texts = {name: text for name, text in by_column if text}
        licence = json.dumps(texts, ensure_ascii=False) if texts else None
        problem = find_id_problem(image_id)
        if problem is None and not uri:
            problem = "no uri"
        return ManifestRow(image_id or f"(no id, row {number})", uri, licence, problem)


def find_id_problem(image_id: str | None) -> str | None:
    """Return why an image id is invalid, or None if it is valid.

    A valid id is a printable text; used as a path, it would not lead out of a folder.
    """
    if not image_id or not image_id.strip():
        return "no image_id, or one that is not UTF-8"
    if len(image_id.encode()) > MAX_ID_BYTES:
        return f"an image_id of more than {MAX_ID_BYTES} bytes"
    if not image_id.isprintable():
        return "an image_id with control characters"
    parts = image_id.split("/")
    if image_id.startswith(("/", "~")) or "\\" in image_id or ".." in parts or "." in parts:
        return "an image_id that is a path out of its folder"
    return None


def _check_column(path: Path, schema: pa.Schema, name: str) -> None:
    """Raise an error unless the file has this column, with texts."""
    if name not in schema.names:
        suggestion = suggest(name, schema.names)
        columns = ", ".join(schema.names)
        raise ValueError(
            f"{path}: column {name!r} is missing.{suggestion} The columns are: {columns}"
        )
    type_ = schema.field(name).type
    if not _is_text(type_):
        raise ValueError(f"{path}: column {name!r} has type {type_}; store it as string")


def _is_text(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
    return any(is_of_type(type_) for is_of_type in checks)


def _to_texts(column: pa.Array) -> list[str | None]:
    """Return the texts of a column; a value that is null or not UTF-8 becomes None."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    values = column.cast(pa.large_binary()).to_pylist()
    return [_decode(value) for value in values]


def _decode(raw: bytes | None) -> str | None:
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        return None
