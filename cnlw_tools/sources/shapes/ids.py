"""The ids of all pictures: ``mug-0001`` in the base set, ``mug-web-0001`` for a candidate."""

import re
from typing import NamedTuple

from cnlw_tools.sources.shapes.drawings import CLASSES

# Pictures per class
N_TRAIN = 500
N_VALIDATION = 100
N_BASE = N_TRAIN + N_VALIDATION
N_WEB = 780

IMAGE_ID = re.compile(r"(?P<class_name>[a-z]+)-(?P<web>web-)?(?P<number>\d{4})")


class ParsedId(NamedTuple):
    """What an id says."""

    class_name: str  # of the picture, or of the search that found it
    is_web: bool


def base_ids(class_name: str) -> list[str]:
    """Return the ids of one class in the base set, those for training first."""
    return [f"{class_name}-{number:04d}" for number in range(1, N_BASE + 1)]


def web_ids(class_name: str) -> list[str]:
    """Return the ids of the candidates that a search for one class found."""
    return [f"{class_name}-web-{number:04d}" for number in range(1, N_WEB + 1)]


def parse_id(image_id: str) -> ParsedId:
    """Return what an id says.

    Raises:
        LookupError: there is no such picture
    """
    match = IMAGE_ID.fullmatch(image_id)
    if match and match["class_name"] in CLASSES:
        is_web = match["web"] is not None
        highest = N_WEB if is_web else N_BASE
        if 1 <= int(match["number"]) <= highest:
            return ParsedId(match["class_name"], is_web)
    raise LookupError(
        f"shapes has no image {image_id!r}: ids run from 'mug-0001' to 'mug-{N_BASE:04d}' and from "
        f"'mug-web-0001' to 'mug-web-{N_WEB:04d}', for each of {', '.join(CLASSES)}"
    )
