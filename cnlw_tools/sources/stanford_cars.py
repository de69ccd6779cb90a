"""Stanford Cars is read from any of three layouts.

The layouts are: the devkit with `cars_train/` and `cars_test/`; `cars_annos.mat` with `car_ims/`;
and Parquet files. An id is the path of the image, such as `cars_train/00001.jpg`. The test images
are the split ``validation``, and their labels are in `cars_test_annos_withlabels.mat`. In Parquet
files of the Hub (see `hf`), ids contain row numbers and classes are matched by name. Labels start
at 0, although those of the devkit start at 1. The source ``stanford_cars_crop`` crops each image to
the bounding box of the car; the boxes are in the annotations. If the folder contains the release of
Jiang et al. (2020), web images are read from it; their ids are those of the release.

Source: Krause, Stark, Deng, Fei-Fei, "3D object representations for fine-grained categorization",
3dRR 2013.
"""

import os
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from cnlw_tools.files.untrusted import translate_errors
from cnlw_tools.images.pixels import Picture, decode
from cnlw_tools.recipe.inputs import SourceOptions
from cnlw_tools.sources.base import make_manifest
from cnlw_tools.sources.formats import matlab
from cnlw_tools.sources.formats.image_files import ImageFiles, read_image_file, require_images
from cnlw_tools.sources.formats.text_lists import letters_and_digits
from cnlw_tools.sources.hf import HuggingFace

TRAIN_ANNOTATIONS = "cars_train_annos.mat"
TEST_ANNOTATIONS = "cars_test_annos_withlabels.mat"
ALL_ANNOTATIONS = "cars_annos.mat"  # the older file
ANNOTATIONS = "annotations of cars"  # what errors call them
DEEPEST_PARQUET = 2  # folders: of a config and of a split
IMAGE_FOLDERS = ("cars_train", "cars_test", "car_ims")
DEVKITS = ("", "devkit/", "car_devkit/", "car_devkit/devkit/")
ANNOTATION_FOLDERS = (*DEVKITS, *(f"stanford_cars/{folder}" for folder in DEVKITS))


class Car(NamedTuple):
    """One annotation."""

    path: str
    label: int  # from 0
    split: str
    box: tuple[int, int, int, int]  # left, top, right, bottom: pixels from 1, the last one inside


class StanfordCars(ImageFiles):
    """8,144 training and 8,041 validation photographs of 196 classes."""

    name = "stanford_cars"
    layout = (
        f"cars_train/, cars_test/ and the devkit with {TEST_ANNOTATIONS}, "
        f"or car_ims/ and {ALL_ANNOTATIONS}, or the Hub's Parquet files"
    )
    takes_options = True

    def __init__(self, data_dir: Path | None, options: SourceOptions | None = None) -> None:
        super().__init__(data_dir)
        self.options = options or SourceOptions()
        inner = self.data_dir / "stanford_cars"  # also the name of a folder of the release
        self.folder = inner if _has_images(inner) else self.data_dir
        has_parquet = not _has_images(self.folder) and _has_parquet(self.data_dir)
        self._parquet = HuggingFace(data_dir, self.options) if has_parquet else None
        for option, value in self.options.as_block().items():
            if not has_parquet:
                raise ValueError(
                    f"{data_dir}: {option} = {value!r} is a choice for Parquet files, but there "
                    "are none here: leave it out"
                )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.data_dir, self.options)

    @property
    def left_out(self) -> Counter[str]:
        """What was left out of the folders that were looked at."""
        return self._parquet.left_out if self._parquet else super().left_out

    def manifest(self) -> pa.Table:
        """Return one row per image, in the order of the annotations.

        Raises:
            OSError: annotations or images are missing
            ValueError: annotations are damaged, or a class of the Parquet files is none of the 196
        """
        if self._parquet:
            return _relabelled_manifest(self._parquet, self.classes())
        ids = [car.path for car in self._cars]
        labels = [car.label for car in self._cars]
        splits = [car.split for car in self._cars]
        require_images(self.folder, [self._place(path) for path in ids], "the annotations")
        return make_manifest(ids, labels, splits)

    def read(self, image_id: str) -> Picture:
        """Return one photograph unchanged; it may come from the web."""
        if "/" in image_id:
            return read_image_file(self.folder, self._place(image_id))
        if self._parquet and image_id not in self.release.image_paths:
            return self._parquet.read(image_id)
        return self.release.read(image_id)

    def _place(self, path: str) -> str:
        """Return where an image lies: Kaggle has cars_train/ in a folder of the same name."""
        folder = path.partition("/")[0]
        return f"{folder}/{path}" if folder in self._nested_folders else path

    @cached_property
    def _nested_folders(self) -> list[str]:
        return [name for name in IMAGE_FOLDERS if (self.folder / name / name).is_dir()]

    @cached_property
    def _cars(self) -> list[Car]:
        """All annotations: of the devkit or, without it, of the older file."""
        try:
            train_path = self._find_annotations(TRAIN_ANNOTATIONS)
            test_path = self._find_annotations(TEST_ANNOTATIONS)
        except FileNotFoundError:
            places = [self.data_dir / folder / ALL_ANNOTATIONS for folder in ANNOTATION_FOLDERS]
            if not any(path.is_file() for path in places):
                raise
            return read_older_annotations(self._find_annotations(ALL_ANNOTATIONS))
        train_cars = read_annotations(train_path, "cars_train", "train")
        test_cars = read_annotations(test_path, "cars_test", "validation")
        return train_cars + test_cars

    def _find_annotations(self, name: str) -> Path:
        return self.find_path(*(f"{folder}{name}" for folder in ANNOTATION_FOLDERS))


