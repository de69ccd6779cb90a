"""A Hugging Face dataset is read from Parquet files, a folder of `save_to_disk`, or the Hub.

The dataset itself says which files belong to which split. It must have one image column. Labels are
read from the column `label` or from the only ClassLabel column. If files number the classes
differently, classes are matched by name. An image id consists of the name of the split, as the
dataset calls it, and the number of the row in the split: ``train-00000``. The Parquet files of a
dataset on the Hub are downloaded once into the cache of the library `huggingface_hub`, and the
manifest records the commit.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.files.texts import parse_json
from cnlw_tools.files.untrusted import describe_error
from cnlw_tools.images.pixels import Picture
from cnlw_tools.recipe.inputs import SourceOptions
from cnlw_tools.sources.base import LocalSource, make_manifest
from cnlw_tools.sources.formats.class_labels import (
    JoinedLabels,
    is_label_type,
    join_labels,
    normalise_names,
    read_labels,
)
from cnlw_tools.sources.formats.data_files import DataFiles, find_data_files
from cnlw_tools.sources.formats.dataset_card import (
    CARD,
    SAVED_INFO,
    YAML_CARD,
    class_names,
    read_saved_names,
)
from cnlw_tools.sources.formats.split_choice import choose_splits
from cnlw_tools.sources.formats.table_files import (
    Chunk,
    TableFile,
    open_table_file,
    read_chunk,
    read_column,
)

HUB_NAME = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")  # owner/name
COMMIT = re.compile("[0-9a-f]{40}")
HUB_FILES = ["*.parquet", "*.arrow", "*.feather", "*.json", CARD, YAML_CARD]

CONTENT_OF_ROW = {"image": "the bytes of one image", "label": "one number, name or truth value"}

FindColumns = Callable[[TableFile], list[str]]
FitsType = Callable[[pa.DataType], bool]


class Columns(NamedTuple):
    """The names of the two columns that are read."""

    image: str
    label: str


class HuggingFace(LocalSource):
    """Parquet or Arrow files, as `datasets` and the Hub lay them out."""

    name = "hf"
    layout = (
        "Parquet files, train-*.parquet ..., or a folder that save_to_disk wrote; "
        "or, in place of a folder, owner/name, a dataset on the Hub"
    )
    takes_options = True

    def __init__(self, data_dir: Path | None, options: SourceOptions | None = None) -> None:
        self.options = options or SourceOptions()
        place = data_dir
        if data_dir is not None and not data_dir.exists():
            match = HUB_NAME.fullmatch(data_dir.as_posix())
            if match:
                revision = match["revision"] or self.options.revision
                data_dir = download_from_hub(match["name"], revision)
        super().__init__(data_dir)
        commit = _read_commit(self.data_dir, place, self.options.revision)
        self.options = replace(self.options, revision=commit)
        self._last_chunk: Chunk | None = None
        self._last_images: pa.ChunkedArray | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.data_dir, self.options)

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes of all files.

        Raises:
            ValueError: files contradict each other about them, or an image has no label
        """
        return self._labels.classes

    @property
    def left_out(self) -> Counter[str]:
        """The Parquet or Arrow files that belong to no split."""
        return Counter(self._data_files.left_out)

    def manifest(self) -> pa.Table:
        """Return one row per image, split by split.

        Raises:
            ValueError: the image or label column is missing or ambiguous, or an image has no label
        """
        tables = []
        for split_name, split in self._split_of_name.items():
            labels = [self._labels.of_file[file.path] for file in self._files[split_name]]
            n_rows = sum(map(len, labels))
            self._check_count(split_name, n_rows)
            ids = [f"{split_name}-{row:05d}" for row in range(n_rows)]
            tables.append(make_manifest(ids, np.concatenate(labels).tolist(), [split] * n_rows))
        return pa.concat_tables(tables)

    def read(self, image_id: str) -> Picture:
        """Return the encoded image of one row, and keep its chunk in memory for the next call.

        Raises:
            LookupError: no image has this id
            ValueError: the row holds no image
        """
        split_name, _, number = image_id.rpartition("-")
        chunks, ends = self._chunks.get(split_name, ([], [0]))
        if not number.isdecimal() or int(number) >= ends[-1]:
            raise LookupError(
                f"{self.data_dir}: there is no image {image_id!r}; ids start at train-00000"
            )
        row = int(number)
        position = int(np.searchsorted(ends, row, side="right"))
        chunk = chunks[position]
        row_in_chunk = row - ends[position] + chunk.n_rows
        data = self._chunk_images(chunk)[row_in_chunk].as_py()
        if not data:
            raise ValueError(
                f"{chunk.path}: row {row} of {split_name} contains no image, but perhaps only "
                "a path to "
                "one: store the bytes of the image"
            )
        return bytes(data)

    @cached_property
    def _data_files(self) -> DataFiles:
        return find_data_files(self.data_dir, self.options.config)

    @cached_property
    def _split_of_name(self) -> Mapping[str, str]:
        """What each split is for that is read, by the dataset's own name of it."""
        for split_name in self._data_files.config.n_rows:
            if split_name not in self._data_files.files and not self.options.splits:
                raise FileNotFoundError(
                    f"{self.data_dir}: {CARD} lists a split {split_name}, which has no file: "
                    "complete your copy, or choose others with `cnlw import --split NAME`"
                )
        return choose_splits(self._data_files.files, self.options.splits, self.data_dir)

    @cached_property
    def _files(self) -> Mapping[str, list[TableFile]]:
        """The files of each split that is read; the key is the dataset's own name of it."""
        files = {}
        self._reject_shared_files()
        for split_name in self._split_of_name:
            tables = [open_table_file(path) for path in self._data_files.files[split_name]]
            files[split_name] = [
                file for file in tables if any(chunk.n_rows for chunk in file.chunks)
            ]
            if not files[split_name]:
                raise ValueError(
                    f"{self.data_dir}: the split {split_name} has no rows: choose others with "
                    "`cnlw import --split NAME`"
                )
        return files

    def _reject_shared_files(self) -> None:
        """Raise if a file belongs to two splits, which would then share images."""
        name_of_path: dict[Path, str] = {}
        for split_name in self._split_of_name:
            for path in self._data_files.files[split_name]:
                if path in name_of_path:
                    raise ValueError(
                        f"{path}: it belongs to the splits {name_of_path[path]} and {split_name}: "
                        f"leave one out with `cnlw import --split {name_of_path[path]}`"
                    )
                name_of_path[path] = split_name

    @cached_property
    def _chunks(self) -> Mapping[str, tuple[list[Chunk], list[int]]]:
        """The chunks of each split, and the row at which each ends."""
        chunks_of_split = {}
        for split_name, files in self._files.items():
            chunks = [chunk for file in files for chunk in file.chunks]
            ends = list(accumulate((chunk.n_rows for chunk in chunks), initial=0))
            chunks_of_split[split_name] = (chunks, ends[1:] or [0])
        return chunks_of_split

    @cached_property
    def _columns(self) -> Columns:
        files = [file for group in self._files.values() for file in group]
        card_names = self._data_files.config.class_names
        find_labels = partial(find_label_columns, card_names=card_names)
        image = self.options.image_column or common_column(files, "image", find_image_columns)
        label = self.options.label_column or common_column(files, "label", find_labels)
        check_column(files, image, "image", holds_bytes)
        check_column(files, label, "label", is_label_type)
        return Columns(image, label)

    @cached_property
    def _labels(self) -> JoinedLabels:
        columns = []
        name = self._columns.label
        for split_name, files in self._files.items():
            other_splits = [choice for choice in self._split_of_name if choice != split_name]
            remedy = "remove the rows without a label"
            if other_splits:
                choices = " ".join(f"--split {choice}" for choice in other_splits)
                remedy += f", or leave the split {split_name} out: cnlw import {choices}"
            for file in files:
                names = self._class_names(file, name)
                columns.append(read_labels(read_column(file, name), name, file.path, names, remedy))
        return join_labels(columns)

    def _class_names(self, file: TableFile, column: str) -> tuple[str, ...] | None:
        """Return what the numbers of a label column stand for, as the file or a card says.

        Raises:
            ValueError: two of these contradict each other
        """
        place = f"{file.path}: column {column!r}"
        names_by_place = {
            file.path.name: class_names(read_features(file).get(column)),
            SAVED_INFO: read_saved_names(file.path.parent).get(column),
            CARD: self._data_files.config.class_names.get(column),
        }
        lists = {}
        for name, names in names_by_place.items():
            if names:
                lists[name] = normalise_names(names, place)
        if len(set(lists.values())) > 1:
            raise ValueError(
                f"{place}: {' and '.join(lists)} differ in the names of the classes, or in their "
                "order: fix the wrong one, or write the file again"
            )
        return next(iter(lists.values()), None)

    def _check_count(self, split_name: str, n_rows: int) -> None:
        """Raise if the card counts other rows."""
        expected = self._data_files.config.n_rows.get(split_name, n_rows)
        if expected != n_rows:
            raise ValueError(
                f"{self.data_dir}: the split {split_name} has {n_rows:,} rows, but {CARD} says "
                f"{expected:,}: complete your copy, or fix `dataset_info` there"
            )

    def _chunk_images(self, chunk: Chunk) -> pa.ChunkedArray:
        if self._last_chunk != chunk:
            self._last_images = _read_images(chunk, self._columns.image)
            self._last_chunk = chunk
        return self._last_images


