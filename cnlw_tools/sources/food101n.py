"""Food-101N as its authors pack it: `meta/` and `images/`; and the test set of Food-101 where it lies beside.

Labels are the web's. Of some images people said whether they show their class: the column ``correct``, null where
nobody was asked. Those of `verified_val.tsv` leave train: the right ones are the split ``validation``. The test images
of `food-101/` in the same folder are the split ``test``. A verdict on an image under another class than the list's is
one on no row here, and is not used. Sources: Lee, He, Zhang, Yang, "CleanNet: transfer learning for scalable image
classifier training with label noise", CVPR 2018; Bossard, Guillaumin, Van Gool, "Food-101", ECCV 2014.
"""

from pathlib import Path

import pyarrow as pa

from cnlw_tools.sources.base import manifest
from cnlw_tools.sources.formats.image_files import Files, present
from cnlw_tools.sources.formats.text_lists import lines

KEY = "class_name"  # how the head of each list begins


class Food101n(Files):
    """310,009 photographs that a search for 101 dishes found."""

    name = "food101n"
    needs = "Food-101N_release/ with meta/ and images/, or its contents; food-101/ beside it for a test set"

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        self.release = "" if (self.data_dir / "meta").is_dir() else "Food-101N_release/"

    def classes(self) -> tuple[str, ...]:
        """Return the names of classes.txt."""
        return tuple(lines(self._list("classes.txt"))[1:])

    def manifest(self) -> pa.Table:
        """Return a row an image: those to train on, to validate, to test, each in the order of its list.

        Raises:
            OSError: a list or an image is missing
            ValueError: a list is damaged, or names a class that there is not
        """
        said, held = (self._verdicts(f"verified_{part}.tsv") for part in ("train", "val"))
        listed = self._keys(self._list("imagelist.tsv"))
        train = self._rows("train", [key for key in listed if key not in held], said)
        right = self._rows("validation", [key for key, correct in held.items() if correct], held)
        tables = [train, right]
        if (self.data_dir / "food-101").is_dir():
            tested = self.find("food-101/meta/test.txt")
            tables.append(
                self._rows("test", [f"{key}.jpg" for key in lines(tested)], {}, "food-101/")
            )
        return pa.concat_tables(tables)

    def _list(self, name: str) -> Path:
        return self.find(f"{self.release}meta/{name}")

    def _keys(self, path: Path) -> list[str]:
        """Return the rows below the head of a list."""
        head, *rows = lines(path) or [""]
        if not head.startswith(KEY):
            raise ValueError(f"{path}: begins with {head!r}, not with {KEY}: copy this file again")
        return rows

    def _verdicts(self, name: str) -> dict[str, bool]:
        """Return which images people found right."""
        path, found = self._list(name), {}
        for row, line in enumerate(self._keys(path)):
            key, _, verdict = line.partition("\t")
            if verdict not in ("0", "1"):
                raise ValueError(
                    f"{path}: row {row}: {line!r} is not an image and 0 or 1: copy this file again"
                )
            found[key] = verdict == "1"
        return found

    def _rows(
        self, split: str, keys: list[str], correct: dict[str, bool], folder: str | None = None
    ) -> pa.Table:
        """Return images ``class/name``."""
        label = {name: i for i, name in enumerate(self.classes())}
        if unknown := [key for key in keys if key.split("/")[0] not in label]:
            raise ValueError(
                f"{self.data_dir}: {split} image {unknown[0]!r} is of no class of classes.txt: copy it again"
            )
        ids = [f"{self.release if folder is None else folder}images/{key}" for key in keys]
        present(self.data_dir, ids, f"the {split} images")
        judged = pa.array([correct.get(key) for key in keys], pa.bool_())
        return manifest(
            ids, [label[key.split("/")[0]] for key in keys], [split] * len(ids), correct=judged
        )
