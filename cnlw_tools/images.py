"""Pixels: how an image is stored, and how two are compared.

An image that needs no resize is stored as it came. Pixels and PNG become PNG, anything else that has to
be encoded again becomes JPEG. Shrinking averages areas, enlarging is bicubic. Of a JPEG of which a small square is
made the decoder averages the first factor of 2, 4 or 8, as far as twice the square is left.
"""

from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from operator import gt, itemgetter
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Picture = bytes | Image.Image  # an encoded file as it came, or pixels where the source holds pixels
# endings of image files
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"})
GREY = (127, 127, 127)  # what `pad` pads with
_AT = np.arange(81).reshape(9, 9)  # the pixels that a fingerprint compares, across and then down,
_PAIRS = [(_AT[:8, :8], _AT[:8, 1:]), (_AT[:8, :8], _AT[1:, :8])]  # and each quarter of its bytes sees the whole image
_FROM, _TO = (itemgetter(*np.stack(part).reshape(32, 4).T.flat) for part in zip(*_PAIRS, strict=True))


@dataclass(frozen=True, slots=True)
class Storage:
    """How images are stored: the same for all configs of a build."""

    size: int | None = None  # pixels of the side; none: as the image came
    resize: str = "squash"  # to size x size | crop: the middle | pad: the whole, on grey | short: the shorter side
    quality: int = 95  # of JPEG
    shard_rows: int = 1000  # images of one file


def stored(picture: Picture, how: Storage) -> bytes:
    """Return the file that a build holds for an image.

    Raises:
        ValueError: the bytes are no image, or a truncated one
    """
    least = 2 * how.size if how.size and how.resize == "squash" else None
    image = decode(picture, least) if isinstance(picture, bytes) else picture
    if how.size is None and isinstance(picture, bytes):
        return picture
    lossless = not isinstance(picture, bytes) or picture.startswith(b"\x89PNG")
    if how.size is not None:
        came, image = image.size, resized(image, how.size, how.resize)
        if isinstance(picture, bytes) and image.size == came:
            return picture
    out = BytesIO()
    if lossless:
        image.save(out, "PNG")
    else:
        image.save(out, "JPEG", quality=how.quality)
    return out.getvalue()


def decode(data: bytes, least: int | None = None) -> Image.Image:
    """Decode a file to RGB, the way up that it is meant to be seen.

    Args:
        data: the file
        least: pixels of both sides that are enough; a JPEG may come smaller than it is, by 2, 4 or 8

    Raises:
        ValueError: the bytes are no image, or a truncated one
    """
    try:
        with Image.open(BytesIO(data)) as image:
            if least:
                image.draft(image.mode, (least, least))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            upright: Image.Image = image
            if upright.mode.startswith("I;16"):  # of which Pillow would keep the lowest values and clip the rest
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            clear = upright.mode == "P" and "transparency" in upright.info  # Pillow wants two steps from there
            upright = upright.convert("RGBA") if clear else upright
            return upright if upright.mode == "RGB" else upright.convert("RGB")  # a copy costs as much as decoding
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not an image that can be decoded ({error})") from error


def resized(image: Image.Image, size: int, how: str) -> Image.Image:
    """Resize by one of the four rules of `Storage`."""
    box = (size, size)
    if how == "squash":
        return _scaled(image, box)
    scale = size / (max if how == "pad" else min)(image.size)
    whole = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = _scaled(image, whole)
    if how == "crop":
        left, top = (whole[0] - size) // 2, (whole[1] - size) // 2
        return image.crop((left, top, left + size, top + size))
    return ImageOps.pad(image, box, color=GREY) if how == "pad" else image


def pixel_digest(image: Image.Image) -> str:
    """Return the sha256 of the RGB pixels, row by row."""
    return sha256(image.convert("RGB").tobytes()).hexdigest()


def fingerprint(image: Image.Image) -> bytes:
    """Return 16 bytes that hardly change when an image is encoded again: signs of its 8 x 8 gradients, both ways."""
    grey = image if image.mode == "L" else image.convert("L")
    small = grey.resize((9, 9), Image.Resampling.BOX).tobytes()
    bits = bytes(map(gt, _TO(small), _FROM(small)))
    return int(bits.hex()[1::2], 2).to_bytes(16, "big")  # of a byte 0 or 1 the second digit is the bit


def alike(prints: NDArray[np.uint8], within: Literal[0, 1, 2, 3] = 3) -> NDArray[np.int64]:
    """Return the (pairs, 2) rows, first < second, whose fingerprints differ in at most ``within`` bits.

    Rows with one and the same fingerprint are paired with the first of them alone, and it stands for all.
    If two differ in at most 3 bits, one of four 32-bit quarters is equal: sort by each quarter in turn
    and compare only inside runs of equal quarters.

    Args:
        prints: (n, 16) fingerprints
        within: bits
    """
    distinct, first, group = np.unique(prints, axis=0, return_index=True, return_inverse=True)
    same = np.flatnonzero(first[group] != np.arange(len(group)))  # rows whose print an earlier row has
    words = np.ascontiguousarray(distinct).view("<u4")  # (distinct, 4)
    found = [_close(words, np.argsort(words[:, q], kind="stable"), q, within) for q in range(4)]
    pairs = np.concatenate([*(first[p] for p in found), np.stack([first[group[same]], same], 1)])
    return np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int64)


def _close(words: NDArray[np.uint32], order: NDArray[np.int64], quarter: int, within: int) -> NDArray[np.int64]:
    """Compare each row with the ones behind it, 1, 2, 3 ... places on, for as long as any quarter is still equal."""
    found = [np.empty((0, 2), np.int64)]
    at = np.arange(len(order))
    for gap in range(1, len(order)):
        at = at[: np.searchsorted(at, len(order) - gap)]
        at = at[words[order[at], quarter] == words[order[at + gap], quarter]]
        if not len(at):
            break
        a, b = order[at], order[at + gap]
        near = np.bitwise_count(words[a] ^ words[b]).sum(1) <= within
        found.append(np.stack([a[near], b[near]], 1))
    return np.concatenate(found)


def _scaled(image: Image.Image, to: tuple[int, int]) -> Image.Image:
    shrinks = to[0] <= image.width and to[1] <= image.height
    return image.resize(to, Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC)
