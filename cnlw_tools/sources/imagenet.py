"""ILSVRC12 is read as published, from an archive of class archives or from class folders.

Ids are the names of the files. Nothing is unpacked: images are read from inside the archives.
The names of classes are WordNet ids. Classes are numbered in the sorted order of these ids, as in
most networks that were trained on ILSVRC12.

Source: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge",
International Journal of Computer Vision 115, 2015.
"""

from collections import Counter
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from cnlw_tools.images.pixels import Picture
from cnlw_tools.sources.base import LocalSource, make_manifest
from cnlw_tools.sources.formats.ilsvrc import VALIDATION_PREFIX, ValidationSet
from cnlw_tools.sources.formats.image_files import read_image_file
from cnlw_tools.sources.formats.listing import is_clutter
from cnlw_tools.sources.formats.tar import TarArchive

TRAIN_TAR = "ILSVRC2012_img_train.tar"
TRAIN_PLACES = ("train", TRAIN_TAR, "ILSVRC2012_img_train", "ILSVRC/Data/CLS-LOC/train")


class Imagenet(LocalSource):
    """1,281,167 training and 50,000 validation images of 1,000 classes; less in a smaller copy."""

    name = "imagenet"
    layout = (
        f"train/ and val/ with class folders, or {TRAIN_TAR}, ILSVRC2012_img_val.tar "
        "and ILSVRC2012_devkit_t12.tar.gz"
    )

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        self.train = self.find_path(*TRAIN_PLACES)
        self.validation = ValidationSet(self.data_dir)

    def classes(self) -> tuple[str, ...]:
        """Return the WordNet ids of the training set, sorted.

        Raises:
            ValueError: there are none
        """
        if self.train.is_dir():
            names = [path.name for path in self.train.iterdir() if path.is_dir()]
            names = [name for name in names if not is_clutter(name)]
        else:
            names = list(self._train_tar.members)
        wnids = sorted(name.removesuffix(".tar") for name in names)
        if not wnids:
            raise ValueError(
                f"{self.train}: there is no class in this folder: put one folder or archive "
                "per class into it"
            )
        return tuple(wnids)

    def manifest(self) -> pa.Table:
        """Return one row per image: training images by class and name, then validation images.

        Raises:
            OSError: there are no validation images, or no file gives their classes
            ValueError: a class has no training images, or the images are not the official files
        """
        label_of_wnid = {wnid: label for label, wnid in enumerate(self.classes())}
        train_wnids: dict[str, str] = {}
        for wnid in label_of_wnid:
            for name in self._train_names(wnid):
                train_wnids[name] = wnid
        if not self.validation:
            raise FileNotFoundError(
                f"{self.data_dir}: there are no validation images here; "
                f"{self.name} needs {self.layout}"
            )
        validation_wnids = self.validation.wnids
        unknown = set(validation_wnids.values()) - label_of_wnid.keys()
        if unknown:
            raise ValueError(
                f"{self.data_dir}: class {min(unknown)} has validation images but no training "
                "images: add training images"
            )
        wnids = [*train_wnids.values(), *validation_wnids.values()]
        splits = ["train"] * len(train_wnids) + ["validation"] * len(validation_wnids)
        return make_manifest(
            [*train_wnids, *validation_wnids],
            [label_of_wnid[wnid] for wnid in wnids],
            splits,
        )

    def read(self, image_id: str) -> Picture:
        """Return the bytes of one image, unchanged.

        Raises:
            LookupError: there is no such id
        """
        if image_id.startswith(VALIDATION_PREFIX):
            return self.validation.read(image_id)
        wnid = image_id.partition("_")[0]
        if self.train.is_dir():
            return read_image_file(self.train, f"{wnid}/{image_id}")
        members = self._train_tar.nested_members(f"{wnid}.tar")
        if image_id not in members:
            raise LookupError(
                f"{self.train}: there is no image {image_id!r}; "
                "ids are names of files, such as n01440764_10026.JPEG"
            )
        return self._train_tar.read(members[image_id])

    @property
    def left_out(self) -> Counter[str]:
        """What was left out of the class folders and of the validation images."""
        return super().left_out + self.validation.left_out

    @cached_property
    def _train_tar(self) -> TarArchive:
        return TarArchive(self.train)

    def _train_names(self, wnid: str) -> list[str]:
        """Return the file names of the training images of a class, each of which begins with it."""
        if self.train.is_dir():
            names = self.list_folder(self.train / wnid).images
        else:
            names = list(self._train_tar.nested_members(f"{wnid}.tar"))
        if not names:
            raise ValueError(
                f"{self.train}: class {wnid}: there is no image: use the official files"
            )
        names.sort()
        for name in names:
            if not name.startswith(f"{wnid}_"):
                raise ValueError(
                    f"{self.train}: class {wnid}: the name {name!r} does not begin with {wnid}_: "
                    "use the official files"
                )
        return names
