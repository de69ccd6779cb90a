"""The URLs to fetch, from a Parquet file with `image_id` and `uri`, read in blocks so that no size fills the memory."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cnlw_tools.registry import suggest

BLOCK = 512  # rows read at a time
LICENCE = re.compile(
    r"licen[cs]e|author|creator|attribution|credit|copyright|rights", re.IGNORECASE
)
LONGEST = 512  # bytes of an id


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: what to fetch, or why not."""

    image_id: str
    uri: str | None
    licence: str | None  # JSON
    wrong: str | None  # with the id or the URI


class Manifest:
    """A Parquet file of URLs."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file; a manifest is a .parquet file")
        try:
            self.file = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(
                f"{path}: cannot be read as Parquet ({error}); make or copy this file again"
            ) from error
        self.path, schema = path, self.file.schema_arrow
        for name in ("image_id", "uri"):
            if name not in schema.names:
                near = suggest(name, schema.names)
                raise ValueError(
                    f"{path}: column {name!r} is missing.{near} There are: {', '.join(schema.names)}"
                )
            if not _textual(schema.field(name).type):
                raise ValueError(
                    f"{path}: column {name!r} has type {schema.field(name).type}; store it as string"
                )
        self.licences = [
            name
            for name in schema.names
            if LICENCE.search(name) and _textual(schema.field(name).type)
        ]

    def __len__(self) -> int:
        return int(self.file.metadata.num_rows)

    def blocks(self) -> Iterator[list[Entry]]:
        """Yield the rows in order, some at a time.

        Raises:
            ValueError: the file is damaged
        """
        row, names = 0, ["image_id", "uri", *self.licences]
        try:
            for batch in self.file.iter_batches(BLOCK, columns=names):
                columns = [_texts(batch.column(name)) for name in names]
                yield [
                    self._entry(row + i, *values)
                    for i, values in enumerate(zip(*columns, strict=True))
                ]
                row += len(batch)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(
                f"{self.path}: damaged after row {row} ({error}); make or copy this file again"
            ) from error

    def _entry(
        self, row: int, image_id: str | None, uri: str | None, *licences: str | None
    ) -> Entry:
        said = {name: text for name, text in zip(self.licences, licences, strict=True) if text}
        licence = json.dumps(said, ensure_ascii=False) if said else None
        wrong = wrong_id(image_id) or (None if uri else "no uri")
        return Entry(image_id or f"(no id, row {row})", uri, licence, wrong)


def wrong_id(image_id: str | None) -> str | None:
    """Return what is wrong with an id: it names nothing, or as a path it would lead out of a folder."""
    if not image_id or not image_id.strip():
        return "no image_id, or one that is not UTF-8"
    if len(image_id.encode()) > LONGEST:
        return f"an image_id of more than {LONGEST} bytes"
    if not image_id.isprintable():
        return "an image_id with control characters"
    if (
        image_id.startswith(("/", "~"))
        or "\\" in image_id
        or {"..", "."} & set(image_id.split("/"))
    ):
        return "an image_id that is a path out of its folder"
    return None


def _textual(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(
        is_(inner) for is_ in (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
    )


def _texts(column: pa.Array) -> Sequence[str | None]:
    """Return the texts of a column; none where there is none, or one that is not UTF-8."""
    column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return [_text(raw) for raw in column.cast(pa.large_binary()).to_pylist()]


def _text(raw: bytes | None) -> str | None:
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        return None
