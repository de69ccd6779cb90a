"""Is a TIFF complete, and does Pillow read its numbers as they are meant?

Pillow leaves black what a file lacks. Where each colour lies in a plane of its own, it takes the
bytes of 16 bits for pixels of 8, and it takes signed numbers for unsigned ones.
"""

from collections.abc import Sequence
from typing import Any

from PIL import TiffImagePlugin

BITS_PER_SAMPLE, PLANES, SAMPLE_FORMAT = 258, 284, 339  # tags
APART = 2  # a value of the tag PLANES: each colour lies in a plane of its own
SIGNED = 2  # a value of the tag SAMPLE_FORMAT
REMEDY = "save it with 8 bits for each channel"


def check_tiff(file: TiffImagePlugin.TiffImageFile) -> None:
    """Check that Pillow decodes the whole of a TIFF, and as it is meant.

    Args:
        file: opened but not decoded

    Raises:
        ValueError: strips or planes are missing, or it has numbers that Pillow misreads
    """
    bands = file.getbands()
    is_raw = any(tile.codec_name == "raw" for tile in file.tile)  # libtiff reads planes well
    is_apart = file.tag_v2.get(PLANES) == APART and len(bands) > 1 and is_raw
    if is_apart and set(file.tag_v2.get(BITS_PER_SAMPLE, ())) - {8}:
        raise ValueError(
            f"its colour channels are stored in separate planes, and not with 8 bits: {REMEDY}"
        )
    if file.mode == "L" and SIGNED in file.tag_v2.get(SAMPLE_FORMAT, ()):
        raise ValueError(f"its pixels are signed numbers: {REMEDY}, from 0 to 255")
    planes: list[Sequence[Any]] = [file.tile]
    if is_apart:
        planes = [
            [tile for tile in file.tile if tile.args and tile.args[0] == band] for band in bands
        ]
    for plane in planes:
        _check_plane(file, plane)


def _check_plane(file: TiffImagePlugin.TiffImageFile, tiles: Sequence[Any]) -> None:
    """Raise if strips or tiles cover only a part of a file."""
    right = max((tile.extents[2] for tile in tiles if tile.extents), default=0)
    bottom = max((tile.extents[3] for tile in tiles if tile.extents), default=0)
    if right * bottom < file.width * file.height:
        raise ValueError(f"truncated, because it has only {right} x {bottom} of its pixels")
