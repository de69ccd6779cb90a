"""A split of a build as arrays: decoded once, and numbered by the content of the images.

Only `image.bytes` and `label` are read. Example i is the one with the i-th smallest content key,
64 bits of the BLAKE2b of its encoded image. This permutation knows nothing of rows and files, so
neither their order nor their names can tell the learner which examples are noisy.

Pixels of a file are kept as a memory map in a cache, under the sha256 of the file and the size that
was asked for.
"""

import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b, sha256
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools import files
from cnlw_tools.card import metadata
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files.arrays import map_npy
from cnlw_tools.files.parquet import read_schema, read_table
from cnlw_tools.files.texts import parse_json
from cnlw_tools.files.untrusted import translate_errors
from cnlw_tools.images import pixels
from cnlw_tools.registry import pick

SIZE_REMEDY = "give --size 32, say, which brings all to one size, or build with --size 32"


@dataclass(frozen=True, slots=True)
class ImageSize:
    """The size to which images are brought."""

    side: int | None = None  # pixels; None: as they are stored, which must be the same for all
    resize: str = "squash"  # one of recipe.RESIZE but `short`

    def __str__(self) -> str:
        return "stored" if self.side is None else f"{self.resize}{self.side}"


@dataclass(frozen=True, slots=True)
class Split:
    """n examples, numbered by content. The number of an example is its position."""

    name: str
    arrays: list[NDArray[np.uint8]]  # memory maps, (rows, 3, H, W) each
    rows: NDArray[np.int64]  # (n,) row of each example in the arrays, end to end, as in `datasets`
    labels: NDArray[np.int64]  # (n,) given labels
    class_names: tuple[str, ...]
    digest: str  # of images and labels, whatever their order

    def read_images(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the pixels of m examples, (m, 3, H, W)."""
        lengths = [len(array) for array in self.arrays]
        begins = np.cumsum([0, *lengths])
        rows = self.rows[positions]
        array_index = np.searchsorted(begins, rows, side="right") - 1
        images = np.empty((len(positions), *self.image_shape), np.uint8)
        for i in np.unique(array_index):
            in_array = array_index == i
            array_rows = rows[in_array] - begins[i]
            images[in_array] = self.arrays[i][array_rows]
        return images

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Channels, height, width."""
        return self.arrays[0].shape[1:]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        _, height, width = self.image_shape
        return height, width

    def __len__(self) -> int:
        return len(self.rows)


def load_splits(
    build: Path,
    config: str,
    size: ImageSize,
    cache: Path | None = None,
    threads: int = 1,
    progress: Progress = no_progress,
) -> dict[str, Split]:
    """Return the splits of a config by name.

    Args:
        build: a folder that `cnlw build` made
        config: its name, `red_40` say
        size: of the images
        cache: where decoded pixels are kept; None: `default_cache()`
        threads: that decode
        progress: called with the stage, the files done and the files in all

    Raises:
        ValueError: no build, an undecodable image, images of different sizes, a damaged shard
        LookupError: the build has no such config
        OSError: a shard is missing, or the cache cannot be written
    """
    card = metadata.read_card(build)
    segments = pick(card.configs, config, f"config of {build}").segments
    shards: dict[str, list[Path]] = {}
    for split, names in segments.items():
        shards[split] = _shard_paths(build, card, names)
    paths = list(dict.fromkeys(chain.from_iterable(shards.values())))
    cache = cache or default_cache()
    decode = partial(decode_shard, cache=cache, size=size)
    arrays: dict[Path, Path] = {}
    progress("decode", 0, len(paths))
    with ThreadPoolExecutor(threads) as pool:  # Pillow and hashlib release the lock
        for path, array_path in zip(paths, pool.map(decode, paths), strict=True):
            arrays[path] = array_path
            progress("decode", len(arrays), len(paths))
    splits = {}
    for split, split_paths in shards.items():
        splits[split] = _open_split(split, split_paths, arrays)
    _check_one_size(splits)
    return splits


def _describe_sizes(shapes: Collection[tuple[int, ...]]) -> str:
    """Return how many sizes images have, and two of them, from (height, width) of each."""
    texts = [f"{width} x {height}" for height, width in sorted(shapes)]
    return f"images of {len(texts)} sizes (width x height), such as {texts[0]} and {texts[-1]}"


def _check_one_size(splits: Mapping[str, Split]) -> None:
    """Raise if the images of two splits differ in size: a network is made for one."""
    shapes = {split.image_size for split in splits.values()}
    if len(shapes) > 1:
        names = ", ".join(splits)
        raise ValueError(f"splits {names}: {_describe_sizes(shapes)}: {SIZE_REMEDY}")


def split_holdout(split: Split, fraction: float) -> dict[str, Split]:
    """Divide a split into `train` and `holdout`; with a fraction of 0 into `train` alone.

    The holdout is chosen by content, so without knowing the truth.
    """
    if not fraction:
        return {"train": split}
    n_holdout = max(1, round(fraction * len(split)))
    n_train = len(split) - n_holdout
    return {
        "train": _slice_split(split, "train", slice(0, n_train)),
        "holdout": _slice_split(split, "holdout", slice(n_train, None)),
    }


def _slice_split(split: Split, name: str, positions: slice) -> Split:
    rows = split.rows[positions]
    labels = split.labels[positions]
    return replace(split, name=name, rows=rows, labels=labels)


def read_verified_correctness(build: Path, config: str) -> NDArray[np.bool_]:
    """Return which given labels of the split `verified` are correct, by row.

    This is the only truth that learners may use.

    Raises:
        ValueError: the config has no such split
        LookupError: the build has no such config
    """
    card = metadata.read_card(build)
    segments = pick(card.configs, config, f"config of {build}").segments
    if "verified" not in segments:
        raise ValueError(
            f"{build}: {config} has no verified labels: build it with --verified 20, say"
        )
    is_noisy = []
    for path in _shard_paths(build, card, segments["verified"]):
        column = _read_column(path, "is_noisy")
        is_noisy.append(np.array(column, bool))
    return ~np.concatenate(is_noisy)


def read_image_ids(build: Path, config: str, split: str) -> list[str]:
    """Return the ids of a split's images, by row.

    Raises:
        LookupError: the build has no such config, or the config no such split
    """
    card = metadata.read_card(build)
    segments = pick(card.configs, config, f"config of {build}").segments
    split_segments = pick(segments, split, "split")
    image_ids: list[str] = []
    for path in _shard_paths(build, card, split_segments):
        image_ids += _read_column(path, "image_id")
    return image_ids


def default_cache() -> Path:
    """Return where decoded pixels are kept: $CNLW_CACHE, or a folder in the user's cache."""
    cache = os.environ.get("CNLW_CACHE")
    if cache:
        return Path(cache)
    user_cache = os.environ.get("XDG_CACHE_HOME")
    if user_cache:
        return Path(user_cache) / "cnlw_tools"
    return Path.home() / ".cache" / "cnlw_tools"


def decode_shard(path: Path, cache: Path, size: ImageSize) -> Path:
    """Decode a shard, unless the cache has it, and return the path of its pixels in the cache.

    The content keys of its images are stored beside the pixels.

    Raises:
        ValueError: an undecodable image, images of different sizes, a damaged file
        OSError: the shard is missing, or the cache cannot be written
    """
    try:
        digest = files.digest(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: missing from the build: run the same `cnlw build` again to fix it"
        ) from None
    array_path = cache / f"{digest[:32]}-{size}-{pixels.DECODER}.npy"
    if array_path.is_file():
        return array_path
    keys = []
    images = []
    for i, data in enumerate(_read_column(path, "image.bytes")):
        keys.append(_content_key(data))
        images.append(_decode_image(data, size, f"{path}: row {i}"))
    shapes = {image.shape[1:] for image in images}
    if len(shapes) > 1:
        raise ValueError(f"{path}: {_describe_sizes(shapes)}: {SIZE_REMEDY}")
    _write_array(_keys_path(array_path), np.array(keys, np.uint64))
    _write_array(array_path, np.stack(images))
    return array_path


def _content_key(data: bytes) -> int:
    digest = blake2b(data, digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _write_array(path: Path, array: NDArray[Any]) -> None:
    with files.atomic_write(path) as draft, draft.open("wb") as file:
        np.save(file, array)


def _open_split(
    name: str,
    paths: list[Path],
    array_paths: dict[Path, Path],
) -> Split:
    """Open the pixel arrays of the shards of a split, and sort its examples by key and label."""
    arrays = []
    shard_keys = []
    shard_labels = []
    for path in paths:
        array_path = array_paths[path]
        arrays.append(_open_array(array_path))
        shard_keys.append(_open_array(_keys_path(array_path)))
        shard_labels.append(_read_labels(path))
    shapes = {array.shape[2:] for array in arrays}
    if len(shapes) > 1:
        raise ValueError(f"split {name}: {_describe_sizes(shapes)}: {SIZE_REMEDY}")
    keys = np.concatenate(shard_keys)
    labels = np.concatenate(shard_labels)
    rows = np.lexsort((labels, keys))
    labels = labels[rows]
    content = keys[rows].tobytes() + labels.tobytes()
    digest = sha256(content).hexdigest()
    return Split(name, arrays, rows, labels, _read_class_names(paths[0]), digest)


def _open_array(path: Path) -> NDArray[Any]:
    """Memory-map a file of the cache."""
    array_path = path.with_name(path.name.replace(".keys", ""))
    return map_npy(path, f"delete {array_path}, and its images are decoded again")


def _read_labels(path: Path) -> NDArray[np.int64]:
    """Return the given labels of a shard, (rows,), each of a class that its schema names."""
    labels = _read_column(path, "label")
    n_classes = len(_read_class_names(path))
    for i, label in enumerate(labels):
        if label is None or not 0 <= label < n_classes:
            raise ValueError(
                f"{path}: row {i}: label {label} of {n_classes} classes: "
                f"run `cnlw validate` on the build"
            )
    return np.array(labels, np.int64)


def _shard_paths(
    build: Path,
    card: metadata.BuildCard,
    segments: list[str],
) -> list[Path]:
    """Return the shards of a split in the order in which `datasets` reads them."""
    paths = []
    for segment in segments:
        for name in sorted(card.shards):
            if name.startswith(f"{segment}-"):
                paths.append(build / "data" / name)
    return paths


def _read_column(path: Path, name: str) -> list[Any]:
    table = read_table(path, [name], "run the same `cnlw build` again to fix it")
    column = table.column(0).combine_chunks()
    if pa.types.is_struct(column.type):
        column = column.field(0)
    values: list[Any] = column.to_pylist()
    return values


def _decode_image(
    data: bytes,
    size: ImageSize,
    place: str,
) -> NDArray[np.uint8]:
    """Return (3, H, W) RGB; errors name the place."""
    try:
        image = pixels.decode(data)
    except ValueError as error:
        raise ValueError(f"{place}: {error}: run `cnlw validate` on the build") from error
    if size.side is not None:
        image = pixels.resize(image, size.side, size.resize)
    return np.asarray(image).transpose(2, 0, 1)


def _keys_path(array_path: Path) -> Path:
    return array_path.with_suffix(".keys.npy")


def _read_class_names(path: Path) -> tuple[str, ...]:
    """Return the class names in the schema of a shard."""
    schema = read_schema(path)
    with translate_errors(path, "a shard of `cnlw build`", "its schema must name the classes"):
        metadata = parse_json(schema.metadata[b"huggingface"], f"{path}: its metadata")
        return tuple(metadata["info"]["features"]["label"]["names"])
