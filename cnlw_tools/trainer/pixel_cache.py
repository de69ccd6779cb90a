"""Decoded pixels of a shard, kept in a cache named by the digest of the shard and the resizing.

    DIGEST-RESIZING-DECODER.images.npy    (m, 3, H, W) uint8: distinct images, by content key
    DIGEST-RESIZING-DECODER.content.npy   (rows,) uint64: content key of each encoded image

Rows that show the same image share its pixels: under dilution up to a hundred of them do. Each
file ends with its own sha256, which is compared before the file is used.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools import files
from cnlw_tools.files.arrays import map_sealed_npy, write_sealed_npy
from cnlw_tools.files.cache import default_cache as default_cache
from cnlw_tools.files.parquet import read_table
from cnlw_tools.images import pixels

SIZE_REMEDY = (
    "give --size 32, for example, to bring all images to one size, or build with --size 32"
)
BUILD_REMEDY = "run the same `cnlw build` again to fix it"
CACHE_REMEDY = "give --cache DIR, or set CNLW_CACHE, to keep decoded pixels elsewhere"


@dataclass(frozen=True, slots=True)
class Resizing:
    """How images are brought to one size."""

    side: int | None = None  # pixels; None: as they are stored, which must be the same for all
    resize: str = "squash"  # one of recipe.RESIZE but `short`

    def __str__(self) -> str:
        return "stored" if self.side is None else f"{self.resize}{self.side}"


@dataclass(frozen=True, slots=True)
class DecodedShard:
    """The distinct images of a shard, and which of them each row shows; as memory maps."""

    pixels: NDArray[np.uint8]  # (m, 3, H, W), in the order of their content keys
    keys: NDArray[np.uint64]  # (rows,) of the encoded images


def open_shard(path: Path, cache: Path, resizing: Resizing) -> DecodedShard:
    """Return the pixels of a shard, decoded unless the cache has them.

    Raises:
        ValueError: an undecodable image, images of different sizes, a damaged file
        OSError: the shard is missing, or the cache cannot be written
    """
    try:
        digest = files.digest(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: the file is missing from the build: {BUILD_REMEDY}"
        ) from None
    name = f"{digest[:32]}-{resizing}-{pixels.DECODER}"
    pixel_path = cache / f"{name}.images.npy"
    key_path = cache / f"{name}.content.npy"
    if not pixel_path.is_file():
        column = read_column(path, "image.bytes")
        keys = np.array([_content_key(data) for data in column], np.uint64)
        _, first_rows = np.unique(keys, return_index=True)
        _write_rows(key_path, keys, len(keys))
        _write_rows(pixel_path, _decode_images(path, column, first_rows, resizing), len(first_rows))
    remedy = f"delete {pixel_path}; its images are then decoded again"
    return DecodedShard(map_sealed_npy(pixel_path, remedy), map_sealed_npy(key_path, remedy))


def _decode_images(
    path: Path, column: Sequence[bytes], rows: NDArray[np.int64], resizing: Resizing
) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of the image of each of the given rows of a shard, (3, H, W).

    Raises:
        ValueError: an undecodable image, or, at the end, images of different sizes
    """
    shapes = set()
    for row in rows:
        image = _decode_image(column[row], resizing, f"{path}: row {row}")
        shapes.add(image.shape[1:])
        if len(shapes) == 1:
            yield image
    if len(shapes) > 1:
        raise ValueError(f"{path}: {describe_sizes(shapes)}: {SIZE_REMEDY}")


def read_column(path: Path, name: str) -> list[Any]:
    """Return the values of a column of a shard, or of a field of one: `image.bytes`.

    Raises:
        ValueError, OSError: the shard is damaged, or cannot be read
    """
    table = read_table(path, [name], BUILD_REMEDY)
    column = table.column(0).combine_chunks()
    if pa.types.is_struct(column.type):
        column = column.field(0)
    values: list[Any] = column.to_pylist()
    return values


def describe_sizes(shapes: Collection[tuple[int, ...]]) -> str:
    """Return how many sizes images have, and two of them, from (height, width) of each."""
    texts = [f"{width} x {height}" for height, width in sorted(shapes)]
    return (
        f"the images have {len(texts)} sizes (width x height), such as {texts[0]} and {texts[-1]}"
    )


def _content_key(data: bytes) -> int:
    digest = blake2b(data, digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _decode_image(
    data: bytes,
    resizing: Resizing,
    place: str,
) -> NDArray[np.uint8]:
    """Return (3, H, W) RGB; errors name the place."""
    try:
        image = pixels.decode(data)
    except ValueError as error:
        raise ValueError(
            f"{place} cannot be read ({error}): run `cnlw validate` on the build"
        ) from error
    if resizing.side is not None:
        image = pixels.resize(image, resizing.side, resizing.resize)
    return np.asarray(image).transpose(2, 0, 1)


def _write_rows(path: Path, rows: Iterable[NDArray[Any]], n_rows: int) -> None:
    """Write a file of the cache, or raise OSError that says how to choose another cache."""
    try:
        write_sealed_npy(path, rows, n_rows)
    except OSError as error:
        cause = error.__cause__ or error  # `atomic_write` adds a remedy that does not fit here
        reason = getattr(cause, "strerror", None) or str(cause)
        raise OSError(
            f"{error.filename or path} cannot be written ({reason}): {CACHE_REMEDY}"
        ) from error
