"""A Hugging Face dataset of images: its Parquet files, or what `save_to_disk` wrote, or its name on the Hub.

Images are the one column of images, labels the column `label` or the one ClassLabel. Splits are what the files, or the
folders that they lie in, are called. An id is the split and the row: ``train-00000``. A name is looked up on the Hub,
and its Parquet files are fetched into the Hub's own cache, once.
"""

import json
import re
from collections.abc import Mapping
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cnlw_tools.images.pixels import Picture
from cnlw_tools.sources.base import Local, manifest
from cnlw_tools.sources.formats.split_names import KNOWN, splits

HUB = re.compile(r"[\w.-]+/[\w.-]+")  # owner/name


class Chunk(NamedTuple):
    """Some rows that are read at once: a row group of a Parquet file, or an Arrow file, which is mapped."""

    path: Path
    group: int
    rows: int


class Hf(Local):
    """Parquet or Arrow files, as `datasets` and the Hub lay them out."""

    name = "hf"
    needs = "Parquet files, train-*.parquet ..., or a folder that save_to_disk wrote; or it is owner/name on the Hub"

    def __init__(self, data_dir: Path | None) -> None:
        if data_dir is not None and not data_dir.exists() and HUB.fullmatch(data_dir.as_posix()):
            data_dir = fetched(data_dir.as_posix())
        super().__init__(data_dir)
        self._last: tuple[Chunk, pa.Array] | None = None

    def classes(self) -> tuple[str, ...]:
        """Return the names that the data give their labels; the numbers where they give none."""
        names = self._features.get(self._columns[1], {}).get("names")
        if names is None:
            highest = max(label for part in self._chunks for label in self._labels(part))
            names = map(str, range(highest + 1))
        return tuple(names)

    def manifest(self) -> pa.Table:
        """Return a row an image, split by split.

        Raises:
            ValueError: images or labels cannot be told, or an image has no label
        """
        made = []
        for part, split in self._splits.items():
            labels = self._labels(part)
            ids = [f"{part}-{i:05d}" for i in range(len(labels))]
            made.append(manifest(ids, labels, [split] * len(ids)))
        return pa.concat_tables(made)

    def read(self, image_id: str) -> Picture:
        """Return one file as it is; of the rows that are read at once, the last ones stay in memory.

        Raises:
            LookupError: no such id
            ValueError: the row holds no bytes
        """
        part, _, number = image_id.rpartition("-")
        chunks = self._chunks.get(part, [])
        ends = list(accumulate(chunk.rows for chunk in chunks))
        if not number.isdecimal() or not ends or int(number) >= ends[-1]:
            raise LookupError(f"{self.data_dir}: no image {image_id!r}; ids run from train-00000")
        at = int(np.searchsorted(ends, int(number), side="right"))
        chunk = chunks[at]
        if self._last is None or self._last[0] != chunk:
            self._last = chunk, self._images(chunk)
        data = self._last[1][int(number) - ends[at] + chunk.rows].as_py()
        if not data:
            raise ValueError(
                f"{chunk.path}: row {int(number)} of {part} holds no image, maybe a path to one: store its bytes"
            )
        return bytes(data)

    @cached_property
    def _chunks(self) -> Mapping[str, list[Chunk]]:
        """The parts of each split, in the order of the files' names."""
        found: dict[str, list[Chunk]] = {}
        for path, (_, chunks) in self._told.items():
            found.setdefault(self._split_of(path), []).extend(chunks)
        return found

    @cached_property
    def _told(self) -> Mapping[Path, tuple[pa.Schema, list[Chunk]]]:
        return {path: told(path) for path in self._files}

    @cached_property
    def _files(self) -> list[Path]:
        paths = [self.data_dir] if self.data_dir.is_file() else sorted(self.data_dir.rglob("*"))
        kinds = {
            end: [p for p in paths if p.suffix == end and "cache-" not in p.name]
            for end in (".parquet", ".arrow")
        }
        found = kinds[".parquet"] or kinds[".arrow"]
        if not found:
            raise FileNotFoundError(
                f"{self.data_dir}: there is no Parquet or Arrow file here; hf needs {self.needs}"
            )
        return found

    def _split_of(self, path: Path) -> str:
        """Return the split that a file belongs to: the first word of its name, or a folder's name, that is one."""
        inner = path.relative_to(self.data_dir).parts if path != self.data_dir else (path.name,)
        words = [re.split(r"[-_.]", inner[-1])[0], *reversed(inner[:-1])]
        if said := [word for word in words if word in KNOWN]:
            return said[0]
        if len(self._files) == 1 or (
            path.suffix == ".arrow" and len({p.parent for p in self._files}) == 1
        ):
            return "train"
        raise ValueError(
            f"{path}: its name says of no split; call it train-..., validation-... or test-..."
        )

    @cached_property
    def _splits(self) -> Mapping[str, str]:
        return splits(self._chunks, self.data_dir)

    @cached_property
    def _schema(self) -> pa.Schema:
        (first, (schema, _)), *others = self._told.items()
        for path, (other, _) in others:
            if other != schema:
                raise ValueError(
                    f"{path}: other columns than {first}: point at the folder of one configuration"
                )
        return schema

    @cached_property
    def _features(self) -> Mapping[str, Any]:
        """What `datasets` says of the columns."""
        raw = (self._schema.metadata or {}).get(b"huggingface", b"{}")
        return dict(json.loads(raw).get("info", {}).get("features", {}))

    @cached_property
    def _columns(self) -> tuple[str, str]:
        """The columns of images and labels."""
        kind = {name: (said or {}).get("_type") for name, said in self._features.items()}
        images = [
            f.name for f in self._schema if kind.get(f.name) == "Image" or _holds_bytes(f.type)
        ]
        labels = [f.name for f in self._schema if f.name == "label" and pa.types.is_integer(f.type)]
        labels = labels or [name for name in self._schema.names if kind.get(name) == "ClassLabel"]
        for what, found in (("images", images), ("labels", labels)):
            if len(found) != 1:
                raise ValueError(
                    f"{self.data_dir}: {len(found)} columns of {what} among {', '.join(self._schema.names)}: keep one, "
                    "and call the labels label"
                )
        return images[0], labels[0]

    def _labels(self, part: str) -> list[int]:
        name = self._columns[1]
        found = [
            label
            for path in dict.fromkeys(c.path for c in self._chunks[part])
            for label in _column(path, name)
        ]
        if bad := [i for i, label in enumerate(found) if label is None or label < 0]:
            raise ValueError(
                f"{self.data_dir}: row {bad[0]} of {part} has label {found[bad[0]]}: drop rows without one"
            )
        return found

    def _images(self, chunk: Chunk) -> pa.ChunkedArray:
        """Return the encoded images of a chunk."""
        if chunk.path.suffix == ".arrow":
            column = _mapped(chunk.path)[self._columns[0]]
        else:
            with pq.ParquetFile(chunk.path) as file:
                column = file.read_row_group(chunk.group, [self._columns[0]])[self._columns[0]]
        return pa.chunked_array(
            [c.field("bytes") if pa.types.is_struct(c.type) else c for c in column.chunks]
        )


