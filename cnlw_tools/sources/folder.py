"""Your own images: class folders, below `train/`, `val/` and `test/` or not, or a csv of path,label[,split].

An id is the path below the folder, or below that of the csv. Classes are the names of the folders, or the labels,
sorted, numbers as numbers. Without splits all is train; a test set without a validation set is the validation set.
"""

import csv
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow as pa

from cnlw_tools.images.pixels import Picture
from cnlw_tools.sources.base import Local, manifest
from cnlw_tools.sources.formats.image_files import below, pictures, present
from cnlw_tools.sources.formats.split_names import KNOWN, splits


class Row(NamedTuple):
    """One image."""

    path: str
    label: str
    split: str


class Folder(Local):
    """A folder of images, or a csv file beside or above them."""

    name = "folder"
    needs = "class folders, below train/, val/ and test/ or not; or it is a csv file with path,label[,split]"

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        self.folder = self.data_dir if self.data_dir.is_dir() else self.data_dir.parent

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes that there are images of to train on."""
        found = {row.label for row in self._rows if self._split[row.split] == "train"}
        return tuple(sorted(found, key=lambda name: (int(name) if name.isdecimal() else -1, name)))

    def manifest(self) -> pa.Table:
        """Return a row an image, sorted by split and path.

        Raises:
            OSError: images of the csv are missing
            ValueError: no images, an unknown split, an image of a class that has none to train on, a wrong path
        """
        label = {name: i for i, name in enumerate(self.classes())}
        if unknown := [row for row in self._rows if row.label not in label]:
            raise ValueError(
                f"{self.data_dir}: {unknown[0].path} is of class {unknown[0].label!r}, of which there is no image to "
                "train on: add some, or drop it"
            )
        rows = sorted(self._rows, key=lambda row: (list(KNOWN).index(row.split), row.path))
        ids = [row.path for row in rows]
        present(self.folder, ids, self.data_dir)
        return manifest(
            ids, [label[row.label] for row in rows], [self._split[row.split] for row in rows]
        )

    def read(self, image_id: str) -> Picture:
        """Return one file as it is."""
        return below(self.folder, image_id)

    @cached_property
    def _rows(self) -> list[Row]:
        rows = self._walked() if self.data_dir.is_dir() else self._listed()
        if not rows:
            raise ValueError(
                f"{self.data_dir}: there is no image here; {self.name} needs {self.needs}"
            )
        return rows

    @cached_property
    def _split(self) -> dict[str, str]:
        return splits({row.split for row in self._rows}, self.data_dir)

    def _walked(self) -> list[Row]:
        """Return the images of the class folders."""
        tops = sorted(p.name for p in self.folder.iterdir() if p.is_dir() and p.name[0] != ".")
        split = "train" if not KNOWN.keys() & tops else None
        rows = []
        for path in pictures(self.folder):
            parts = path.split("/")
            if len(parts) < (2 if split else 3):
                raise ValueError(
                    f"{self.folder}: {path} lies in no class folder: put it into one, or give a csv"
                )
            rows.append(Row(path, parts[0] if split else parts[1], split or parts[0]))
        return rows

    def _listed(self) -> list[Row]:
        """Return the rows of the csv."""
        try:
            with self.data_dir.open(encoding="utf-8-sig", newline="") as file:
                found = list(csv.DictReader(file))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(
                f"{self.data_dir}: no csv in UTF-8 ({error}): store it as one"
            ) from error
        for i, row in enumerate(found):
            if missing := [name for name in ("path", "label") if not row.get(name)]:
                raise ValueError(
                    f"{self.data_dir}: row {i}: there is no {missing[0]}: its columns are path,label[,split]"
                )
        return [
            Row(str(PurePosixPath(row["path"])), row["label"].strip(), row.get("split") or "train")
            for row in found
        ]
