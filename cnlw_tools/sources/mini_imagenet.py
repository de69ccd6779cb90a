"""Mini-ImageNet, as Jiang et al. (2020) released it, has 100 classes with 600 images each.

The images are those of ILSVRC12. An id is a WordNet id and an eight-digit number: n0153282900000005
is the fifth image of the class archive n01532829.tar, whose members are sorted by the number in
their names. If an image of a class were missing, every later id would refer to another image. The
package therefore stops with an error if one of these statements is true of a class:

- it has fewer images than the highest number in the lists;
- it has more images than in ILSVRC12 (column `images` of the class list);
- it has fewer images than in ILSVRC12, but at least 732, the size of the smallest class there (a
  class with fewer than 732 images is allowed: it is taken for a small sample that you chose);
- a list of all training images (Kaggle's `LOC_train_solution.csv`, or `train_cls.txt`) is in
  the folder that holds the class archives or folders, and names other images for the class.

The lists train.csv, val.csv and test.csv of Ravi and Larochelle (ICLR 2017) say which images are
used. Each list has its own classes; the package joins all three into one training set. The
validation images are those in `clean_validation` of the release of Jiang et al. Without the
release, they are all images of these classes in the validation set of ILSVRC12. Classes are
numbered by their WordNet ids in sorted order, as in the release. Ids have no file extension; if the
names in a list have one, it is removed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from cnlw_tools import files
from cnlw_tools.dataset import table_io
from cnlw_tools.files.texts import read_text
from cnlw_tools.images.pixels import Picture
from cnlw_tools.sources.base import LocalSource, make_manifest
from cnlw_tools.sources.formats.ilsvrc import VALIDATION_PREFIX, ValidationSet
from cnlw_tools.sources.formats.image_files import read_image_file
from cnlw_tools.sources.formats.tar import ByteRange, TarArchive
from cnlw_tools.sources.imagenet import TRAIN_TAR

LISTS = ("train.csv", "val.csv", "test.csv")
IMAGES_BY_ID = "images"  # a folder of training images that are called like their ids
TRAIN_PLACES = (
    TRAIN_TAR,
    "ILSVRC2012_img_train",
    "train",
    "ILSVRC/Data/CLS-LOC/train",
    IMAGES_BY_ID,
)
COMPLETE_LISTS = (  # of all training images of ILSVRC12
    "LOC_train_solution.csv",
    "train_cls.txt",
    "ILSVRC/ImageSets/CLS-LOC/train_cls.txt",
)
COMPLETE_LIST_LINE = re.compile(r"(?:n\d{8}/)?(?P<name>(?P<wnid>n\d{8})_\d+)[ ,]")
SMALLEST_CLASS = 732  # training images in ILSVRC12: Russakovsky et al. 2015, table 2
IMAGE_ID = re.compile(r"(?P<wnid>n\d{8})(?P<number>\d{8})")
WNID_LENGTH = 9  # characters
LIST_COLUMNS = pa.schema(
    [
        pa.field("filename", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
    ]
)
CLASS_COLUMNS = pa.schema(
    [
        pa.field("wnid", pa.string(), nullable=False),
        pa.field("images", pa.int32(), nullable=False),
    ]
)


class MiniImagenet(LocalSource):
    """60,000 training and 5,000 validation images of 100 classes; less with shorter lists."""

    name = "mini_imagenet"
    layout = (
        f"{TRAIN_TAR}, ILSVRC2012_img_val.tar, train.csv, val.csv and test.csv; "
        f"or images/ instead of {TRAIN_TAR}"
    )

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        places = [self.data_dir / name for name in TRAIN_PLACES]
        self.train = next((path for path in places if path.exists()), None)
        self.validation = ValidationSet(self.data_dir)
        self._names_of_class: dict[str, list[str]] = {}

    def manifest(self) -> pa.Table:
        """Return one row per image of the 100 classes: training images by id, then validation.

        Raises:
            OSError: a list or an archive is missing
            ValueError: a line of a list names no image, an id comes twice, or a class is incomplete
        """
        train_ids = [image_id for image_id in self._train_ids() if _wnid(image_id) in self._labels]
        self._check_classes(train_ids)
        train_labels = [self._labels[_wnid(image_id)] for image_id in train_ids]
        validation_labels = self._validation_labels()
        splits = ["train"] * len(train_ids) + ["validation"] * len(validation_labels)
        return make_manifest(
            [*train_ids, *validation_labels],
            [*train_labels, *validation_labels.values()],
            splits,
        )

    def label_of(self, name: str) -> int:
        """Return the label of a class by its WordNet id, name or number, like class folders."""
        if name in self._labels:
            return self._labels[name]
        return super().label_of(name)

    def read(self, image_id: str) -> Picture:
        """Return the bytes of one image, unchanged.

        Raises:
            LookupError: there is no such image
            ValueError: its class is incomplete
        """
        if image_id.startswith(VALIDATION_PREFIX) and self.validation:
            name = self._validation_names.get(image_id, image_id)
            return self.validation.read(name)
        match = IMAGE_ID.fullmatch(image_id)
        if match is None or self.train is None:
            return self.release.read(image_id)
        if self.train.name == IMAGES_BY_ID:
            return read_image_file(self.train, self._name_of_id(image_id))
        wnid = match["wnid"]
        name = self._nth_name(wnid, int(match["number"]))
        if self.train.is_dir():
            return read_image_file(self.train, f"{wnid}/{name}")
        return self._train_tar.read(self._tar_members(wnid)[name])

    @cached_property
    def _labels(self) -> dict[str, int]:
        """The label of each class, by WordNet id."""
        return {wnid: label for label, wnid in enumerate(self._class_sizes)}

    @cached_property
    def _class_sizes(self) -> dict[str, int]:
        """The number of training images that ILSVRC12 has of each class, by WordNet id."""
        path = files.default_root() / "manifests" / self.name / "classes.csv"
        table = table_io.read_table(path, CLASS_COLUMNS)
        wnids = table["wnid"].to_pylist()
        sizes = table["images"].to_pylist()
        return dict(zip(wnids, sizes, strict=True))

    def _train_ids(self) -> list[str]:
        """Return the sorted ids of the three lists or, without them, of the release's splits."""
        has_lists = any((self.data_dir / name).is_file() for name in LISTS)
        if not has_lists and self.release:
            table = self.release.read_published_splits(self.label_of)
            ids = table["image_id"].unique().to_pylist()
            return sorted(image_id for image_id in ids if IMAGE_ID.fullmatch(image_id))
        ids = []
        for name in LISTS:
            ids += _read_list(self.find_path(name))
        remedy = "an image must be in one of the three lists, and once"
        table_io.reject_duplicates(self.data_dir, pa.table({"filename": ids}), ["filename"], remedy)
        return sorted(ids)

    def _validation_labels(self) -> Mapping[str, int]:
        """Return the label of each validation image, by its id."""
        labels = self.release.read_validation_labels(self.label_of)
        if labels is not None:
            return labels
        if not self.validation:
            raise FileNotFoundError(
                f"{self.data_dir}: there are no validation images; {self.name} needs {self.layout}"
            )
        labels = {}
        for name, wnid in self.validation.wnids.items():
            if wnid in self._labels:
                labels[Path(name).stem] = self._labels[wnid]
        return labels

    def _check_classes(self, ids: Sequence[str]) -> None:
        """Check that each class with a listed image is complete; ``ids`` are sorted."""
        if self.train is None or self.train.name == IMAGES_BY_ID:
            return
        highest_numbers = {_wnid(image_id): int(image_id[WNID_LENGTH:]) for image_id in ids}
        complete_names = self._read_complete_list()
        for wnid, number in highest_numbers.items():
            self._nth_name(wnid, number)  # raises if there are fewer images
            if wnid in complete_names:
                self._check_names(wnid, complete_names[wnid])

    def _check_names(self, wnid: str, complete_names: set[str]) -> None:
        """Check that a class has the images that a list of all training images names."""
        names = {name.partition(".")[0] for name in self._sorted_names(wnid)}
        missing = complete_names - names
        foreign = names - complete_names
        if missing or foreign:
            if missing:
                difference = f"{len(missing)} are missing"
            else:
                difference = f"{len(foreign)} are not of it"
            raise ValueError(
                f"{self.train}: class {wnid} has {len(names):,} images, and {difference}, "
                f"such as {min(missing or foreign)}, so ids would refer to other images: copy "
                "this class again"
            )

    def _check_size(self, wnid: str, n_images: int) -> None:
        """Check that a class has as many images as in ILSVRC12, or is a small copy."""
        official_size = self._class_sizes.get(wnid, n_images)
        counts = (
            f"{self.train}: class {wnid} has {n_images:,} images, "
            f"but ILSVRC12 has {official_size:,}"
        )
        if n_images > official_size:
            raise ValueError(
                f"{counts}, so ids would refer to other images: remove the files that do not "
                "belong to this class"
            )
        if SMALLEST_CLASS <= n_images < official_size:
            raise ValueError(
                f"{counts}, so it is incomplete, and ids would refer to other images: copy it again"
            )

    def _read_complete_list(self) -> Mapping[str, set[str]]:
        """Return the names of all training images by class, if a list gives them."""
        names: dict[str, set[str]] = {}
        paths = [self.data_dir / name for name in COMPLETE_LISTS]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            return names
        for line in read_text(path).splitlines():
            match = COMPLETE_LIST_LINE.match(line)
            if match:
                names.setdefault(match["wnid"], set()).add(match["name"])
        return names

    @cached_property
    def _validation_names(self) -> dict[str, str]:
        """The file name of each validation image, by its id."""
        return {Path(name).stem: name for name in self.validation.path_of_name}

    @property
    def left_out(self) -> Counter[str]:
        """What was left out of the class folders and of the validation images."""
        return super().left_out + self.validation.left_out

    @cached_property
    def _train_tar(self) -> TarArchive:
        return TarArchive(self._train_path)

    @property
    def _train_path(self) -> Path:
        """The training images of ILSVRC12, an archive or a folder; an error if there are none."""
        return self.train or self.find_path(*TRAIN_PLACES)

    def _tar_members(self, wnid: str) -> Mapping[str, ByteRange]:
        return self._train_tar.nested_members(f"{wnid}.tar")

    def _folder_names(self, wnid: str) -> list[str]:
        """Return the names of the images in a class folder."""
        folder = self._train_path / wnid
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: this class is missing: complete your copy")
        return self.list_folder(folder).images

    def _name_of_id(self, image_id: str) -> str:
        """Return the name of the file that is called like an id; most end in .jpg."""
        name = f"{image_id}.jpg"
        if self._train_path.joinpath(name).is_file():
            return name
        return self._names_by_id.get(image_id, name)

    @cached_property
    def _names_by_id(self) -> Mapping[str, str]:
        return {Path(name).stem: name for name in self.list_folder(self._train_path).images}

    def _nth_name(self, wnid: str, number: int) -> str:
        """Return the file name of an image by its number in its class, which counts from 1."""
        names = self._sorted_names(wnid)
        if not 1 <= number <= len(names):
            raise ValueError(
                f"{self.train}: class {wnid} has {len(names)} images, but the lists contain its "
                f"image number {number}: the class is incomplete, and ids would refer to other "
                "images: copy it again"
            )
        return names[number - 1]

    def _sorted_names(self, wnid: str) -> list[str]:
        """Return the names of the images of a class in the order of the numbers in the names."""
        if wnid not in self._names_of_class:
            if self._train_path.is_dir():
                names = self._folder_names(wnid)
            else:
                names = list(self._tar_members(wnid))
            order = np.argsort(self._numbers_in(wnid, names), kind="stable")
            self._check_size(wnid, len(names))
            self._names_of_class[wnid] = [names[position] for position in order]
        return self._names_of_class[wnid]

    def _numbers_in(self, wnid: str, names: Iterable[str]) -> list[int]:
        """Return the number in the name of each image of a class."""
        numbers = []
        for name in names:
            match = re.fullmatch(rf"{wnid}_(\d+)\.\w+", name)
            if match is None:
                raise ValueError(
                    f"{self.train}: class {wnid}: the name {name!r} is not of the form "
                    f"{wnid}_10026.JPEG: "
                    "use the official files"
                )
            numbers.append(int(match[1]))
        return numbers


def _wnid(image_id: str) -> str:
    return image_id[:WNID_LENGTH]


def _read_list(path: Path) -> list[str]:
    """Return the image ids of a list."""
    names = table_io.read_table(path, LIST_COLUMNS)["filename"].to_pylist()
    ids = [name.removesuffix(".jpg") for name in names]
    is_wrong = np.array([not IMAGE_ID.fullmatch(image_id) for image_id in ids], bool)
    remedy = "images are called like n0153282900000005.jpg: fix the name"
    table_io.reject_bad_rows(path, "filename", is_wrong, pa.array(ids), remedy)
    return ids
