"""`shapes_others`, a donor for open-set noise, shows objects that are in no class of `shapes`."""

import re
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from PIL import Image

from cnlw_tools.sources.base import make_manifest
from cnlw_tools.sources.shapes.drawings import NEIGHBOURS
from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.scene import Drawing, draw_scene

# Pictures per thing
N_TRAIN = 48
N_VALIDATION = 12
N_PICTURES = N_TRAIN + N_VALIDATION

IMAGE_ID = re.compile(r"(?P<thing>.*)-(?P<number>\d{4})", re.DOTALL)


def _all_things() -> dict[str, Drawing]:
    """Return the drawing of each look-alike and related thing, by class and then by name."""
    things = {}
    for neighbours in NEIGHBOURS.values():
        drawings = neighbours.lookalikes | neighbours.related
        for name in sorted(drawings):
            things[name.replace(" ", "-")] = drawings[name]
    return things


THINGS = _all_things()


class ShapesOthers:
    """The 75 look-alikes and related things that a web search finds; 64 pixels a side."""

    layout: ClassVar[str] = ""

    def __init__(self, data_dir: Path | None = None) -> None:
        """Accept a folder like every source; nothing is read from it."""

    def classes(self) -> tuple[str, ...]:
        """Return the names of the things."""
        return tuple(THINGS)

    def manifest(self) -> pa.Table:
        """Return the base manifest: ids are like ``oil-can-0001``."""
        ids = []
        labels = []
        for label, name in enumerate(THINGS):
            ids += [f"{name}-{number:04d}" for number in range(1, N_PICTURES + 1)]
            labels += [label] * N_PICTURES
        splits_of_thing = ["train"] * N_TRAIN + ["validation"] * N_VALIDATION
        return make_manifest(ids, labels, splits_of_thing * len(THINGS))

    def read(self, image_id: str) -> Image.Image:
        """Draw one image.

        Raises:
            LookupError: there is no such image
        """
        match = IMAGE_ID.fullmatch(image_id)
        if match and match["thing"] in THINGS and 1 <= int(match["number"]) <= N_PICTURES:
            return draw_scene(THINGS[match["thing"]], Rng(image_id))
        raise LookupError(f"shapes_others has no image {image_id!r}: ids are like 'oil-can-0001'")
