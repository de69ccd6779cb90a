"""Where everything lies that a recipe is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from cnlw_tools.images.pixels import Picture


class ImageSource(Protocol):
    """The images of a dataset; see sources/base.py."""

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, in label order."""
        ...

    def manifest(self) -> pa.Table:
        """Return the base manifest."""
        ...

    def read(self, image_id: str) -> Picture:
        """Return one image.

        Raises:
            LookupError: there is no such image
            OSError: the image is missing or cannot be read
        """
        ...


class NamedSource(ImageSource, Protocol):
    """A source of one's own, which needs no line in `SOURCES`."""

    name: str  # of the dataset


@dataclass(frozen=True, slots=True)
class Inputs:
    """Folders of tables and of images; a value that travels to other processes whole."""

    root: Path  # of manifests/, annotations/ and pipelines/
    data_dir: Path | None = None  # the user's copy of the images; none where the package has them
    # By donor, the user's copy of its images. A dict has no hash, but counts in a comparison.
    donors: Mapping[str, Path | None] = field(default_factory=dict, hash=False)
    store: Path | None = None  # web images, as `cnlw fetch` keeps them
    # An object that reads the images of the dataset of its name; none: an entry of `SOURCES` does.
    source: NamedSource | None = field(default=None, hash=False)
