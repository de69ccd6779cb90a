"""Food-101N is read as published, with the test set of Food-101 if it is beside it.

Labels come from the web. For some images, people were asked whether the image shows its class. The
column ``correct`` has their answer, and is null for all other images. The images of
`verified_val.tsv` are not in the split ``train``; those with the answer yes are the split
``validation``. The test images of `food-101/` in the same folder are the split ``test``. If an
answer is about a class other than the one in `imagelist.tsv`, it is not used.

Sources: Lee, He, Zhang, Yang, "CleanNet: transfer learning for scalable image classifier training
with label noise", CVPR 2018; Bossard, Guillaumin, Van Gool, "Food-101", ECCV 2014.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from cnlw_tools.sources.base import make_manifest
from cnlw_tools.sources.formats.image_files import ImageFiles, require_images
from cnlw_tools.sources.formats.text_lists import read_lines

HEADER_START = "class_name"  # of the first line of each list


class Food101n(ImageFiles):
    """310,009 photographs found by searches for 101 dishes."""

    name = "food101n"
    layout = (
        "Food-101N_release/ with meta/ and images/, or its contents; "
        "food-101/ beside it for a test set"
    )

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        self.prefix = "" if (self.data_dir / "meta").is_dir() else "Food-101N_release/"

    def classes(self) -> tuple[str, ...]:
        """Return the names of classes.txt."""
        lines = read_lines(self._list_path("classes.txt"))
        return tuple(lines[1:])

    def manifest(self) -> pa.Table:
        """Return one row per image: train, validation, test, each in the order of its list.

        Raises:
            OSError: a list or an image is missing
            ValueError: a list is damaged, or names an unknown class
        """
        train_verdicts = self._read_verdicts("verified_train.tsv")
        validation_verdicts = self._read_verdicts("verified_val.tsv")
        keys = self._read_list(self._list_path("imagelist.tsv"))
        train_keys = [key for key in keys if key not in validation_verdicts]
        correct_keys = [key for key, correct in validation_verdicts.items() if correct]
        tables = [
            self._split_manifest("train", train_keys, train_verdicts, self.prefix),
            self._split_manifest("validation", correct_keys, validation_verdicts, self.prefix),
        ]
        if (self.data_dir / "food-101").is_dir():
            lines = read_lines(self.find_path("food-101/meta/test.txt"))
            test_keys = [f"{line}.jpg" for line in lines]
            tables.append(self._split_manifest("test", test_keys, {}, "food-101/"))
        return pa.concat_tables(tables)

    def _list_path(self, name: str) -> Path:
        return self.find_path(f"{self.prefix}meta/{name}")

    def _read_list(self, path: Path) -> list[str]:
        """Return the lines of a list below its header."""
        header, *lines = read_lines(path) or [""]
        if not header.startswith(HEADER_START):
            raise ValueError(
                f"{path} begins with {header!r}, not with {HEADER_START}: copy this file again"
            )
        return lines

    def _read_verdicts(self, name: str) -> dict[str, bool]:
        """Return whether people found each image of a list correct."""
        path = self._list_path(name)
        verdicts = {}
        for row, line in enumerate(self._read_list(path)):
            key, _, verdict = line.partition("\t")
            if verdict not in ("0", "1"):
                raise ValueError(
                    f"{path}: row {row}: {line!r} must consist of the name of an image and 0 or "
                    "1: copy this file again"
                )
            verdicts[key] = verdict == "1"
        return verdicts

    def _split_manifest(
        self,
        split: str,
        keys: Sequence[str],
        verdicts: Mapping[str, bool],
        prefix: str,
    ) -> pa.Table:
        """Return the rows of images ``class/name`` in `images/` below a prefix."""
        classes = [key.split("/")[0] for key in keys]
        label_of_class = {name: label for label, name in enumerate(self.classes())}
        for key, name in zip(keys, classes, strict=True):
            if name not in label_of_class:
                raise ValueError(
                    f"{self.data_dir}: the class of {split} image {key!r} is not in classes.txt: "
                    "copy the lists again"
                )
        ids = [f"{prefix}images/{key}" for key in keys]
        require_images(self.data_dir, ids, f"the {split} images")
        return make_manifest(
            ids,
            [label_of_class[name] for name in classes],
            [split] * len(ids),
            correct=pa.array([verdicts.get(key) for key in keys], pa.bool_()),
        )
