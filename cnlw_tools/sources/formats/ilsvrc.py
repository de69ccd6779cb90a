"""The validation set of ILSVRC12: 50,000 images as a tar archive, one folder, or class folders.

Images in class folders are of the class of their folder. Otherwise the classes come from one of

    LOC_val_solution.csv                            Kaggle's table, by the name of the image
    imagenet_2012_validation_synset_labels.txt      a WordNet id a line
    ILSVRC2012_devkit_t12                           the official devkit, unpacked or as .tar.gz

where the last two are in the order of the numbers in the names of the images.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from cnlw_tools.files.archives import read_tar_members
from cnlw_tools.files.texts import read_csv_rows
from cnlw_tools.files.untrusted import BadFile, translate_errors
from cnlw_tools.sources.formats import matlab
from cnlw_tools.sources.formats.image_files import read_image_file
from cnlw_tools.sources.formats.listing import list_folder
from cnlw_tools.sources.formats.tar import TarArchive
from cnlw_tools.sources.formats.text_lists import read_lines

VALIDATION_PREFIX = "ILSVRC2012_val_"  # how the name of each image begins
IMAGE_FOLDERS = ("val", "ILSVRC2012_img_val", "ILSVRC/Data/CLS-LOC/val")
IMAGE_TAR = "ILSVRC2012_img_val.tar"
KAGGLE_TABLE = "LOC_val_solution.csv"
SYNSET_LIST = "imagenet_2012_validation_synset_labels.txt"
DEVKIT = "ILSVRC2012_devkit_t12"
LARGEST_DEVKIT = 64 << 20  # bytes, decompressed; it has 4 MB
DEVKIT_NUMBERS = "data/ILSVRC2012_validation_ground_truth.txt"  # the class number of each image
DEVKIT_SYNSETS = "data/meta.mat"  # the WordNet id of each class number


class ValidationSet:
    """The validation images in a folder with `val/` or the archive; false without any."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tar_path = folder / IMAGE_TAR
        self.images = folder / IMAGE_FOLDERS[0]
        self.left_out: Counter[str] = Counter()  # of the folder, once it was looked at
        for name in IMAGE_FOLDERS:
            if (folder / name).is_dir():
                self.images = folder / name
                break

    def __bool__(self) -> bool:
        return self.images.is_dir() or self.tar_path.is_file()

    @cached_property
    def wnids(self) -> Mapping[str, str]:
        """The WordNet id of each image, by file name, in the order of the names.

        Raises:
            OSError: no file says which classes the images are of
            ValueError: the file does not fit the images
        """
        if self._has_class_folders:
            return self._wnids_of_folders()
        names = sorted(self._paths)
        wnids = self._listed_wnids(names)
        missing = [name for name in names if name not in wnids]
        if missing:
            raise ValueError(
                f"{self.folder}: no class is given for {missing[0]}: use the official devkit"
            )
        return {name: wnids[name] for name in names}

    @cached_property
    def path_of_name(self) -> Mapping[str, str]:
        """The path of each image, by file name."""
        return {Path(path).name: path for path in self._paths}

    def read(self, name: str) -> bytes:
        """Return one image by its file name.

        Raises:
            LookupError: there is none of that name
        """
        if name not in self.path_of_name:
            raise LookupError(
                f"{self.folder}: there is no validation image {name!r}: "
                f"names are like {VALIDATION_PREFIX}00000001.JPEG"
            )
        if self.images.is_dir():
            return read_image_file(self.images, self.path_of_name[name])
        return self._tar.read(self._tar.members[name])

    @cached_property
    def _tar(self) -> TarArchive:
        return TarArchive(self.tar_path)

    @cached_property
    def _paths(self) -> list[str]:
        """The images: file names, or paths with class folders."""
        if self.images.is_dir():
            paths, _, self.left_out = list_folder(self.images, self.folder)
        else:
            paths = sorted(self._tar.members)
        depths = {path.count("/") for path in paths}
        if len(depths) != 1 or max(depths) > 1:
            raise ValueError(
                f"{self.images}: some images are in class folders and some are not: put all "
                "images side by side, or each into the folder of its class"
            )
        self._reject_copies(paths)
        return paths

    def _reject_copies(self, paths: Sequence[str]) -> None:
        """Raise if two class folders hold an image of one name, which has one class."""
        path_of_name: dict[str, str] = {}
        for path in paths:
            first_path = path_of_name.setdefault(Path(path).name, path)
            if first_path != path:
                raise ValueError(
                    f"{self.images}: {first_path} and {path} have the same name, but an image has "
                    "one class: "
                    "remove the wrong one"
                )

    @property
    def _has_class_folders(self) -> bool:
        return "/" in self._paths[0]

    def _wnids_of_folders(self) -> dict[str, str]:
        wnids = {}
        for path in sorted(self._paths, key=lambda path: Path(path).name):
            folder, _, name = path.partition("/")
            wnids[name] = folder
        return wnids

    def _listed_wnids(self, names: Sequence[str]) -> dict[str, str]:
        """Return the WordNet ids by file name, as far as a list gives them."""
        if (self.folder / KAGGLE_TABLE).is_file():
            return _read_kaggle_table(self.folder / KAGGLE_TABLE)
        if (self.folder / SYNSET_LIST).is_file():
            wnids_in_order = read_lines(self.folder / SYNSET_LIST)
        else:
            wnids_in_order = self._read_devkit()
        wnids = {}
        for name in names:
            number = Path(name).stem.removeprefix(VALIDATION_PREFIX)
            if number.isdecimal() and 0 < int(number) <= len(wnids_in_order):
                wnids[name] = wnids_in_order[int(number) - 1]
        return wnids

    def _read_devkit(self) -> list[str]:
        """Return the WordNet id of each image in the order of their numbers."""
        folder = self.folder / DEVKIT
        packed = self.folder / f"{DEVKIT}.tar.gz"
        if folder.is_dir():
            class_numbers = read_lines(folder / DEVKIT_NUMBERS)
            (synsets,) = matlab.read_variables(folder / DEVKIT_SYNSETS, ["synsets"])
        elif packed.is_file():
            members = [f"{DEVKIT}/{DEVKIT_NUMBERS}", f"{DEVKIT}/{DEVKIT_SYNSETS}"]
            text, data = read_tar_members(packed, members, LARGEST_DEVKIT)
            class_numbers = text.decode(errors="replace").split()
            (synsets,) = matlab.read_variables(packed, ["synsets"], data)
        else:
            raise FileNotFoundError(
                f"{self.folder}: no file gives the classes of the validation images: put "
                f"{DEVKIT}.tar.gz, {SYNSET_LIST} or {KAGGLE_TABLE} here, "
                "or the images into class folders"
            )
        with translate_errors(self.folder / DEVKIT, "the devkit", "copy it again"):
            wnids = _wnid_of_number(synsets)
            return [wnids[number] for number in class_numbers]


def _read_kaggle_table(path: Path) -> dict[str, str]:
    """Return the WordNet id of each image; its prediction string begins with it."""
    wnids = {}
    for number, row in enumerate(read_csv_rows(path)):
        if not {"ImageId", "PredictionString"} <= row.keys():
            raise BadFile(
                f"{path}: there are no columns ImageId and PredictionString: copy this file again"
            )
        wnid = row["PredictionString"].partition(" ")[0]
        if not wnid:
            raise BadFile(f"{path}: row {number} has no class: copy this file again")
        wnids[f"{row['ImageId']}.JPEG"] = wnid
    return wnids


def _wnid_of_number(synsets: Any) -> dict[str, str]:
    """Return the WordNet id of each class number of the devkit's structured array."""
    numbers = map(str, synsets["ILSVRC2012_ID"])
    wnids = map(str, synsets["WNID"])
    return dict(zip(numbers, wnids, strict=True))
