"""What a source of images offers: the table of what there is, and the images one by one."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from cnlw_tools import files
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.images.pixels import Picture
from cnlw_tools.registry import pick
from cnlw_tools.sources.formats.release import Release


class Source(Protocol):
    """The images of one dataset, wherever they lie."""

    needs: ClassVar[str]  # what --data-dir must hold; empty where the images come with the package

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
            OSError: the image is missing or cannot be read; the message says where it was looked for
        """
        ...


class Local:
    """A source that lies in a folder of the user's; a copy of it for another process is its path and no more."""

    name: ClassVar[str]
    needs: ClassVar[str]

    def __init__(self, data_dir: Path | None) -> None:
        if data_dir is None:
            raise ValueError(f"{self.name} needs --data-dir: {self.needs}")
        if not data_dir.exists():
            raise FileNotFoundError(
                f"{data_dir}: there is no such folder; {self.name} needs {self.needs}"
            )
        self.data_dir = data_dir

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.data_dir,)

    def classes(self) -> tuple[str, ...]:
        """Return the class list that comes with the package."""
        return tables.read_classes(files.default_root() / "manifests" / self.name / "classes.csv")

    @cached_property
    def cnlw(self) -> Release:
        """What the folder holds of the release of 2020."""
        return Release(self.data_dir, self.name)

    def label_of(self, name: str) -> int:
        """Return the label of a class by its name or its number, as class folders are called.

        Raises:
            LookupError: there is no such class
        """
        names = self.classes()
        known = {
            **{str(i): i for i in range(len(names))},
            **{said: i for i, said in enumerate(names)},
        }
        return pick(known, name, f"class of {self.name}")

    def find(self, *names: str) -> Path:
        """Return the first of these files or folders that is there.

        Raises:
            FileNotFoundError: none is
        """
        for name in names:
            if (self.data_dir / name).exists():
                return self.data_dir / name
        raise FileNotFoundError(
            f"{self.data_dir}: there is no {names[0]} here; {self.name} needs {self.needs}"
        )


def manifest(
    ids: Sequence[str], labels: Sequence[int], splits: Sequence[str], **free: Sequence[Any]
) -> pa.Table:
    """Return a manifest of n images without URIs; further columns are free, but for ``sha256``."""
    n = len(ids)
    hashes = pa.array(free.pop("sha256", [None] * n), pa.string())
    fixed = [
        pa.array(ids, pa.string()),
        pa.array(labels, pa.int32()),
        pa.array(splits, pa.string()),
    ]
    table = pa.table([*fixed, pa.nulls(n, pa.string()), hashes], MANIFEST)
    for name, column in free.items():
        table = table.append_column(
            name, column if isinstance(column, pa.Array) else pa.array(column, pa.int32())
        )
    return table
