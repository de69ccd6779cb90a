"""The folders of tables and images, and which part of a user's data a source reads."""

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
    """A user's own source, which needs no line in `SOURCES`."""

    name: str  # the name of the dataset


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Which part of a user's data a source reads; it chooses empty options by itself.

    The base manifest of an imported dataset records them, so that a build reads the same part.
    """

    config: str = ""  # the config to read, if there are several
    image_column: str = ""  # the column of the images
    label_column: str = ""  # the column of the labels
    splits: tuple[str, ...] = ()  # the splits to read, each NAME or NAME=SPLIT
    revision: str = choice("", check=matching("|[0-9a-f]{40}", "a commit: 40 digits"))  # of the Hub

    def as_block(self) -> dict[str, Any]:
        """Return the options that are set, as JSON can hold them."""
        block = asdict(self)
        return {name: value for name, value in block.items() if value}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The folders with the tables and the images of a dataset.

    Functions such as `build` make an `Inputs` object from their arguments ``root``, ``data_dir``,
    ``donors`` and ``store``.
    """

    # Folder that holds manifests/, annotations/ and pipelines/; its files replace files of the same
    # name in the package.
    root: Path
    data_dir: Path | None = None  # the user's copy of the images; None: the package has the images
    # The folder of the images of each donor, by the name of the donor.
    donors: Mapping[str, Path | None] = field(default_factory=dict, hash=False)
    store: Path | str | None = None  # folder or address of web images: a store or a pack
    # The user's own source; None: the source of the package.
    source: NamedSource | None = field(default=None, hash=False)
