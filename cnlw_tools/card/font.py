"""Letters and colours of the pictures."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
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


def drawable_names(names: Sequence[str]) -> list[str]:
    """Return names of classes in letters that the font has.

    It has those of English. Accents are left out; a name that has other letters, or that would then
    be that of two classes, becomes the number of the class, which the card lists with its name.

    Args:
        names: in label order
    """
    plain = [_leave_out_accents(name) for name in names]
    counts = Counter(plain)
    drawable = []
    for label, (name, letters) in enumerate(zip(names, plain, strict=True)):
        is_clear = name == letters or counts[letters] == 1
        has_letters = bool(letters) and all(map(_has_letter, letters))
        drawable.append(letters if is_clear and has_letters else f"class {label}")
    return drawable


def _leave_out_accents(name: str) -> str:
    """Return a name with plain letters in place of letters with accents."""
    letters = unicodedata.normalize("NFD", name)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@cache
def _has_letter(letter: str) -> bool:
    """Return whether the font has a letter; it draws one box for all others."""
    font = load_font(12)
    return bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))


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
