"""A split of a build as arrays: decoded once, and numbered by what the images are.

Only `image.bytes` and `label` are read. Example i is the one with the i-th smallest content key, 64 bits of
the BLAKE2b of its encoded image: a permutation that knows nothing of rows and files, so neither their order nor
their names can whisper which examples are noisy.

Pixels of a file are kept as a memory map in a cache, under the sha256 of the file and the size asked for.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools import files
from cnlw_tools.card import metadata
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.images import pixels
from cnlw_tools.registry import pick


@dataclass(frozen=True, slots=True)
class Size:
    """To what images are brought, if anything."""

    side: int | None = None  # pixels; none: as they are stored, which must be all alike
    resize: str = "squash"  # one of recipe.RESIZE but `short`

    def __str__(self) -> str:
        return "stored" if self.side is None else f"{self.resize}{self.side}"


@dataclass(frozen=True, slots=True)
class Split:
    """n examples, numbered by content."""

    name: str
    parts: list[NDArray[np.uint8]]  # memory maps, (rows, 3, H, W) each
    row: NDArray[
        np.int64
    ]  # (n,) the row of example i in the parts, end to end: as `datasets` counts them
    label: NDArray[np.int64]  # (n,) given labels
    classes: tuple[str, ...]
    digest: str  # of images and labels, whatever their order

    def take(self, at: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the pixels of examples ``at``, (m, 3, H, W)."""
        begins = np.cumsum([0, *map(len, self.parts)])
        row = self.row[at]
        part = np.searchsorted(begins, row, side="right") - 1
        out = np.empty((len(at), *self.shape), np.uint8)
        for p in np.unique(part):
            mine = part == p
            out[mine] = self.parts[p][row[mine] - begins[p]]
        return out

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height, width."""
        return self.parts[0].shape[1:]

    def __len__(self) -> int:
        return len(self.row)


def load(
    build: Path,
    config: str,
    size: Size,
    cache: Path | None = None,
    workers: int = 1,
    tell: Progress = no_progress,
) -> dict[str, Split]:
    """Return the splits of a config by name.

    Args:
        build: a folder that `cnlw build` made
        config: its name, `red_40` say
        size: of the images
        cache: where decoded pixels are kept; `default_cache()` where none is given
        workers: threads that decode
        tell: is told the stage, the files done and the files in all

    Raises:
        ValueError: no build, an image that does not decode, images of different sizes, a damaged shard
        LookupError: the build has no such config
        OSError: a shard is missing, or the cache cannot be written
    """
    card = metadata.read_card(build)
    segments = pick(card.configs, config, f"config of {build}").segments
    paths = {split: _files(build, card, names) for split, names in segments.items()}
    jobs = [
        (path, cache or default_cache(), size)
        for path in dict.fromkeys(p for some in paths.values() for p in some)
    ]
    tell("decode", 0, len(jobs))
    kept: dict[Path, Path] = {}
    with ThreadPoolExecutor(
        workers
    ) as pool:  # to decode and to hash, Pillow and hashlib let go of the lock
        for done, (path, where) in enumerate(pool.map(decode, jobs), 1):
            kept[path] = where
            tell("decode", done, len(jobs))
    return {
        name: _split(name, [(path, kept[path]) for path in some]) for name, some in paths.items()
    }


def held_out(split: Split, share: float) -> dict[str, Split]:
    """Part a split into `train` and, for a share that is not 0, `holdout`: by content, so without knowing the truth."""
    if not share:
        return {"train": split}
    end = len(split) - max(1, round(share * len(split)))
    parts = {"train": slice(0, end), "holdout": slice(end, None)}
    return {
        name: replace(split, name=name, row=split.row[at], label=split.label[at])
        for name, at in parts.items()
    }


def verdicts(build: Path, config: str) -> NDArray[np.bool_]:
    """Return which given labels of the split `verified` are correct, by row: the only truth that is for learners.

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
    paths = _files(build, card, segments["verified"])
    return ~np.concatenate([np.array(_column(path, "is_noisy"), bool) for path in paths])


def ids(build: Path, config: str, split: str) -> list[str]:
    """Return the ids of a split's images, by row.

    Raises:
        LookupError: the build has no such config, or that no such split
    """
    card = metadata.read_card(build)
    segments = pick(card.configs, config, f"config of {build}").segments
    return [
        name
        for path in _files(build, card, pick(segments, split, "split"))
        for name in _column(path, "image_id")
    ]


