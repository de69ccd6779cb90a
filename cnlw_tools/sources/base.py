"""What every source offers: class names, a table of its images, and each image by its id."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from cnlw_tools import files
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.images.pixels import Picture
from cnlw_tools.recipe.inputs import SourceOptions
from cnlw_tools.registry import pick
from cnlw_tools.sources.formats.listing import FolderListing, list_folder
from cnlw_tools.sources.formats.release import Release


class Source(Protocol):
    """The images of one dataset, wherever they lie."""

    layout: ClassVar[str]  # what --data-dir must hold; empty where images come with the package

    def __init__(self, data_dir: Path | None) -> None: ...

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, in label order."""
        ...

    def manifest(self) -> pa.Table:
        """Return the base manifest (tables.MANIFEST), as made from the files themselves."""
        ...

    def read(self, image_id: str) -> Picture:
        """Return one image.

        Raises:
            LookupError: there is no such image
            OSError: the image is missing or cannot be read; the message names the place
        """
        ...


class LocalSource:
    """A source whose files lie in a folder of the user's.

    It is pickled as the path of that folder alone, so that other processes read the files
    themselves.
    """

    name: ClassVar[str]
    layout: ClassVar[str]
    or_labels: ClassVar[str] = ""  # the end of errors, where a plan needs only files of labels
    takes_options: ClassVar[bool] = False  # whether it is opened with a second argument, `options`
    options: SourceOptions = SourceOptions()  # which part of the folder is read: all of it

    def __init__(self, data_dir: Path | None) -> None:
        if data_dir is None:
            raise ValueError(f"{self.name} needs --data-dir: {self.layout}{self.or_labels}")
        if not data_dir.exists():
            raise FileNotFoundError(
                f"{data_dir}: there is no such folder; {self.name} needs {self.layout}"
            )
        self.data_dir = data_dir
        self._left_out: dict[Path, Counter[str]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.data_dir,)

    def classes(self) -> tuple[str, ...]:
        """Return the names of the class list that comes with the package."""
        return tables.read_classes(files.default_root() / "manifests" / self.name / "classes.csv")

    @property
    def left_out(self) -> Counter[str]:
        """What was left out of the folders that were listed: files by extension, and links."""
        return sum(self._left_out.values(), Counter())

    def list_folder(self, folder: Path) -> FolderListing:
        """Return what lies below a folder, and remember what was left out of it."""
        listing = list_folder(folder, self.data_dir)
        self._left_out[folder] = listing.left_out
        return listing

    @cached_property
    def release(self) -> Release:
        """What the folder holds of the release of 2020."""
        return Release(self.data_dir, self.name)

    def label_of(self, name: str) -> int:
        """Return the label of a class by its name or number, as class folders are called.

        Raises:
            LookupError: there is no such class
        """
        labels: dict[str, int] = {}
        classes = self.classes()
        for label in range(len(classes)):
            labels[str(label)] = label
        for label, class_name in enumerate(classes):
            labels[class_name] = label
        return pick(labels, name, f"class of {self.name}")

    def find_path(self, *names: str) -> Path:
        """Return the path of the first of these alternative files or folders that exists.

        Raises:
            FileNotFoundError: none exists
        """
        for name in names:
            if (self.data_dir / name).exists():
                return self.data_dir / name
        raise FileNotFoundError(
            f"{self.data_dir}: there is no {names[0]} here; {self.name} needs "
            f"{self.layout}{self.or_labels}"
        )


def make_manifest(
    ids: Sequence[str],
    labels: Sequence[int],
    splits: Sequence[str],
    **extra_columns: Sequence[Any],
) -> pa.Table:
    """Return a manifest of n images without URIs.

    Args:
        ids: n image ids
        labels: n labels
        splits: n names of splits
        extra_columns: n values each: ``sha256``, and free columns (int32, or Arrow arrays)
    """
    n_images = len(ids)
    hashes = extra_columns.pop("sha256", [None] * n_images)
    columns = [
        pa.array(ids, pa.string()),
        pa.array(labels, pa.int32()),
        pa.array(splits, pa.string()),
        pa.nulls(n_images, pa.string()),
        pa.array(hashes, pa.string()),
    ]
    table = pa.table(columns, MANIFEST)
    for name, values in extra_columns.items():
        column = values if isinstance(values, pa.Array) else pa.array(values, pa.int32())
        table = table.append_column(name, column)
    return table
