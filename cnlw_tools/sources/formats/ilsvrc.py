"""The validation set of ILSVRC12: 50,000 images, as an archive, a folder, or class folders; and whose class each is.

Flat images do not say their class. It stands, in the order of the numbers in their names, in the devkit, or in
`imagenet_2012_validation_synset_labels.txt`, a WordNet id a line, or by name in Kaggle's `LOC_val_solution.csv`.
"""

import csv
import tarfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from cnlw_tools.sources.formats import matlab
from cnlw_tools.sources.formats.image_files import below, pictures
from cnlw_tools.sources.formats.tar import Tar
from cnlw_tools.sources.formats.text_lists import lines

PREFIX = "ILSVRC2012_val_"
FOLDERS = ("val", "ILSVRC2012_img_val", "ILSVRC/Data/CLS-LOC/val")
TAR, KAGGLE, SYNSETS = (
    "ILSVRC2012_img_val.tar",
    "LOC_val_solution.csv",
    "imagenet_2012_validation_synset_labels.txt",
)
DEVKIT, GROUND = "ILSVRC2012_devkit_t12", "data/ILSVRC2012_validation_ground_truth.txt"


class Validation:
    """The set in a folder that holds `val/` or the archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = next(
            (folder / name for name in FOLDERS if (folder / name).is_dir()), folder / FOLDERS[0]
        )

    def __bool__(self) -> bool:
        return self.images.is_dir() or (self.folder / TAR).is_file()

    @cached_property
    def wnids(self) -> Mapping[str, str]:
        """The WordNet id of each image, by file name, in the order of the names.

        Raises:
            OSError: nothing says of which class images are
            ValueError: what says so does not fit the images
        """
        if not self._flat:
            return {
                Path(path).name: path.split("/")[0]
                for path in sorted(self._paths, key=lambda p: Path(p).name)
            }
        names = sorted(self._paths)
        said = self._said(names)
        if missing := [name for name in names if name not in said]:
            raise ValueError(
                f"{self.folder}: nothing says of which class {missing[0]} is: use the official devkit"
            )
        return {name: said[name] for name in names}

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The path of each image, by file name."""
        return {Path(path).name: path for path in self._paths}

    def read(self, name: str) -> bytes:
        """Return one image by its file name.

        Raises:
            LookupError: there is none
        """
        if name not in self.names:
            raise LookupError(
                f"{self.folder}: no validation image {name!r}; they are called {PREFIX}00000001.JPEG ..."
            )
        if not self.images.is_dir():
            return self._tar.read(self._tar.members[name])
        return below(self.images, self.names[name])

    @cached_property
    def _tar(self) -> Tar:
        return Tar(self.folder / TAR)

    @cached_property
    def _paths(self) -> list[str]:
        """File names, or paths with class folders."""
        found = pictures(self.images) if self.images.is_dir() else sorted(self._tar.members)
        if len({path.count("/") for path in found}) != 1 or found[0].count("/") > 1:
            raise ValueError(
                f"{self.images}: not images side by side, and not a folder a class: lay it out as either"
            )
        return found

    @property
    def _flat(self) -> bool:
        return "/" not in self._paths[0]

    def _said(self, names: list[str]) -> Mapping[str, str]:
        if (self.folder / KAGGLE).is_file():
            with (self.folder / KAGGLE).open(encoding="utf-8", newline="") as file:
                return {
                    f"{row['ImageId']}.JPEG": row["PredictionString"].split()[0]
                    for row in csv.DictReader(file)
                }
        order = (
            lines(self.folder / SYNSETS) if (self.folder / SYNSETS).is_file() else self._ground()
        )
        ranks = {
            name: int(rank)
            for name in names
            if (rank := Path(name).stem.removeprefix(PREFIX)).isdecimal()
        }
        return {name: order[rank - 1] for name, rank in ranks.items() if 0 < rank <= len(order)}

    def _ground(self) -> list[str]:
        """Return the WordNet id of each image by the devkit, unpacked or not."""
        kit, packed = self.folder / DEVKIT, self.folder / f"{DEVKIT}.tar.gz"
        meta = "data/meta.mat"
        if kit.is_dir():
            numbers, (synsets,) = lines(kit / GROUND), matlab.load(kit / meta, ["synsets"])
        elif packed.is_file():
            text, data = unpacked(packed, [f"{DEVKIT}/{GROUND}", f"{DEVKIT}/{meta}"])
            numbers, (synsets,) = text.decode().split(), matlab.load(packed, ["synsets"], data)
        else:
            raise FileNotFoundError(
                f"{self.folder}: nothing says of which class the validation images are: put {DEVKIT}.tar.gz, "
                f"{SYNSETS} or {KAGGLE} here, or the images in class folders"
            )
        wnid = {
            str(number): str(name)
            for number, name in zip(synsets["ILSVRC2012_ID"], synsets["WNID"], strict=True)
        }
        return [wnid[number] for number in numbers]


def unpacked(path: Path, names: list[str]) -> list[bytes]:
    """Return members of a small packed archive.

    Raises:
        ValueError: it is damaged, or has no such member
    """
    try:
        with tarfile.open(path) as archive:
            found = [archive.extractfile(name) for name in names]
            return [file.read() for file in found if file]
    except (tarfile.TarError, EOFError, OSError, KeyError) as error:
        raise ValueError(f"{path}: damaged, or another archive ({error}): copy it again") from error