def default_cache() -> Path:
    """Return where decoded pixels are kept: $CNLW_CACHE, or a folder in the user's cache."""
    if said := os.environ.get("CNLW_CACHE"):
        return Path(said)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cnlw_tools"


def decode(job: tuple[Path, Path, Size]) -> tuple[Path, Path]:
    """Decode a file, unless the cache has it; return the file, and its pixels' place (its keys' lie beside).

    Raises:
        ValueError: an image that does not decode, images of different sizes, a damaged file
        OSError: the file is missing, or the cache cannot be written
    """
    path, cache, size = job
    try:
        where = cache / f"{files.digest(path)[:32]}-{size}-pillow{PIL.__version__}.npy"
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: missing from the build: run the same `cnlw build` again to mend it"
        ) from None
    if not where.is_file():
        encoded = _column(path, "image.bytes")
        keys = [int.from_bytes(blake2b(data, digest_size=8).digest(), "little") for data in encoded]
        pixels = [_pixels(data, size, f"{path}: row {i}") for i, data in enumerate(encoded)]
        if len({p.shape for p in pixels}) > 1:
            shapes = sorted({p.shape[1:] for p in pixels})
            raise ValueError(
                f"{path}: images of {len(shapes)} sizes, {shapes[0]} and {shapes[1]}: {SIZE}"
            )
        for place, array in ((_keys(where), np.array(keys, np.uint64)), (where, np.stack(pixels))):
            with files.atomic_write(place) as draft, draft.open("wb") as out:
                np.save(out, array)
    return path, where


SIZE = "write size = 32, say, into a preset, or build with --size 32"


def _split(name: str, found: list[tuple[Path, Path]]) -> Split:
    """Put the files of a split together."""
    parts = [_cached(where) for _, where in found]
    if len({p.shape[1:] for p in parts}) != 1:
        raise ValueError(
            f"split {name}: images of sizes {sorted({p.shape[2:] for p in parts})}: {SIZE}"
        )
    keys = np.concatenate([_cached(_keys(where)) for _, where in found])
    label, classes = np.concatenate([_labels(path) for path, _ in found]), _classes(found[0][0])
    row = np.lexsort((label, keys))
    digest = sha256(keys[row].tobytes() + label[row].tobytes()).hexdigest()
    return Split(name, parts, row, label[row], classes, digest)


def _cached(where: Path) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(where, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        beside = where.with_name(where.name.replace(".keys", ""))
        raise ValueError(
            f"{where}: damaged ({error}): delete {beside}, and its images are decoded again"
        ) from error
    return found


def _labels(path: Path) -> NDArray[np.int64]:
    """Return the given labels of a file, (rows,), each of a class that its schema names."""
    values, many = _column(path, "label"), len(_classes(path))
    for i, label in enumerate(values):
        if label is None or not 0 <= label < many:
            raise ValueError(
                f"{path}: row {i}: label {label} of {many} classes: run `cnlw validate` on the build"
            )
    return np.array(values, np.int64)


def _files(build: Path, card: metadata.BuildCard, segments: list[str]) -> list[Path]:
    """Return the files of a split in the order in which `datasets` reads them."""
    return [
        build / "data" / name
        for s in segments
        for name in sorted(card.shards)
        if name.startswith(f"{s}-")
    ]


def _column(path: Path, name: str) -> list[Any]:
    try:
        table = pq.read_table(path, columns=[name])
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0]
        raise ValueError(
            f"{path}: a damaged shard ({why}): run the same `cnlw build` again to mend it"
        ) from error
    values: list[Any] = table.column(0).to_pylist()
    return values


def _pixels(data: bytes, size: Size, where: str) -> NDArray[np.uint8]:
    """Return (3, H, W) RGB."""
    try:
        image = pixels.decode(data)
    except ValueError as error:
        raise ValueError(f"{where}: {error}: run `cnlw validate` on the build") from error
    if size.side is not None:
        image = pixels.resize(image, size.side, size.resize)
    return np.asarray(image).transpose(2, 0, 1)


def _keys(where: Path) -> Path:
    return where.with_suffix(".keys.npy")


def _classes(path: Path) -> tuple[str, ...]:
    """Return the class names that the file's schema says."""
    try:
        said = json.loads(pq.read_schema(path).metadata[b"huggingface"])
        return tuple(said["info"]["features"]["label"]["names"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: its schema names no classes ({error!r}): not a shard of `cnlw build`"
        ) from error
