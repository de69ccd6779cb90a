"""Decoding JPEG, and noticing that a part of it is missing.

libjpeg fills missing parts with grey and only warns, and Pillow does not pass its warnings on. So
JPEGs are decoded by `simplejpeg`, which runs the same libjpeg-turbo and gives the same pixels. A
JPEG is damaged if its compressed data end before the last block, contain an invalid code, or go on
after the last block, or if its end marker is missing. Damage after which the data still hold just
as many valid codes as there are blocks cannot be noticed: a flipped bit in a coefficient, say. A
file whose head is unusual, in its sampling for example, is decoded by Pillow, which notices less.
"""

import re
from functools import partial
from typing import Any, Literal

from PIL import Image

DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG file", "Inconsistent progression sequence")
MAX_PADDING = 64  # bytes that some cameras write between the last block and the end marker
SCALES = (8, 4, 2)
COLOR_SPACES = {"L": "GRAY", "RGB": "RGBX", "CMYK": "CMYK"}
RAW_MODES = {"L": "L", "RGB": "RGBX"}  # Pillow too keeps RGB in four bytes

_padding = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")


def decode_jpeg(
    data: bytes,
    file: Image.Image,
    mode: Literal["L", "RGB"],
    min_side: int | None = None,
) -> Image.Image:
    """Decode a JPEG to the pixels that Pillow gives; one in grey or CMYK keeps its mode.

    Args:
        data: the content of the file
        file: the same, opened by Pillow but not decoded yet
        mode: of the result, if the file is in colour; L is its brightness
        min_side: the pixels that each side must keep: blocks of 2, 4 or 8 may be averaged

    Raises:
        ValueError: a part of the file is missing
        OSError: Pillow cannot decode it
    """
    if file.mode not in RAW_MODES:
        _decompress(data, file, file.mode, scale=8)  # to notice damage
        file.load()
        return file
    if file.mode == "L":
        mode = "L"
    scale = choose_scale(file, min_side)
    pixels = _decompress(data, file, mode, scale)
    if pixels is None:
        file.draft(mode, (file.width // scale, file.height // scale))
        file.load()
        return file
    height, width = pixels.shape[:2]
    return Image.frombytes(mode, (width, height), pixels, "raw", RAW_MODES[mode])


def choose_scale(file: Image.Image, min_side: int | None) -> int:
    """Return how many times smaller a file may be decoded."""
    if min_side:
        for scale in SCALES:
            if min(file.size) >= scale * min_side:
                return scale
    return 1


def _decompress(data: bytes, file: Image.Image, mode: str, scale: int) -> Any:
    """Return the pixels, (height, width, channels); none if only Pillow can decode the file.

    Raises:
        ValueError: a part of the file is missing
    """
    import simplejpeg  # takes long to import, because of numpy

    decode = partial(
        simplejpeg.decode_jpeg,
        data,
        COLOR_SPACES[mode],
        fastdct=False,
        fastupsample=False,
        min_height=-(-file.height // scale),  # rounded up
        min_width=-(-file.width // scale),
    )
    try:
        return decode()
    except ValueError as error:
        message = str(error)
    padding = _padding.match(message)
    if padding and int(padding[1]) <= MAX_PADDING:
        return decode(strict=False)
    if message.startswith(DAMAGE):
        raise ValueError(f"truncated or damaged: {message}")
    return None
