"""The embedded dataset: everyday objects drawn from the image id alone, so that a benchmark needs no download."""

from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from PIL import Image

from cnlw_tools.sources.shapes.chance import Chance
from cnlw_tools.sources.shapes.drawings import CLASSES
from cnlw_tools.sources.shapes.ids import parsed
from cnlw_tools.sources.shapes.scene import scene
from cnlw_tools.sources.shapes.tables import base_manifest
from cnlw_tools.sources.shapes.web import candidate


class Shapes:
    """Ten classes of everyday objects, and what a web search for them finds; 64 pixels a side."""

    layout: ClassVar[str] = ""

    def __init__(self, data_dir: Path | None = None) -> None:
        """Accept a folder like every source; nothing is read from it."""

    def classes(self) -> tuple[str, ...]:
        """Return their names."""
        return tuple(CLASSES)

    def manifest(self) -> pa.Table:
        """Return the base manifest."""
        return base_manifest()

    def read(self, image_id: str) -> Image.Image:
        """Draw one image.

        Raises:
            LookupError: there is no such image
        """
        name, web = parsed(image_id)
        return candidate(image_id, name) if web else scene(CLASSES[name], Chance(image_id))
