"""Things that are none of the ten classes, drawn as these are: for noise that brings foreign images in."""

from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from PIL import Image

from cnlw_tools.sources.base import make_manifest
from cnlw_tools.sources.shapes.chance import Chance
from cnlw_tools.sources.shapes.drawings import AROUND
from cnlw_tools.sources.shapes.scene import scene

TRAIN, VALIDATION = 48, 12  # pictures a thing
THINGS = {
    name.replace(" ", "-"): drawing
    for around in AROUND.values()
    for name, drawing in sorted((around.lookalikes | around.related).items())
}


class ShapesOthers:
    """Seventy-five look-alikes and related things, such as a web search for the ten classes finds; 64 pixels a side."""

    layout: ClassVar[str] = ""

    def __init__(self, data_dir: Path | None = None) -> None:
        """Accept a folder like every source; nothing is read from it."""

    def classes(self) -> tuple[str, ...]:
        """Return their names."""
        return tuple(THINGS)

    def manifest(self) -> pa.Table:
        """Return the base manifest: ids are like ``oil-can-0001``."""
        split = ["train"] * TRAIN + ["validation"] * VALIDATION
        ids = [f"{name}-{i:04d}" for name in THINGS for i in range(1, len(split) + 1)]
        return make_manifest(ids, [i // len(split) for i in range(len(ids))], split * len(THINGS))

    def read(self, image_id: str) -> Image.Image:
        """Draw one image.

        Raises:
            LookupError: there is no such image
        """
        name, _, number = image_id.rpartition("-")
        if name not in THINGS or not (
            len(number) == 4 and number.isdecimal() and 1 <= int(number) <= TRAIN + VALIDATION
        ):
            raise LookupError(
                f"shapes_others has no image {image_id!r}: ids are like 'oil-can-0001'"
            )
        return scene(THINGS[name], Chance(image_id))
