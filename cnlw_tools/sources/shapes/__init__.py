"""The images of `shapes` show everyday objects. The package renders each image from its id."""

from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from PIL import Image

from cnlw_tools.sources.shapes.drawings import CLASSES
from cnlw_tools.sources.shapes.ids import parse_id
from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.scene import draw_scene
from cnlw_tools.sources.shapes.tables import base_manifest
from cnlw_tools.sources.shapes.web import draw_candidate


class Shapes:
    """Ten classes of everyday objects with simulated web images, at 64 x 64 pixels."""

    layout: ClassVar[str] = ""

    def __init__(self, data_dir: Path | None = None) -> None:
        """Accept a folder like every source; nothing is read from it."""

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes."""
        return tuple(CLASSES)

    def manifest(self) -> pa.Table:
        """Return the base manifest."""
        return base_manifest()

    def read(self, image_id: str) -> Image.Image:
        """Draw one image.

        Raises:
            LookupError: there is no such image
        """
        class_name, is_web = parse_id(image_id)
        if is_web:
            return draw_candidate(image_id, class_name)
        return draw_scene(CLASSES[class_name], Rng(image_id))
