"""Clothing1M as its authors pack it: `images/`, and lists beside it or in `annotations/`.

A million images whose labels come from the words around them, and 72,409 that people labelled: those to train on are
the split ``probe``, those to validate ``validation``, those to test ``test``. What people labelled is in no other
split, and keeps its label from the words in the column ``noisy_label``, where it has one. Source: Xiao, Xia, Yang,
Huang, Wang, "Learning from massive noisy labeled data for image classification", CVPR 2015.
"""

from pathlib import Path

import pyarrow as pa

from cnlw_tools.sources.base import manifest
from cnlw_tools.sources.formats.image_files import Files, present
from cnlw_tools.sources.formats.text_lists import labelled, lines

LISTS = {
    "noisy_train": "train",
    "clean_train": "probe",
    "clean_val": "validation",
    "clean_test": "test",
}


class Clothing1m(Files):
    """A million photographs of clothes, 14 classes."""

    name = "clothing1m"
    needs = "images/, and category_names_eng.txt, *_key_list.txt, *_label_kv.txt beside it or in annotations/"

    def classes(self) -> tuple[str, ...]:
        """Return the English names."""
        return tuple(lines(self._list("category_names_eng.txt")))

    def manifest(self) -> pa.Table:
        """Return a row an image, list by list.

        Raises:
            OSError: a list or an image is missing
            ValueError: a list is damaged, an image has no label, or is in two of the lists that people labelled
        """
        count = len(self.classes())
        noisy, clean = (
            labelled(self._list(f"{kind}_label_kv.txt"), count) for kind in ("noisy", "clean")
        )
        keys = {part: lines(self._list(f"{part}_key_list.txt")) for part in LISTS}
        people = {key for part, found in keys.items() if part != "noisy_train" for key in found}
        keys["noisy_train"] = [key for key in keys["noisy_train"] if key not in people]
        made = []
        for part, ids in keys.items():
            path, said = (
                self._list(f"{part}_key_list.txt"),
                noisy if part == "noisy_train" else clean,
            )
            if missing := [key for key in ids if key not in said]:
                raise ValueError(
                    f"{path}: {missing[0]!r} has no label in {part.split('_')[0]}_label_kv.txt: copy both again"
                )
            present(self.data_dir, ids, path)
            heard = pa.array([noisy.get(key) for key in ids], pa.int32())
            made.append(
                manifest(
                    ids, [said[key] for key in ids], [LISTS[part]] * len(ids), noisy_label=heard
                )
            )
        return pa.concat_tables(made)

    def _list(self, name: str) -> Path:
        return self.find(name, f"annotations/{name}")
