"""The file of an image: is it the one that its source has, and what does it hold besides pixels?

Programs that train see only the pixels, so whatever else lies in a file may tell of noise, or
carry anything: texts, EXIF, colour profiles, further frames, transparency, bytes after the end.
"""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools.images.pixels import (
    DecodedFile,
    Picture,
    Storage,
    decode,
    decode_picture,
    decode_to_store,
    decoding_errors,
    encode_picture,
)
from cnlw_tools.images.png import SIGNATURE

PNG_PIXELS = {b"IHDR", b"IDAT", b"IEND"}  # the chunks of an RGB picture
PNG_RGB = (8, 2)  # bits of a channel, and the number of RGB without transparency
JPEG_SIGNATURE = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
JPEG_SCAN, JPEG_COMMENT = 0xDA, 0xFE  # markers
JPEG_FRAMES = {0xC0, 0xC1, 0xC2}  # markers that begin the sizes of a picture
JPEG_CHANNELS = b"\3"  # their number, for colours
JPEG_APPLICATIONS = range(0xE0, 0xF0)
JFIF = b"JFIF\0"
BLOCK = 8  # pixels of a side


def surplus(data: bytes) -> tuple[str, ...]:
    """Return what a file holds besides RGB pixels, or that it is neither PNG nor JPEG, in words.

    The file decodes; this does not look at the pixels.
    """
    if data.startswith(SIGNATURE):
        parts = _surplus_of_png(data)
    elif data.startswith(JPEG_SIGNATURE):
        parts = _surplus_of_jpeg(data)
    else:
        parts = iter(["a format other than PNG and JPEG"])
    return tuple(dict.fromkeys(parts))


def _surplus_of_png(data: bytes) -> Iterator[str]:
    """Yield what a PNG holds besides 8-bit RGB pixels."""
    start = len(SIGNATURE)
    while start + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        kind = data[start + 4 : start + 8]
        content = start + 8
        if kind == b"IHDR" and tuple(data[content + 8 : content + 10]) != PNG_RGB:
            yield "pixels that are not 8-bit RGB"
        if kind not in PNG_PIXELS:
            yield f"a chunk {kind.decode('ascii', 'replace')}"
        start = content + length + 4
        if kind == b"IEND":
            if start != len(data):
                yield "bytes after the end"
            return
    yield "no end"


def _surplus_of_jpeg(data: bytes) -> Iterator[str]:
    """Yield what a JPEG holds besides the pixels of three channels."""
    start = 2
    while start + 4 <= len(data) and data[start] == 0xFF and data[start + 1] != JPEG_SCAN:
        marker = data[start + 1]
        (length,) = struct.unpack_from(">H", data, start + 2)
        content = start + 4
        is_plain = marker == JPEG_APPLICATIONS[0] and data.startswith(JFIF, content)
        if marker in JPEG_APPLICATIONS and not is_plain:
            yield f"a segment APP{marker - JPEG_APPLICATIONS[0]}"
        if marker == JPEG_COMMENT:
            yield "a comment"
        if marker in JPEG_FRAMES and data[content + 5 : content + 6] != JPEG_CHANNELS:
            yield "pixels that are not 8-bit RGB"
        start += 2 + length
    end = data.find(JPEG_END, start)
    if end < 0:
        yield "no end"
    elif end + len(JPEG_END) != len(data):
        yield "bytes after the end"


class Comparison(NamedTuple):
    """How the file of an image differs from the one that the build would store."""

    is_same: bool  # in its pixels; to the byte where files are stored as they come
    surplus: tuple[str, ...] = ()  # what only the file of the build holds


def decode_file(encoded: bytes) -> DecodedFile:
    """Return the pixels of a file, and whether a build may store it as it comes.

    Raises:
        ValueError: the bytes are not an image, or a part of it is missing
    """
    with decoding_errors(), Image.open(BytesIO(encoded)) as file:
        return decode_to_store(encoded, file)


def compare(
    encoded: bytes, decoded: DecodedFile, original: Picture, storage: Storage, tolerance: float
) -> Comparison:
    """Compare the file of an image with what the source has.

    Args:
        encoded: the file
        decoded: the same
        original: of the source
        storage: how the build stores images
        tolerance: largest mean difference of a block, of 255, where the file was encoded anew

    Raises:
        ValueError: the file of the source does not decode
    """
    image, is_plain = decoded
    if original == encoded and is_plain and storage.size is None:
        return Comparison(True)  # to decode the same bytes once more would tell nothing new
    if isinstance(original, bytes) or storage.size is not None:
        stored = encode_picture(original, storage)
        if stored == encoded:
            return Comparison(True)
        if stored == original:
            return Comparison(False)
        original = decode(stored)
        plain = surplus(stored)
        is_png = stored.startswith(SIGNATURE)
    else:
        original = decode_picture(original)
        plain = ()
        is_png = True
    if original.size != image.size:
        return Comparison(False)
    difference = largest_difference(original, image)
    parts = [part for part in surplus(encoded) if part not in plain]
    if encoded.startswith(SIGNATURE) != is_png:
        parts.append("another format")
    return Comparison(difference <= tolerance, tuple(parts))


def largest_difference(first: Image.Image, second: Image.Image) -> float:
    """Return how far two RGB images of one size differ: the largest mean over a block, of 255.

    A block is a square of 8 pixels in one channel; at the right and at the bottom it may be less.
    """
    if first.tobytes() == second.tobytes():
        return 0.0
    difference = np.abs(np.asarray(first).astype(np.int16) - np.asarray(second))
    return float(_block_means(difference).max())


def _block_means(values: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the mean of each block of an image with H x W pixels and 3 channels."""
    height, width = values.shape[:2]
    tops, lefts = np.arange(0, height, BLOCK), np.arange(0, width, BLOCK)
    rows = np.add.reduceat(values, tops, axis=0, dtype=np.int64)
    sums = np.add.reduceat(rows, lefts, axis=1)
    heights, widths = np.diff([*tops, height]), np.diff([*lefts, width])
    means: NDArray[np.float64] = sums / (heights[:, None] * widths)[..., None]
    return means
