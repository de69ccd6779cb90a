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
from io import BytesIO
from struct import Struct
from typing import Any, Literal, NamedTuple

from PIL import Image, JpegImagePlugin, _imaging

DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG file", "Inconsistent progression sequence")
MAX_PADDING = 64  # bytes that some cameras write between the last block and the end marker
SCALES = (8, 4, 2)
COLOR_SPACES = {"L": "GRAY", "RGB": "RGBX", "CMYK": "CMYK"}
RAW_MODES = {"L": "L", "RGB": "RGBX"}  # Pillow too keeps RGB in four bytes
FRAMES = {0xC0: False, 0xC2: True}  # marker of a frame -> whether it is progressive
SCAN = 0xDA  # the marker of the first scan
# Pillow reads nothing else from these segments that a picture depends on: tables of quantisation
# and of codes, the interval of restarts, a comment
PLAIN_SEGMENTS = frozenset({0xDB, 0xC4, 0xDD, 0xFE})
JFIF, PROFILE = 0xE0, 0xE2  # segments whose content has a name
NAMES = {JFIF: b"JFIF\0", PROFILE: b"ICC_PROFILE\0"}
LEAST_BYTES = 16  # of a segment with a name
FRAME_BYTES = 17  # of the segment of a frame with three channels

_empty_images = {mode: Image.new(mode, (0, 0)) for mode in RAW_MODES}
_segment_head = Struct(">BBH").unpack_from  # 0xFF, marker, length without the marker
_frame_head = Struct(">BHHB").unpack_from  # bits, height, width, channels
_padding = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")


class PlainJpeg(NamedTuple):
    """The head of a JPEG in colour without EXIF data, as Pillow describes it where it opens one."""

    width: int
    height: int
    info: dict[str, int]  # `progressive`, if it is
    mode: str = "RGB"
    format: str = "JPEG"

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height."""
        return self.width, self.height


def read_plain_head(data: bytes) -> PlainJpeg | None:
    """Return the head of a JPEG if nothing in it is unusual; Pillow takes five times as long."""
    position = 2
    head = None
    while position + 4 <= len(data):
        start, marker, n_bytes = _segment_head(data, position)
        position += 2
        end = position + n_bytes
        if start != 0xFF or n_bytes < 2 or end > len(data):
            return None
        if marker == SCAN:
            return head
        if marker in FRAMES:
            if head:
                return None
            head = _read_frame(data, position + 2, n_bytes, FRAMES[marker])
        elif not _is_plain_segment(data, marker, position + 2, n_bytes):
            return None
        position = end
    return None


def _read_frame(data: bytes, position: int, n_bytes: int, is_progressive: bool) -> PlainJpeg | None:
    """Return what the segment of a frame says, unless it is unusual."""
    if n_bytes != FRAME_BYTES:
        return None
    n_bits, height, width, n_channels = _frame_head(data, position)
    if n_bits != 8 or n_channels != 3 or not width or not height:
        return None
    return PlainJpeg(width, height, {"progressive": 1} if is_progressive else {})


def _is_plain_segment(data: bytes, marker: int, position: int, n_bytes: int) -> bool:
    """Return whether a segment has nothing that says more about a picture."""
    if marker in PLAIN_SEGMENTS:
        return True
    name = NAMES.get(marker)
    return name is not None and n_bytes >= LEAST_BYTES and data.startswith(name, position)


def decode_jpeg(
    data: bytes,
    file: Image.Image | PlainJpeg,
    mode: Literal["L", "RGB"],
    min_side: int | None = None,
) -> Image.Image:
    """Decode a JPEG to the pixels that Pillow gives; one in grey or CMYK keeps its mode.

    Args:
        data: the content of the file
        file: the same, opened by Pillow but not decoded yet; or its head, if that is plain
        mode: of the result, if the file is in colour; L is its brightness
        min_side: the pixels that each side must keep: blocks of 2, 4 or 8 may be averaged

    Raises:
        ValueError: a part of the file is missing
        OSError: Pillow cannot decode it
    """
    if isinstance(file, Image.Image) and file.mode not in RAW_MODES:
        _decompress(data, file, file.mode, scale=8)  # to notice damage
        file.load()
        return file
    if file.mode == "L":
        mode = "L"
    scale = choose_scale(file, min_side)
    pixels = _decompress(data, file, mode, scale)
    if pixels is None:
        if isinstance(file, PlainJpeg):
            file = JpegImagePlugin.JpegImageFile(BytesIO(data), "")
        file.draft(mode, (file.width // scale, file.height // scale))
        file.load()
        return file
    return _wrap(pixels, mode)


def _wrap(pixels: Any, mode: str) -> Image.Image:
    """Return an image of pixels, (height, width, channels), which are not copied.

    `Image.frombuffer` does the same, but for RGB it would copy them.
    """
    height, width = pixels.shape[:2]
    layout = (mode, 0, 1)
    core = _imaging.map_buffer(pixels, (width, height), "raw", 0, layout)
    image = _empty_images[mode]._new(core)
    image.readonly = 1
    return image


def choose_scale(file: Image.Image | PlainJpeg, min_side: int | None) -> int:
    """Return how many times smaller a file may be decoded."""
    if min_side:
        for scale in SCALES:
            if min(file.size) >= scale * min_side:
                return scale
    return 1


def _decompress(data: bytes, file: Image.Image | PlainJpeg, mode: str, scale: int) -> Any:
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
