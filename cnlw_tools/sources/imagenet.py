"""ILSVRC12 as its authors pack it: an archive of class archives, or class folders; ids are the names of the files.

Nothing is unpacked: images are read from the archives by offset. Classes are the WordNet ids of the training set, in
their order, which is that of most trained networks. Source: Russakovsky et al., "ImageNet Large Scale Visual
Recognition Challenge", International Journal of Computer Vision 115, 2015.
"""

from functools import cached_property
from pathlib import Path

import pyarrow as pa

from cnlw_tools.images.pixels import SUFFIXES, Picture
from cnlw_tools.sources.base import Local, manifest
from cnlw_tools.sources.formats.ilsvrc import PREFIX, Validation
from cnlw_tools.sources.formats.image_files import below
from cnlw_tools.sources.formats.tar import Tar

TAR = "ILSVRC2012_img_train.tar"


class Imagenet(Local):
    """1,281,167 images to train on, 50,000 to validate, 1,000 classes; fewer, where there are fewer folders."""

    name = "imagenet"
    needs = f"train/ and val/ with class folders, or {TAR}, ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz"

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        self.train = self.find("train", TAR, "ILSVRC2012_img_train", "ILSVRC/Data/CLS-LOC/train")
        self.validation = Validation(self.data_dir)

    def classes(self) -> tuple[str, ...]:
        """Return the WordNet ids of the training set, sorted.

        Raises:
            ValueError: there are none
        """
        names = (
            [p.name for p in self.train.iterdir() if p.is_dir()]
            if self.train.is_dir()
            else self._tar.members
        )
        found = tuple(sorted(name.removesuffix(".tar") for name in names))
        if not found:
            raise ValueError(
                f"{self.train}: there is no class here: it holds one folder or archive a class"
            )
        return found

    def manifest(self) -> pa.Table:
        """Return a row an image: those to train on by class and name, then those to validate.

        Raises:
            OSError, ValueError: a class without images, or with them in one of the two sets alone; see formats/ilsvrc.py
        """
        classes = self.classes()
        label = {wnid: i for i, wnid in enumerate(classes)}
        names = {wnid: self._names(wnid) for wnid in classes}
        if not self.validation:
            raise FileNotFoundError(
                f"{self.data_dir}: there are no validation images here; {self.name} needs {self.needs}"
            )
        held = self.validation.wnids
        if unknown := sorted(set(held.values()) - label.keys()):
            raise ValueError(
                f"{self.data_dir}: class {unknown[0]} has images to validate and none to train on: add them"
            )
        ids = [name for found in names.values() for name in found]
        labels = [label[wnid] for wnid, found in names.items() for _ in found] + [
            label[w] for w in held.values()
        ]
        splits = ["train"] * len(ids) + ["validation"] * len(held)
        return manifest([*ids, *held], labels, splits)

    def read(self, image_id: str) -> Picture:
        """Return one file as it is.

        Raises:
            LookupError: no such id
        """
        if image_id.startswith(PREFIX):
            return self.validation.read(image_id)
        wnid = image_id.partition("_")[0]
        if self.train.is_dir():
            return below(self.train, f"{wnid}/{image_id}")
        inner = self._tar.inner(f"{wnid}.tar")
        if image_id not in inner:
            raise LookupError(
                f"{self.train}: no image {image_id!r}; ids are names of files, n01440764_10026.JPEG ..."
            )
        return self._tar.read(inner[image_id])

    @cached_property
    def _tar(self) -> Tar:
        return Tar(self.train)

    def _names(self, wnid: str) -> list[str]:
        """Return the images of a class, each named after it."""
        if self.train.is_dir():
            found = sorted(
                p.name for p in (self.train / wnid).iterdir() if p.suffix.lower() in SUFFIXES
            )
        else:
            found = sorted(self._tar.inner(f"{wnid}.tar"))
        if not found or (other := [name for name in found if not name.startswith(f"{wnid}_")]):
            said = f"image {other[0]!r} is not called {wnid}_..." if found else "there is no image"
            raise ValueError(f"{self.train}: class {wnid}: {said}: take the official files")
        return found