def download_from_hub(name: str, revision: str = "") -> Path:
    """Download the files of a dataset on the Hub that are not in the cache; return their folder.

    The name of that folder is the commit.

    Args:
        name: owner/name
        revision: a commit, a branch or a tag. Default: the newest commit

    Raises:
        OSError: the Hub cannot be reached, or does not have the dataset
    """
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            name,
            repo_type="dataset",
            revision=revision or None,
            allow_patterns=HUB_FILES,
        )
    except (OSError, ValueError) as error:
        reason = describe_error(error)
        at = f" at {revision}" if revision else ""
        raise FileNotFoundError(
            f"{name}: there is no such folder, and it cannot be downloaded from the Hub{at} "
            f"({reason}): check the name"
        ) from error
    return Path(folder)


def find_image_columns(file: TableFile) -> list[str]:
    """Return the columns that hold images: those that say so, or else all that hold bytes."""
    names = [field.name for field in file.schema if holds_bytes(field.type)]
    features = read_features(file)
    declared = [name for name in names if _feature_type(features, name) == "Image"]
    return declared or names


def find_label_columns(file: TableFile, card_names: Collection[str]) -> list[str]:
    """Return the columns that hold labels: `label`, or else those whose classes have names.

    Args:
        file: any
        card_names: the columns for which the card of the dataset has names of classes
    """
    names = [field.name for field in file.schema if is_label_type(field.type)]
    if "label" in names:
        return ["label"]
    features = read_features(file)
    declared = [name for name in names if _feature_type(features, name) == "ClassLabel"]
    return declared or [name for name in names if name in card_names]


