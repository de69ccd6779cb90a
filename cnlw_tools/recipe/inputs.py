"""Where everything lies that a recipe is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Inputs:
    """Folders of tables and of images; a value that travels to other processes whole."""

    root: Path  # of manifests/, annotations/ and pipelines/
    data_dir: Path | None = None  # the user's copy of the images; none where the package has them
    # By donor, the user's copy of its images. A dict has no hash, but counts in a comparison.
    donors: Mapping[str, Path | None] = field(default_factory=dict, hash=False)
    store: Path | None = None  # web images, as `cnlw fetch` keeps them