def fetched(name: str) -> Path:
    """Return the folder of a dataset of the Hub, fetched if it was not.

    Raises:
        OSError: the Hub cannot be reached, or has no such dataset
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(name, repo_type="dataset", allow_patterns=["*.parquet", "*.arrow"])
        )
    except (OSError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise FileNotFoundError(
            f"{name}: no such folder, and not to be had from the Hub ({why})"
        ) from error


def told(path: Path) -> tuple[pa.Schema, list[Chunk]]:
    """Return what a file says of itself: columns, and the rows that are read at once.

    Raises:
        ValueError: it cannot be read
    """
    try:
        if path.suffix == ".arrow":
            table = _mapped(path)
            return table.schema, [Chunk(path, 0, len(table))]
        with pq.ParquetFile(path) as file:
            rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            return file.schema_arrow, [Chunk(path, i, n) for i, n in enumerate(rows)]
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"{path}: cannot be read ({why}): copy this file again") from error


def _column(path: Path, name: str) -> list[int]:
    table = (
        _mapped(path)
        if path.suffix == ".arrow"
        else pq.read_table(path, columns=[name], partitioning=None)
    )
    return list(table[name].to_pylist())


def _mapped(path: Path) -> pa.Table:
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()


def _holds_bytes(kind: pa.DataType) -> bool:
    inner = (
        kind.field("bytes").type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        else kind
    )
    return bool(pa.types.is_binary(inner) or pa.types.is_large_binary(inner))
