"""Mini-ImageNet as the release of Jiang et al. (2020) counts it: 100 classes of ILSVRC12, 600 images of each.

An id is a WordNet id and an eight-digit number: n0153282900000005 is the fifth image of the class archive
n01532829.tar, its members sorted by the number in their names. So a class of which some images are missing would give
every later id another picture; it is an error: fewer images than the highest listed number, fewer or more than
ILSVRC12 has of the class (column ``images`` of the class list), or, where a list of all training images lies beside
them (Kaggle's `LOC_train_solution.csv`, or `train_cls.txt`), one that is not there. Archives of fewer images than
the smallest class of ILSVRC12 has are small copies, to try things with, and whole as they are; the lists of
Mini-ImageNet name later images of every class. Ids have no ending, in whatever list they stand.

Which images these are say the lists train.csv, val.csv and test.csv of Ravi and Larochelle (ICLR 2017): their three
sets of classes are one training set here. Validation images are those of the release's `clean_validation`, or, where
there is none, all of ILSVRC12's of these classes. Classes are in the order of the release, found by WordNet id.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from cnlw_tools import files
from cnlw_tools.dataset import table_io
from cnlw_tools.images.pixels import SUFFIXES, Picture
from cnlw_tools.sources.base import Local, manifest
from cnlw_tools.sources.formats.ilsvrc import PREFIX, Validation
from cnlw_tools.sources.formats.image_files import below
from cnlw_tools.sources.formats.tar import Span, Tar
from cnlw_tools.sources.imagenet import TAR

LISTS = ("train.csv", "val.csv", "test.csv")
TRAIN = (TAR, "ILSVRC2012_img_train", "train", "ILSVRC/Data/CLS-LOC/train", "images")
LISTED = ("LOC_train_solution.csv", "train_cls.txt", "ILSVRC/ImageSets/CLS-LOC/train_cls.txt")
LEAST = 732  # training images of a class of ILSVRC12, at least: Russakovsky et al. 2015, table 2
ID = re.compile(r"(n\d{8})(\d{8})")
ROW = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("filename", "label")])
CLASSES = pa.schema(
    [pa.field("wnid", pa.string(), nullable=False), pa.field("images", pa.int32(), nullable=False)]
)


class MiniImagenet(Local):
    """60,000 images to train on, 5,000 to validate, 100 classes; fewer, where the lists are shorter."""

    name = "mini_imagenet"
    needs = f"{TAR}, ILSVRC2012_img_val.tar, train.csv, val.csv and test.csv; or images/ instead of the first"

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        self._sorted: dict[str, list[str]] = {}
        self.train = next(
            (self.data_dir / name for name in TRAIN if (self.data_dir / name).exists()), None
        )
        self.validation = Validation(self.data_dir)

    def manifest(self) -> pa.Table:
        """Return a row an image of these classes: those of the lists by id, then the validation images.

        Raises:
            OSError: a list or an archive is missing
            ValueError: a line of a list that names no image, an id twice, or a class that is incomplete
        """
        label = self._labels
        ids = [name for name in self._listed() if name[:9] in label]
        self._complete(ids)
        held = self._held()
        labels = [label[name[:9]] for name in ids] + list(held.values())
        return manifest([*ids, *held], labels, ["train"] * len(ids) + ["validation"] * len(held))

    def label_of(self, name: str) -> int:
        """Return the label of a class by its WordNet id, its name or its number, as class folders are called."""
        return self._labels[name] if name in self._labels else super().label_of(name)

    def read(self, image_id: str) -> Picture:
        """Return one file as it is.

        Raises:
            LookupError: no such image
            ValueError: its class is incomplete
        """
        if image_id.startswith(PREFIX) and self.validation:
            return self.validation.read(self._validation_files.get(image_id, image_id))
        parts = ID.fullmatch(image_id)
        if parts is None or self.train is None:
            return self.cnlw.read(image_id)
        if self.train.name == "images":
            return below(self.train, f"{image_id}.jpg")
        wnid, name = parts[1], self._nth(parts[1], int(parts[2]))
        return (
            below(self.train, f"{wnid}/{name}")
            if self.train.is_dir()
            else self._tar.read(self._spans(wnid)[name])
        )

    @cached_property
    def _labels(self) -> dict[str, int]:
        """The label of each WordNet id."""
        return {wnid: i for i, wnid in enumerate(self._sizes)}

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """How many training images each class of ILSVRC12 has, by WordNet id."""
        table = table_io.load(
            files.default_root() / "manifests" / self.name / "classes.csv", CLASSES
        )
        return dict(zip(table["wnid"].to_pylist(), table["images"].to_pylist(), strict=True))

    def _listed(self) -> list[str]:
        """Return the ids of the three lists, or, where there are none, of the release's splits; sorted."""
        if not any((self.data_dir / name).is_file() for name in LISTS) and self.cnlw:
            named = self.cnlw.official(self.label_of)["image_id"].unique().to_pylist()
            return sorted(name for name in named if ID.fullmatch(name))
        found: list[str] = []
        for path in (self.find(name) for name in LISTS):
            names = [
                name.removesuffix(".jpg")
                for name in table_io.load(path, ROW)["filename"].to_pylist()
            ]
            bad = np.array([not ID.fullmatch(name) for name in names], bool)
            table_io.first(
                path,
                "filename",
                bad,
                pa.array(names),
                "images are called n0153282900000005.jpg: mend it",
            )
            found += names
        remedy = "an image stands in one of the three lists, once"
        table_io.distinct(self.data_dir, pa.table({"filename": found}), ["filename"], remedy)
        return sorted(found)

    def _held(self) -> Mapping[str, int]:
        """Return the label of each validation image, by its id."""
        said = self.cnlw.validation(self.label_of)
        if said is not None:
            return said
        if not self.validation:
            raise FileNotFoundError(
                f"{self.data_dir}: there are no validation images; {self.name} needs {self.needs}"
            )
        label = self._labels
        return {
            Path(name).stem: label[wnid]
            for name, wnid in self.validation.wnids.items()
            if wnid in label
        }

    def _complete(self, ids: Sequence[str]) -> None:
        """Insist that every class has as many images as its highest number says, and all that are known by name."""
        if self.train is None or self.train.name == "images":
            return
        highest, known = (
            {name[:9]: int(name[9:]) for name in ids},
            self._known(),
        )  # sorted: the last one stays
        for wnid, number in highest.items():
            self._nth(wnid, number)
            there = {name.partition(".")[0] for name in self._names(wnid)}
            listed = known.get(wnid, there)
            for what, odd in (("missing", listed - there), ("not of it", there - listed)):
                if odd:
                    said = f"class {wnid} has {len(there):,} images, and {len(odd)} are {what}, such as {min(odd)}"
                    raise ValueError(
                        f"{self.train}: {said}: its numbers would be others: copy it again"
                    )

    def _whole(self, wnid: str, number: int) -> None:
        """Insist that a class has as many images as ILSVRC12 has, if it is no small copy."""
        said = f"{self.train}: class {wnid} has {number:,} images, and ILSVRC12 has {self._sizes.get(wnid, number):,}"
        if number > self._sizes.get(wnid, number):
            raise ValueError(f"{said}: its numbers would be others: take out what is not of it")
        if LEAST <= number < self._sizes.get(wnid, number):
            raise ValueError(
                f"{said}: it is incomplete, and its numbers would be others: copy it again"
            )

    def _known(self) -> Mapping[str, set[str]]:
        """Return the names of all training images by class, where a list of them lies beside."""
        path = next(
            (self.data_dir / name for name in LISTED if (self.data_dir / name).is_file()), None
        )
        found: dict[str, set[str]] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path else ():
            if named := re.match(r"(?:n\d{8}/)?((n\d{8})_\d+)[ ,]", line):
                found.setdefault(named[2], set()).add(named[1])
        return found

    @cached_property
    def _validation_files(self) -> dict[str, str]:
        """The file name of each validation image, by its id."""
        return {Path(path).stem: Path(path).name for path in self.validation.names}

    @cached_property
    def _tar(self) -> Tar:
        return Tar(self._folder)

    @property
    def _folder(self) -> Path:
        """The training images of ILSVRC12, an archive or a folder."""
        return self.train or self.find(*TRAIN)

    def _spans(self, wnid: str) -> Mapping[str, Span]:
        return self._tar.inner(f"{wnid}.tar")

    def _inside(self, wnid: str) -> list[str]:
        """Return the images of a class folder."""
        if not (self._folder / wnid).is_dir():
            raise FileNotFoundError(
                f"{self._folder / wnid}: this class is missing: complete your copy"
            )
        return [p.name for p in (self._folder / wnid).iterdir() if p.suffix.lower() in SUFFIXES]

    def _nth(self, wnid: str, number: int) -> str:
        """Return the file name of an image by its number in its class, from 1 on."""
        names = self._names(wnid)
        if not 1 <= number <= len(names):
            few = f"class {wnid} has {len(names)} images, and the lists ask for its {number}th"
            raise ValueError(
                f"{self.train}: {few}: it is incomplete, and its numbers would be others: copy it again"
            )
        return names[number - 1]

    def _names(self, wnid: str) -> list[str]:
        """Return the images of a class in the order of the numbers in their names."""
        if wnid not in self._sorted:
            found = list(self._spans(wnid)) if not self._folder.is_dir() else self._inside(wnid)
            numbers = [re.fullmatch(rf"{wnid}_(\d+)\.\w+", name) for name in found]
            if None in numbers:
                odd = found[numbers.index(None)]
                raise ValueError(
                    f"{self.train}: class {wnid}: {odd!r} is not called {wnid}_10026.JPEG or the like"
                )
            self._whole(wnid, len(found))
            self._sorted[wnid] = [
                found[i] for i in np.argsort([int(n[1]) for n in numbers if n], kind="stable")
            ]
        return self._sorted[wnid]
