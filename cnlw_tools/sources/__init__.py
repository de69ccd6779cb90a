"""Where images come from. One file a source; the table is below."""

from collections.abc import Callable, Mapping
from pathlib import Path

from cnlw_tools.sources.base import Source
from cnlw_tools.sources.cifar10 import Cifar10
from cnlw_tools.sources.shapes import Shapes

__all__ = ["SOURCES", "Source"]

SOURCES: Mapping[str, Callable[[Path | None], Source]] = {
    "shapes": Shapes,  # drawn from the image id alone
    "cifar10": Cifar10,  # the official folder of pickled batches
}
