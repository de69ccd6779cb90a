"""A split of a build as arrays: decoded once, and numbered by the content of the images.

Only `image.bytes` and `label` are read. Example i is the one with the i-th smallest content key,
64 bits of the BLAKE2b of its encoded image. This permutation knows nothing of rows and files, so
neither their order nor their names can tell the learner which examples are noisy.

Pixels are memory maps of files in a cache; see pixel_cache.py.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.card import metadata
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files.parquet import read_schema
from cnlw_tools.files.texts import parse_json
from cnlw_tools.files.untrusted import translate_errors
from cnlw_tools.registry import pick
from cnlw_tools.trainer.pixel_cache import (
    SIZE_REMEDY,
    DecodedShard,
    Resizing,
    default_cache,
    describe_sizes,
    open_shard,
    read_column,
)


@dataclass(frozen=True, slots=True)
class Split:
    """n examples, numbered by content. The number of an example is its position."""

    name: str
    arrays: list[NDArray[np.uint8]]  # memory maps of distinct images, (m, 3, H, W) each
    image_index: NDArray[np.int64]  # (n,) place of each example's image in the arrays, end to end
    rows: NDArray[np.int64]  # (n,) row of each example in the split, as in `datasets`
    labels: NDArray[np.int64]  # (n,) given labels
    class_names: tuple[str, ...]
    digest: str  # of images and labels, whatever their order

    def read_images(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the pixels of m examples, (m, 3, H, W)."""
        lengths = [len(array) for array in self.arrays]
        begins = np.cumsum([0, *lengths])
        image_index = self.image_index[positions]
        array_index = np.searchsorted(begins, image_index, side="right") - 1
        images = np.empty((len(positions), *self.image_shape), np.uint8)
        for i in np.unique(array_index):
            in_array = array_index == i
            places = image_index[in_array] - begins[i]
            images[in_array] = self.arrays[i][places]
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
    resizing: Resizing,
    cache: Path | None = None,
    threads: int = 1,
    progress: Progress = no_progress,
) -> dict[str, Split]:
    """Return the splits of a config by name.

    Args:
        build: a folder that `cnlw build` made
        config: its name, `red_40` say
        resizing: of the images
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
    decode = partial(open_shard, cache=cache, resizing=resizing)
    decoded_shards: dict[Path, DecodedShard] = {}
    progress("decode", 0, len(paths))
    with ThreadPoolExecutor(threads) as pool:  # Pillow and hashlib release the lock
        for path, shard in zip(paths, pool.map(decode, paths), strict=True):
            decoded_shards[path] = shard
            progress("decode", len(decoded_shards), len(paths))
    splits = {}
    for split, split_paths in shards.items():
        splits[split] = _open_split(split, split_paths, decoded_shards)
    _check_one_size(splits)
    return splits


def _check_one_size(splits: Mapping[str, Split]) -> None:
    """Raise if the images of two splits differ in size: a network is made for one."""
    shapes = {split.image_size for split in splits.values()}
    if len(shapes) > 1:
        names = ", ".join(splits)
        raise ValueError(f"splits {names}: {describe_sizes(shapes)}: {SIZE_REMEDY}")


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
    return replace(
        split,
        name=name,
        image_index=split.image_index[positions],
        rows=split.rows[positions],
        labels=split.labels[positions],
    )


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
            f"{build}: {config} has no verified labels: build it with --verified, for example "
            "--verified 20"
        )
    is_noisy = []
    for path in _shard_paths(build, card, segments["verified"]):
        column = read_column(path, "is_noisy")
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
        image_ids += read_column(path, "image_id")
    return image_ids


def _open_split(
    name: str,
    paths: list[Path],
    decoded_shards: Mapping[Path, DecodedShard],
) -> Split:
    """Join the shards of a split, and sort its examples by key and label."""
    arrays: list[NDArray[np.uint8]] = []
    shard_keys = []
    shard_labels = []
    for path in paths:
        shard = decoded_shards[path]
        arrays.append(shard.pixels)
        shard_keys.append(shard.keys)
        shard_labels.append(_read_labels(path))
    shapes = {array.shape[2:] for array in arrays}
    if len(shapes) > 1:
        raise ValueError(f"split {name}: {describe_sizes(shapes)}: {SIZE_REMEDY}")
    keys = np.concatenate(shard_keys)
    labels = np.concatenate(shard_labels)
    rows = np.lexsort((labels, keys))
    labels = labels[rows]
    content = keys[rows].tobytes() + labels.tobytes()
    digest = sha256(content).hexdigest()
    image_index = _image_places(shard_keys)[rows]
    return Split(name, arrays, image_index, rows, labels, read_class_names(paths[0]), digest)


def _image_places(shard_keys: list[NDArray[np.uint64]]) -> NDArray[np.int64]:
    """Return where the image of each row of a split lies in its arrays, end to end, (n,).

    Copies of an image, also in other shards, share the place of the first.

    Args:
        shard_keys: (rows,) content keys of each shard; its array has one image a distinct key
    """
    places = []
    begin = 0
    for keys in shard_keys:
        distinct, index = np.unique(keys, return_inverse=True)
        places.append(begin + index)
        begin += len(distinct)
    _, first_row, index = np.unique(
        np.concatenate(shard_keys), return_index=True, return_inverse=True
    )
    place_of_image: NDArray[np.int64] = np.concatenate(places)[first_row]
    return place_of_image[index]


def _read_labels(path: Path) -> NDArray[np.int64]:
    """Return the given labels of a shard, (rows,), each of a class that its schema names."""
    labels = read_column(path, "label")
    n_classes = len(read_class_names(path))
    for i, label in enumerate(labels):
        if label is None or not 0 <= label < n_classes:
            raise ValueError(
                f"{path}: row {i} has label {label}, but there are {n_classes} classes: "
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


def read_class_names(path: Path) -> tuple[str, ...]:
    """Return the class names in the schema of a shard.

    Raises:
        ValueError: the file is not a shard of a build
        OSError: it cannot be read
    """
    schema = read_schema(path)
    with translate_errors(path, "a shard of `cnlw build`", "its schema must name the classes"):
        metadata = parse_json(schema.metadata[b"huggingface"], f"{path}: its metadata")
        return tuple(metadata["info"]["features"]["label"]["names"])
