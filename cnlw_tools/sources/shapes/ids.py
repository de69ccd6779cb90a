"""The ids of all pictures: ``mug-0001`` in the base set, ``mug-web-0001`` among the web candidates."""

import re
from typing import NamedTuple

from cnlw_tools.sources.shapes.drawings import CLASSES

TRAIN, VALIDATION, WEB = 500, 100, 780  # pictures a class
FORM = re.compile(r"([a-z]+)-(web-)?(\d{4})")


class Named(NamedTuple):
    """What an id says."""

    name: str  # the class, or the class that was searched for
    web: bool


def base_ids(name: str) -> list[str]:
    """Return the ids of one class, those for training first."""
    return [f"{name}-{i:04d}" for i in range(1, TRAIN + VALIDATION + 1)]


def web_ids(name: str) -> list[str]:
    """Return the ids of the candidates that a search for one class found."""
    return [f"{name}-web-{i:04d}" for i in range(1, WEB + 1)]


def parsed(image_id: str) -> Named:
    """Take an id apart.

    Raises:
        LookupError: there is no such picture
    """
    match = FORM.fullmatch(image_id)
    if (
        match
        and match[1] in CLASSES
        and 1 <= int(match[3]) <= (WEB if match[2] else TRAIN + VALIDATION)
    ):
        return Named(match[1], bool(match[2]))
    raise LookupError(
        f"shapes has no image {image_id!r}: ids run from 'mug-0001' to 'mug-{TRAIN + VALIDATION:04d}' and from "
        f"'mug-web-0001' to 'mug-web-{WEB:04d}', for each of {', '.join(CLASSES)}"
    )