def common_column(files: Sequence[TableFile], content: str, find_columns: FindColumns) -> str:
    """Return the only column of a content that all files have.

    Args:
        files: all of a dataset
        content: image or label
        find_columns: returns the columns of a file that may be meant

    Raises:
        ValueError: a file has no such column, or there are several
    """
    candidates = find_columns(files[0])
    for file in files:
        in_file = find_columns(file)
        candidates = [name for name in candidates if name in in_file]
        if not candidates or (len(candidates) > 1 and file is files[-1]):
            raise ValueError(
                f"{file.path}: {len(candidates)} columns may contain {content}s. The columns are "
                f"{', '.join(file.schema.names)}: choose a column that every file has with "
                f"`cnlw import --{content}-column NAME`; each row must hold "
                f"{CONTENT_OF_ROW[content]}"
            )
    return candidates[0]


def check_column(files: Sequence[TableFile], name: str, content: str, fits: FitsType) -> str:
    """Return the name of a column that every file must have once, with a type that fits.

    Raises:
        ValueError: a file has no such column, or several, or one of another type
    """
    for file in files:
        n_columns = file.schema.names.count(name)
        if n_columns != 1:
            raise ValueError(
                f"{file.path}: {n_columns} columns are called {name!r} among "
                f"{', '.join(file.schema.names)}: every file must have one; choose it with "
                f"`cnlw import --{content}-column NAME`"
            )
        data_type = file.schema.field(name).type
        if not fits(data_type):
            raise ValueError(
                f"{file.path}: column {name!r} is of type {data_type}, which contains no "
                f"{content}: "
                f"choose another with `cnlw import --{content}-column NAME`"
            )
    return name


def read_features(file: TableFile) -> Mapping[str, Any]:
    """Return what `datasets` stored in a file about each column.

    Raises:
        ValueError: it is not JSON
    """
    text = (file.schema.metadata or {}).get(b"huggingface", b"{}")
    content = parse_json(text, f"{file.path}: the metadata of datasets", "write the file again")
    for key in ("info", "features"):
        content = content.get(key) if isinstance(content, Mapping) else None
    return content if isinstance(content, Mapping) else {}


def holds_bytes(data_type: pa.DataType) -> bool:
    """Return whether a column holds bytes, or structs with a field ``bytes``."""
    if pa.types.is_struct(data_type) and data_type.get_field_index("bytes") >= 0:
        data_type = data_type.field("bytes").type
    is_binary = pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type)
    return bool(is_binary or pa.types.is_binary_view(data_type))


def _feature_type(features: Mapping[str, Any], name: str) -> str | None:
    feature = features.get(name)
    return feature.get("_type") if isinstance(feature, Mapping) else None


def _read_commit(folder: Path, place: Path | None, imported_commit: str) -> str:
    """Return the commit of a folder of the Hub's cache, or of other folders the one imported.

    Raises:
        ValueError: the dataset was imported at another one
    """
    commit = folder.name if COMMIT.fullmatch(folder.name) else imported_commit
    if imported_commit and commit != imported_commit:
        raise ValueError(
            f"{place}: this is commit {commit}, but the dataset was imported at "
            f"{imported_commit}: omit the revision, or import the dataset again"
        )
    return commit


def _read_images(chunk: Chunk, column_name: str) -> pa.ChunkedArray:
    """Return the encoded images of a chunk."""
    arrays = []
    for array in read_chunk(chunk, column_name).chunks:
        is_struct = pa.types.is_struct(array.type)
        # `flatten` counts a null struct as null bytes, `field` would not
        arrays.append(pc.struct_field(array, "bytes") if is_struct else array)
    return pa.chunked_array(arrays)
