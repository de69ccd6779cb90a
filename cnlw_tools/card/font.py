"""Letters and colours of the pictures."""

from functools import cache

from PIL import ImageFont

PAPER, INK, FAINT, ALARM = (255, 255, 255), (24, 24, 27), (113, 113, 122), (185, 28, 28)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font, so that pictures are the same on every machine."""
    return ImageFont.load_default(size)


def fitted(name: str, size: int, width: int) -> str:
    """Return a name, cut where it would be wider than ``width`` pixels."""
    while font(size).getlength(name) > width:
        name = name[:-2] + "…"
    return name