class StanfordCarsCrop(StanfordCars):
    """Stanford Cars, with each image cut to the box of the devkit around the car."""

    name = "stanford_cars_crop"
    layout = (
        f"cars_train/, cars_test/ and the devkit with {TEST_ANNOTATIONS}, "
        f"or car_ims/ and {ALL_ANNOTATIONS}"
    )

    def __init__(self, data_dir: Path | None, options: SourceOptions | None = None) -> None:
        super().__init__(data_dir, options)
        if self._parquet:
            raise ValueError(
                f"{data_dir}: Parquet files contain no boxes: give the folder of the devkit, which "
                "stanford_cars_crop needs"
            )

    def read(self, image_id: str) -> Image.Image:
        """Return the pixels inside the box, as far as it lies on the image.

        Raises:
            LookupError: the image has no box
            ValueError: the file is not an image, or the box lies outside it
        """
        if image_id not in self._boxes:
            raise LookupError(
                f"{self.folder}: there is no annotation of {image_id!r}; ids are like "
                "cars_train/00001.jpg"
            )
        image = decode(read_image_file(self.folder, self._place(image_id)))
        first_column, first_row, right, bottom = self._boxes[image_id]
        left = max(first_column - 1, 0)
        top = max(first_row - 1, 0)
        right = min(right, image.width)
        bottom = min(bottom, image.height)
        if left >= right or top >= bottom:
            raise ValueError(
                f"its box {self._boxes[image_id]} lies outside its "
                f"{image.width} x {image.height} pixels"
            )
        return image.crop((left, top, right, bottom))

    @cached_property
    def _boxes(self) -> dict[str, tuple[int, int, int, int]]:
        return {car.path: car.box for car in self._cars}


def _has_images(folder: Path) -> bool:
    """Return whether a folder has the devkit's images, beside which Parquet files do not count."""
    return any((folder / name).is_dir() for name in IMAGE_FOLDERS)


def _has_parquet(folder: Path) -> bool:
    """Return whether Parquet files lie as deep below a folder as the Hub has them."""
    for parent, subfolders, names in os.walk(folder):
        if any(name.lower().endswith(".parquet") for name in names):
            return True
        depth = len(Path(parent).relative_to(folder).parts)
        is_deepest = depth == DEEPEST_PARQUET
        subfolders[:] = [] if is_deepest else [n for n in subfolders if not n.startswith(".")]
    return False


def read_annotations(path: Path, folder: str, split: str) -> list[Car]:
    """Read a file of the devkit, whose images lie in one folder and are of one split.

    Raises:
        OSError: the file is missing
        ValueError: it is damaged, or another file
    """
    cars = []
    records = _read_records(path, ("bbox_x1", "class", "fname"))
    with translate_errors(path, ANNOTATIONS):
        for record in records:
            image_path = f"{folder}/{record['fname']}"
            cars.append(Car(image_path, _label(record), split, _box(record)))
    return cars


def read_older_annotations(path: Path) -> list[Car]:
    """Read the older file, which gives the folder and the split of each image.

    Raises:
        OSError: the file is missing
        ValueError: it is damaged, or another file
    """
    cars = []
    records = _read_records(path, ("bbox_x1", "class", "relative_im_path", "test"))
    with translate_errors(path, ANNOTATIONS):
        for record in records:
            image_path = str(record["relative_im_path"])
            split = "validation" if record["test"] else "train"
            cars.append(Car(image_path, _label(record), split, _box(record)))
    return cars


def _read_records(path: Path, fields: tuple[str, ...]) -> Any:
    """Return the annotations of a file as an array of records that have these fields."""
    (variable,) = matlab.read_variables(path, ["annotations"])
    records = np.atleast_1d(variable)
    names = records.dtype.names or ()
    for field in fields:
        if field not in names:
            raise ValueError(
                f"{path}: its annotations have no {field!r}: "
                f"use the file {TEST_ANNOTATIONS} for the test images"
            )
    return records


def _label(record: Any) -> int:
    return int(record["class"]) - 1


def _box(record: Any) -> tuple[int, int, int, int]:
    left = int(record["bbox_x1"])
    top = int(record["bbox_y1"])
    right = int(record["bbox_x2"])
    bottom = int(record["bbox_y2"])
    return left, top, right, bottom


def _relabelled_manifest(source: HuggingFace, classes: tuple[str, ...]) -> pa.Table:
    """Return the manifest of Parquet files with the labels of these classes.

    Classes are matched by the letters and digits of their names: mirrors write the other signs in
    several ways.
    """
    label_of_name = {letters_and_digits(name): label for label, name in enumerate(classes)}
    labels_of_source = []
    for name in source.classes():
        if letters_and_digits(name) not in label_of_name:
            raise ValueError(
                f"{source.data_dir}: class {name!r} is not one of the 196 classes of Stanford "
                "Cars: use the source `hf` for it"
            )
        labels_of_source.append(label_of_name[letters_and_digits(name)])
    table = source.manifest()
    labels = [labels_of_source[label] for label in table["label"].to_pylist()]
    return make_manifest(table["image_id"].to_pylist(), labels, table["split"].to_pylist())
