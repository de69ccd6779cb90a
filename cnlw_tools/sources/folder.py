"""Your own images are in class folders, or a CSV file with path,label[,split] lists them.

Class folders may be inside `train/`, `val/` and `test/`. An id is the path of the image, relative
to your folder; if you have a CSV file, the path is relative to the folder of this file. Classes are
the names of the class folders, or the labels in the CSV file, in sorted order; numbers are sorted
as numbers. If there are no splits, all images are for training. If there is a test set but no
validation set, the test set becomes the split ``validation``.
"""

import re
from collections import Counter
from functools import cached_property
from pathlib import Path, PurePosixPath

import pyarrow as pa

from cnlw_tools.images.pixels import Picture
from cnlw_tools.sources.base import LocalSource, make_manifest
from cnlw_tools.sources.formats.class_folders import ImageRow, read_class_folders
from cnlw_tools.sources.formats.class_names import class_order, reject_twins
from cnlw_tools.sources.formats.image_files import read_image_file, require_images
from cnlw_tools.sources.formats.image_rows import read_image_rows
from cnlw_tools.sources.formats.listing import explain_left_out, normal_form, printable
from cnlw_tools.sources.formats.split_names import standard_splits

WINDOWS_DRIVE = re.compile(r"[A-Za-z]:/")


class Folder(LocalSource):
    """A folder of images, or a CSV file beside or above them."""

    name = "folder"
    layout = (
        "class folders, also inside train/, val/ and test/; or a CSV file with path,label[,split]"
    )

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        self.folder = self.data_dir if self.data_dir.is_dir() else self.data_dir.parent

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes that have training images."""
        names = set()
        for row in self._rows:
            if self._splits[row.split_name] == "train":
                names.add(row.class_name)
        return tuple(sorted(names, key=class_order))

    def manifest(self) -> pa.Table:
        """Return one row per image, sorted by split and path.

        Raises:
            OSError: images of the CSV file are missing
            ValueError: there is no image, an unknown split, a class without training images, or a
                wrong path
        """
        label_of_class = {name: label for label, name in enumerate(self.classes())}
        for row in self._rows:
            if row.class_name not in label_of_class:
                raise ValueError(
                    f"{self.data_dir}: {printable(row.path)} is of class "
                    f"{row.class_name!r}, which has no training image: "
                    "add some, or remove this image"
                )
        names = list(self._splits)
        rows = sorted(self._rows, key=lambda row: (names.index(row.split_name), row.path))
        ids = [row.path for row in rows]
        if not self.data_dir.is_dir():
            require_images(self.folder, ids, self.data_dir)
        labels = [label_of_class[row.class_name] for row in rows]
        splits = [self._splits[row.split_name] for row in rows]
        return make_manifest(ids, labels, splits)

    def read(self, image_id: str) -> Picture:
        """Return the bytes of one file, unchanged."""
        return read_image_file(self.folder, image_id)

    @cached_property
    def _rows(self) -> list[ImageRow]:
        if self.data_dir.is_dir():
            rows = read_class_folders(self.list_folder(self.folder), self.folder)
        else:
            rows = self._csv_rows()
        if not rows:
            raise ValueError(
                f"{self.data_dir}: there is no image here{explain_left_out(self.left_out)}; "
                f"{self.name} needs {self.layout}"
            )
        reject_twins(sorted({row.class_name for row in rows}), self.data_dir)
        return rows

    @cached_property
    def _splits(self) -> dict[str, str]:
        return standard_splits({row.split_name for row in self._rows}, self.data_dir)

    def _csv_rows(self) -> list[ImageRow]:
        """Return the images of the CSV file; a row without a split is for training."""
        image_list = read_image_rows(self.data_dir)
        unread = [f"column {name!r}" for name in image_list.other_columns]
        self._left_out[self.data_dir] = Counter(unread)
        rows = []
        for number, row in enumerate(image_list.rows):
            path = normal_form(str(PurePosixPath(row["path"])))
            if WINDOWS_DRIVE.match(path):
                raise ValueError(
                    f"{self.data_dir}: row {number}: {path!r} is outside of {self.folder}: "
                    "give paths below it"
                )
            split_name = row.get("split") or "train"
            rows.append(ImageRow(path, normal_form(row["label"]), split_name.lower()))
        return rows
