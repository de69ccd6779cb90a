"""A Hugging Face dataset: Parquet files, a folder from `save_to_disk`, or a dataset on the Hub.

The images are read from the only image column, and the labels from the column `label` or the only
ClassLabel column. The name of a file, or of a folder that contains it, tells the split. An image id
joins that word and the row in the split: ``train-00000``. The Parquet files of a dataset on the Hub
are downloaded once, into the Hub's own cache.
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
from cnlw_tools.sources.base import LocalSource, make_manifest
from cnlw_tools.sources.formats.split_names import split_of_name, standard_splits

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")  # owner/name


class Chunk(NamedTuple):
    """Rows that are read at once: a row group of a Parquet file, or a whole Arrow file."""

    path: Path
    row_group: int
    n_rows: int


class FileInfo(NamedTuple):
    """The schema of a file and its chunks."""

    schema: pa.Schema
    chunks: list[Chunk]


class Columns(NamedTuple):
    """The names of the two columns that are read."""

    image: str
    label: str


class HuggingFace(LocalSource):
    """Parquet or Arrow files, as `datasets` and the Hub lay them out."""

    name = "hf"
    layout = (
        "Parquet files, train-*.parquet ..., or a folder that save_to_disk wrote; "
        "or owner/name, the name of a dataset on the Hub"
    )

    def __init__(self, data_dir: Path | None) -> None:
        if data_dir is not None and not data_dir.exists():
            name = data_dir.as_posix()
            if HUB_NAME.fullmatch(name):
                data_dir = download_from_hub(name)
        super().__init__(data_dir)
        self._last_chunk: Chunk | None = None
        self._last_images: pa.ChunkedArray | None = None

    def classes(self) -> tuple[str, ...]:
        """Return the class names in the files' metadata, or the numbers if there are no names."""
        names = self._features.get(self._columns.label, {}).get("names")
        if names is not None:
            return tuple(names)
        labels = [label for word in self._chunks_of_split for label in self._labels(word)]
        return tuple(str(label) for label in range(max(labels) + 1))

    def manifest(self) -> pa.Table:
        """Return one row per image, split by split.

        Raises:
            ValueError: the image or label column is missing or ambiguous, or an image has no label
        """
        tables = []
        for word, split in self._split_of_word.items():
            labels = self._labels(word)
            ids = [f"{word}-{row:05d}" for row in range(len(labels))]
            tables.append(make_manifest(ids, labels, [split] * len(ids)))
        return pa.concat_tables(tables)

    def read(self, image_id: str) -> Picture:
        """Return the encoded image of one row, and keep its chunk in memory for the next call.

        Raises:
            LookupError: no image has this id
            ValueError: the row holds no image
        """
        word, _, number = image_id.rpartition("-")
        chunks = self._chunks_of_split.get(word, [])
        ends = list(accumulate(chunk.n_rows for chunk in chunks))
        if not number.isdecimal() or not ends or int(number) >= ends[-1]:
            raise LookupError(f"{self.data_dir}: no image {image_id!r}; ids start at train-00000")
        row = int(number)
        position = int(np.searchsorted(ends, row, side="right"))
        chunk = chunks[position]
        row_in_chunk = row - ends[position] + chunk.n_rows
        data = self._chunk_images(chunk)[row_in_chunk].as_py()
        if not data:
            raise ValueError(
                f"{chunk.path}: row {row} of {word} holds no image, perhaps only a path to one: "
                "store the bytes of the image"
            )
        return bytes(data)

    @cached_property
    def _files(self) -> list[Path]:
        """The Parquet files, or the Arrow files if there are none, without caches of `datasets`."""
        if self.data_dir.is_file():
            candidates = [self.data_dir]
        else:
            candidates = sorted(self.data_dir.rglob("*"))
        for suffix in (".parquet", ".arrow"):
            paths = [path for path in candidates if path.suffix == suffix]
            paths = [path for path in paths if "cache-" not in path.name]
            if paths:
                return paths
        raise FileNotFoundError(
            f"{self.data_dir}: there is no Parquet or Arrow file here; hf needs {self.layout}"
        )

    @cached_property
    def _file_infos(self) -> Mapping[Path, FileInfo]:
        return {path: read_file_info(path) for path in self._files}

    @cached_property
    def _chunks_of_split(self) -> Mapping[str, list[Chunk]]:
        """The chunks of each split in the order of the file names; the key is the split's word."""
        chunks: dict[str, list[Chunk]] = {}
        for path, info in self._file_infos.items():
            chunks.setdefault(self._split_word(path), []).extend(info.chunks)
        return chunks

    @cached_property
    def _split_of_word(self) -> Mapping[str, str]:
        return standard_splits(self._chunks_of_split, self.data_dir)

    def _split_word(self, path: Path) -> str:
        """Return the word that tells the split of a file.

        It is the first word of the file's name, or else the name of the nearest folder that is
        called like a split. A single Parquet file, or Arrow files in a single folder, are for
        training.
        """
        is_root = path == self.data_dir
        *folders, name = (path.name,) if is_root else path.relative_to(self.data_dir).parts
        first_word = re.split(r"[-_.]", name)[0]
        for word in (first_word, *reversed(folders)):
            if split_of_name(word):
                return word
        is_only_file = len(self._files) == 1
        has_one_folder = len({file.parent for file in self._files}) == 1
        if is_only_file or (path.suffix == ".arrow" and has_one_folder):
            return "train"
        raise ValueError(
            f"{path}: its name does not tell the split: "
            "name it train-..., validation-... or test-..."
        )

    @cached_property
    def _schema(self) -> pa.Schema:
        """The schema, which all files must share."""
        (first_path, first_info), *other_files = self._file_infos.items()
        for path, info in other_files:
            if info.schema != first_info.schema:
                raise ValueError(
                    f"{path}: its columns differ from those of {first_path}: "
                    "give the folder of one configuration"
                )
        return first_info.schema

    @cached_property
    def _features(self) -> Mapping[str, Any]:
        """What `datasets` stored about each column."""
        metadata = self._schema.metadata or {}
        content = json.loads(metadata.get(b"huggingface", b"{}"))
        return dict(content.get("info", {}).get("features", {}))

    def _feature_type(self, column: str) -> str | None:
        feature = self._features.get(column) or {}
        return feature.get("_type")

    @cached_property
    def _columns(self) -> Columns:
        """The names of the only image column and the only label column."""
        image_columns, label_columns = [], []
        for field in self._schema:
            if self._feature_type(field.name) == "Image" or _holds_bytes(field.type):
                image_columns.append(field.name)
            if field.name == "label" and pa.types.is_integer(field.type):
                label_columns.append(field.name)
        if not label_columns:
            names = self._schema.names
            label_columns = [name for name in names if self._feature_type(name) == "ClassLabel"]
        for content, names in (("images", image_columns), ("labels", label_columns)):
            if len(names) != 1:
                raise ValueError(
                    f"{self.data_dir}: {len(names)} columns of {content} among "
                    f"{', '.join(self._schema.names)}: "
                    "keep one of each, and name the column of labels `label`"
                )
        return Columns(image_columns[0], label_columns[0])

    def _labels(self, word: str) -> list[int]:
        """Return the labels of a split in the order of its rows."""
        labels: list[int] = []
        paths = dict.fromkeys(chunk.path for chunk in self._chunks_of_split[word])
        for path in paths:
            labels += _read_column(path, self._columns.label)
        for row, label in enumerate(labels):
            if label is None or label < 0:
                raise ValueError(
                    f"{self.data_dir}: row {row} of {word} has label {label}: "
                    "remove rows without a label"
                )
        return labels

    def _chunk_images(self, chunk: Chunk) -> pa.ChunkedArray:
        if self._last_chunk != chunk:
            self._last_images = _read_images(chunk, self._columns.image)
            self._last_chunk = chunk
        return self._last_images


