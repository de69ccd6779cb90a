"""Letters and colours of the pictures."""

from functools import cache

from PIL import ImageFont

PAPER = (255, 255, 255)
INK = (24, 24, 27)
FAINT = (113, 113, 122)
ALARM = (185, 28, 28)


@cache
def load_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font, so that pictures are the same on every machine."""
    return ImageFont.load_default(size)


def shorten(
    name: str,
    size: int,
    width: int,
) -> str:
    """Return a name, cut to a width in pixels and marked with an ellipsis if it is wider."""
    font = load_font(size)
    while font.getlength(name) > width:
        name = name[:-2] + "…"
    return name


def wrap(
    text: str,
    size: int,
    width: int,
) -> list[str]:
    """Return the lines of a text that is at most so wide in pixels; no word is cut."""
    font = load_font(size)
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
