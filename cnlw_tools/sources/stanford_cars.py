"""Stanford Cars: the devkit with `cars_train/` and `cars_test/`, `cars_annos.mat` with `car_ims/`, or Parquet.

An id is the path, `cars_train/00001.jpg`; the test images are the split ``validation``, and their labels stand in
`cars_test_annos_withlabels.mat`. In Parquet files of the Hub (hf.py) ids are rows, and classes meet by name. Labels
count from 0 where the devkit counts from 1. Web images, whose ids are no paths, lie beside the release of 2020.
Source: Krause, Stark, Deng, Fei-Fei, "3D object representations for fine-grained categorization", 3dRR 2013.
"""

import re
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from cnlw_tools.images.pixels import Picture, decode
from cnlw_tools.sources.base import manifest
from cnlw_tools.sources.formats import matlab
from cnlw_tools.sources.formats.image_files import Files, below, present
from cnlw_tools.sources.hf import Hf

TRAIN, TEST, ALL = "cars_train_annos.mat", "cars_test_annos_withlabels.mat", "cars_annos.mat"
IMAGES = ("cars_train", "cars_test", "car_ims")
PLACES = ("", "devkit/", "stanford_cars/", "stanford_cars/devkit/")


class Car(NamedTuple):
    """One annotation."""

    path: str
    label: int  # from 0
    split: str
    box: tuple[int, int, int, int]  # x1, y1, x2, y2: pixels, the first is 1, the last is inside


class StanfordCars(Files):
    """8,144 photographs to train on, 8,041 to validate, 196 classes."""

    name = "stanford_cars"
    needs = f"cars_train/, cars_test/ and the devkit with {TEST}, or car_ims/ and {ALL}, or the Hub's Parquet files"

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        inner = self.data_dir / "stanford_cars"  # the release has a folder of this name, too
        self.folder = inner if any((inner / name).is_dir() for name in IMAGES) else self.data_dir
        self._parquet = Hf(data_dir) if any(self.data_dir.rglob("*.parquet")) else None

    def manifest(self) -> pa.Table:
        """Return a row an image, in the order of the annotations.

        Raises:
            OSError: annotations or images are missing
            ValueError: annotations are damaged, or a class of the Parquet files is none of the 196
        """
        if self._parquet:
            return _renamed(self._parquet, self.classes())
        ids = [car.path for car in self._cars]
        present(self.folder, ids, "the annotations")
        return manifest(ids, [car.label for car in self._cars], [car.split for car in self._cars])

    def read(self, image_id: str) -> Picture:
        """Return one photograph as it is, of the web too."""
        if "/" in image_id:
            return below(self.folder, image_id)
        if self._parquet and image_id not in self.cnlw.images:
            return self._parquet.read(image_id)
        return self.cnlw.read(image_id)

    @cached_property
    def _cars(self) -> list[Car]:
        try:
            train, test = (
                self.find(*(f"{place}{name}" for place in PLACES)) for name in (TRAIN, TEST)
            )
        except FileNotFoundError:
            if not any((self.data_dir / f"{place}{ALL}").is_file() for place in PLACES):
                raise
            return annotations(self.find(*(f"{place}{ALL}" for place in PLACES)))
        return annotations(train, "cars_train", "train") + annotations(
            test, "cars_test", "validation"
        )


class StanfordCarsCrop(StanfordCars):
    """The same, cut out by the boxes of the devkit."""

    name = "stanford_cars_crop"
    needs = f"cars_train/, cars_test/ and the devkit with {TEST}, or car_ims/ and {ALL}"

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        if self._parquet:
            raise ValueError(
                f"{data_dir}: Parquet files hold no boxes; stanford_cars_crop needs the devkit"
            )

    def read(self, image_id: str) -> Image.Image:
        """Return the pixels inside the box.

        Raises:
            LookupError: there is no box
            ValueError: not an image, or the box lies outside it
        """
        if image_id not in self._boxes:
            raise LookupError(
                f"{self.folder}: no annotation of {image_id!r}; ids are cars_train/00001.jpg ..."
            )
        image = decode(below(self.folder, image_id))
        left, top, right, bottom = self._boxes[image_id]
        box = (
            max(left - 1, 0),
            max(top - 1, 0),
            min(right, image.width),
            min(bottom, image.height),
        )
        if box[0] >= box[2] or box[1] >= box[3]:
            raise ValueError(
                f"its box {self._boxes[image_id]} lies outside its {image.width} x {image.height} pixels"
            )
        return image.crop(box)

    @cached_property
    def _boxes(self) -> dict[str, tuple[int, int, int, int]]:
        return {car.path: car.box for car in self._cars}


def annotations(path: Path, folder: str | None = None, split: str | None = None) -> list[Car]:
    """Read a file of annotations; the older one says folder and split itself.

    Raises:
        OSError: the file is missing
        ValueError: it is damaged, or another
    """
    (rows,) = matlab.load(path, ["annotations"])
    wanted = (
        {"class", "bbox_x1", "fname"}
        if folder
        else {"class", "bbox_x1", "relative_im_path", "test"}
    )
    if missing := wanted - set(rows.dtype.names or ()):
        raise ValueError(
            f"{path}: its annotations have no {min(missing)!r}: take the file {TEST} for the test images"
        )
    found = []
    for row in np.atleast_1d(rows):
        name = f"{folder}/{row['fname']}" if folder else str(row["relative_im_path"])
        box = (int(row["bbox_x1"]), int(row["bbox_y1"]), int(row["bbox_x2"]), int(row["bbox_y2"]))
        found.append(
            Car(
                name,
                int(row["class"]) - 1,
                split or ("validation" if row["test"] else "train"),
                box,
            )
        )
    return found


def _renamed(source: Hf, classes: tuple[str, ...]) -> pa.Table:
    """Return the manifest of Parquet files with our labels; names meet without signs, which mirrors write otherwise."""
    ours = {_plain(name): label for label, name in enumerate(classes)}
    theirs = source.classes()
    if unknown := [name for name in theirs if _plain(name) not in ours]:
        raise ValueError(
            f"{source.data_dir}: class {unknown[0]!r} is none of the 196 of Stanford Cars: use `hf` for it"
        )
    table = source.manifest()
    labels = [ours[_plain(theirs[label])] for label in table["label"].to_pylist()]
    return manifest(table["image_id"].to_pylist(), labels, table["split"].to_pylist())


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