def download_from_hub(name: str) -> Path:
    """Download the files of a dataset on the Hub that are not in the cache; return their folder.

    Raises:
        OSError: the Hub cannot be reached, or does not have the dataset
    """
    from huggingface_hub import snapshot_download

    patterns = ["*.parquet", "*.arrow"]
    try:
        folder = snapshot_download(name, repo_type="dataset", allow_patterns=patterns)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise FileNotFoundError(
            f"{name}: there is no such folder, and it cannot be downloaded from the Hub "
            f"({reason}): check the name"
        ) from error
    return Path(folder)


def read_file_info(path: Path) -> FileInfo:
    """Return the columns and the chunks of a Parquet or Arrow file.

    Raises:
        ValueError: the file cannot be read
    """
    try:
        if path.suffix == ".arrow":
            table = _map_arrow_file(path)
            return FileInfo(table.schema, [Chunk(path, 0, len(table))])
        with pq.ParquetFile(path) as file:
            chunks = []
            for group in range(file.num_row_groups):
                n_rows = file.metadata.row_group(group).num_rows
                chunks.append(Chunk(path, group, n_rows))
            return FileInfo(file.schema_arrow, chunks)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: cannot be read ({reason}): copy this file again") from error


def _read_column(path: Path, name: str) -> list[int]:
    if path.suffix == ".arrow":
        table = _map_arrow_file(path)
    else:
        table = pq.read_table(path, columns=[name], partitioning=None)
    return list(table[name].to_pylist())


def _read_images(chunk: Chunk, column_name: str) -> pa.ChunkedArray:
    """Return the encoded images of a chunk."""
    if chunk.path.suffix == ".arrow":
        table = _map_arrow_file(chunk.path)
    else:
        with pq.ParquetFile(chunk.path) as file:
            table = file.read_row_group(chunk.row_group, [column_name])
    arrays = []
    for array in table[column_name].chunks:
        is_struct = pa.types.is_struct(array.type)
        arrays.append(array.field("bytes") if is_struct else array)
    return pa.chunked_array(arrays)


def _map_arrow_file(path: Path) -> pa.Table:
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()


def _holds_bytes(data_type: pa.DataType) -> bool:
    """Return whether a column holds bytes, or structs with a field ``bytes``."""
    if pa.types.is_struct(data_type) and data_type.get_field_index("bytes") >= 0:
        data_type = data_type.field("bytes").type
    return bool(pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type))
