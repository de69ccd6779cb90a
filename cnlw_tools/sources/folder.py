"""Your own images: class folders, or a csv file with the columns path,label[,split].

Class folders may lie below `train/`, `val/` and `test/`. An id is the path below the folder, or
below the folder of the csv file. Classes are the names of the class folders, or the labels of the
csv file, sorted; numbers are sorted as numbers. Without splits all images are for training. A test
set serves as the validation split where there is no validation set.
"""

import csv
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow as pa

from cnlw_tools.images.pixels import Picture
from cnlw_tools.sources.base import LocalSource, make_manifest
from cnlw_tools.sources.formats.image_files import find_images, read_image_file, require_images
from cnlw_tools.sources.formats.split_names import SPLIT_OF_WORD, standard_splits

SPLIT_WORDS = list(SPLIT_OF_WORD)


class ImageRow(NamedTuple):
    """One image as the folder or the csv file has it."""

    path: str
    class_name: str
    split_word: str  # a key of SPLIT_OF_WORD


class Folder(LocalSource):
    """A folder of images, or a csv file beside or above them."""

    name = "folder"
    layout = (
        "class folders, which may lie below train/, val/ and test/; "
        "or it is a csv file with path,label[,split]"
    )

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        self.folder = self.data_dir if self.data_dir.is_dir() else self.data_dir.parent

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes that have training images."""
        names = set()
        for row in self._rows:
            if self._split_of_word[row.split_word] == "train":
                names.add(row.class_name)
        return tuple(sorted(names, key=_class_order))

    def manifest(self) -> pa.Table:
        """Return one row per image, sorted by split and path.

        Raises:
            OSError: images of the csv file are missing
            ValueError: there is no image, an unknown split, a class without training images, or a
                wrong path
        """
        label_of_class = {name: label for label, name in enumerate(self.classes())}
        for row in self._rows:
            if row.class_name not in label_of_class:
                raise ValueError(
                    f"{self.data_dir}: {row.path} is of class {row.class_name!r}, which has no "
                    "training image: add some, or remove this image"
                )
        rows = sorted(self._rows, key=_row_order)
        ids = [row.path for row in rows]
        require_images(self.folder, ids, self.data_dir)
        labels = [label_of_class[row.class_name] for row in rows]
        splits = [self._split_of_word[row.split_word] for row in rows]
        return make_manifest(ids, labels, splits)

    def read(self, image_id: str) -> Picture:
        """Return the bytes of one file, unchanged."""
        return read_image_file(self.folder, image_id)

    @cached_property
    def _rows(self) -> list[ImageRow]:
        rows = self._folder_rows() if self.data_dir.is_dir() else self._csv_rows()
        if not rows:
            raise ValueError(
                f"{self.data_dir}: there is no image here; {self.name} needs {self.layout}"
            )
        return rows

    @cached_property
    def _split_of_word(self) -> dict[str, str]:
        return standard_splits({row.split_word for row in self._rows}, self.data_dir)

    def _folder_rows(self) -> list[ImageRow]:
        """Return the images in class folders; without folders of splits all are for training."""
        top_folders = {path.name for path in self.folder.iterdir() if path.is_dir()}
        has_splits = not SPLIT_OF_WORD.keys().isdisjoint(top_folders)
        rows = []
        for path in find_images(self.folder):
            folders = path.split("/")[:-1]
            split_word = folders.pop(0) if has_splits and folders else "train"
            if not folders:
                raise ValueError(
                    f"{self.folder}: {path} lies in no class folder: "
                    "put it into one, or give a csv file"
                )
            rows.append(ImageRow(path, folders[0], split_word))
        return rows

    def _csv_rows(self) -> list[ImageRow]:
        """Return the images of the csv file; a row without a split is for training."""
        rows = []
        for number, record in enumerate(self._read_csv()):
            for column in ("path", "label"):
                if not record.get(column):
                    raise ValueError(
                        f"{self.data_dir}: row {number}: there is no {column}: "
                        "the columns must be path,label[,split]"
                    )
            path = str(PurePosixPath(record["path"]))
            split_word = record.get("split") or "train"
            rows.append(ImageRow(path, record["label"].strip(), split_word))
        return rows

    def _read_csv(self) -> list[dict[str, str]]:
        try:
            with self.data_dir.open(encoding="utf-8-sig", newline="") as file:
                return list(csv.DictReader(file))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(
                f"{self.data_dir}: not a csv file in UTF-8 ({error}): store it as one"
            ) from error


def _class_order(name: str) -> tuple[int, str]:
    """Return the sort key of a class name: words first, then numbers by value."""
    return (int(name) if name.isdecimal() else -1, name)


def _row_order(row: ImageRow) -> tuple[int, str]:
    return (SPLIT_WORDS.index(row.split_word), row.path)
