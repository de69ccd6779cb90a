"""Where images come from. One file a source; the table is below."""

from collections.abc import Callable, Mapping
from pathlib import Path

from cnlw_tools.sources.base import Source
from cnlw_tools.sources.cifar10 import Cifar10
from cnlw_tools.sources.routed import Places, Reader, Routed
from cnlw_tools.sources.shapes import Shapes
from cnlw_tools.sources.white import KINDS, White

__all__ = ["SOURCES", "Places", "Source", "routed"]

SOURCES: Mapping[str, Callable[[Path | None], Source]] = {
    "shapes": Shapes,  # drawn from the image id alone
    "cifar10": Cifar10,  # the official folder of pickled batches
}


def routed(name: str | None, data_dir: Path | None, donors: Places) -> Routed:
    """Open the source of a dataset, if one is named, and those of its donors, as one.

    Raises:
        ValueError, OSError: one of them is not where it should be
    """
    readers: dict[str, Reader] = {d: White() if d in KINDS else SOURCES[d](place) for d, place in donors}
    return Routed(SOURCES[name](data_dir) if name else None, readers)
