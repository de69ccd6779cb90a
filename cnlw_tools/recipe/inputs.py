"""Where everything lies that a recipe is made from, and which part of it counts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from cnlw_tools.images.pixels import Picture
from cnlw_tools.recipe.strict import choice, matching


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
    """A source of the user's own, which needs no line in `SOURCES`."""

    name: str  # of the dataset


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Which part of a user's data a source reads; it finds out by itself what is empty.

    The base manifest of an imported dataset keeps them, so that a build reads the same part.
    """

    config: str = ""  # of a dataset that has several
    image_column: str = ""
    label_column: str = ""
    splits: tuple[str, ...] = ()  # those to read, each NAME or NAME=SPLIT
    revision: str = choice("", check=matching("|[0-9a-f]{40}", "a commit: 40 digits"))  # of the Hub

    def as_block(self) -> dict[str, Any]:
        """Return the options that are set, as JSON can hold them."""
        block = asdict(self)
        return {name: value for name, value in block.items() if value}


@dataclass(frozen=True, slots=True)
class Inputs:
    """Folders of tables and of images; a value that travels to other processes whole."""

    root: Path  # of manifests/, annotations/ and pipelines/; behind it is the package's own
    data_dir: Path | None = None  # the user's copy of the images; none where the package has them
    # By donor, the user's copy of its images. A dict has no hash, but counts in a comparison.
    donors: Mapping[str, Path | None] = field(default_factory=dict, hash=False)
    store: Path | None = None  # web images, as `cnlw fetch` keeps them
    # An object that reads the images of the dataset of its name; none: an entry of `SOURCES` does.
    source: NamedSource | None = field(default=None, hash=False)
