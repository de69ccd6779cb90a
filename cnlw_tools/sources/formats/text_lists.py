"""Lists of images or classes as datasets publish them: text files, one line each."""

import re
from pathlib import Path

from cnlw_tools.files.texts import read_text
from cnlw_tools.sources.formats.listing import normal_form


def read_lines(path: Path) -> list[str]:
    """Return the lines of a list in NFC without surrounding blanks; empty lines are left out.

    Raises:
        OSError: the list is missing
        ValueError: it is not text
    """
    try:
        text = read_text(path, remedy="copy this file again")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the list is missing: complete your copy") from None
    lines = [line.strip() for line in normal_form(text).splitlines()]
    return [line for line in lines if line]


def read_labels(path: Path, n_classes: int) -> dict[str, int]:
    """Return the label of each image of a list whose lines are ``image label``.

    Raises:
        ValueError: a line of another form, a label out of range, or two labels for one image
    """
    labels: dict[str, int] = {}
    for row, line in enumerate(read_lines(path)):
        image, _, word = line.rpartition(" ")
        label = int(word) if word.isdecimal() else -1
        if not image or not 0 <= label < n_classes:
            highest = n_classes - 1
            raise ValueError(
                f"{path}: row {row}: {line!r} must consist of the name of an image and a label "
                f"from 0 to {highest}: fix this line"
            )
        if labels.setdefault(image.strip(), label) != label:
            raise ValueError(f"{path}: row {row}: {image!r} has two labels: keep one")
    return labels


def letters_and_digits(name: str) -> str:
    """Return a name without its other signs, in small letters: lists differ in those."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
