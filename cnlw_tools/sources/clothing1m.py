"""Clothing1M is read as published, from `images/` and from lists beside it or in `annotations/`.

A million images have labels from the text beside them on web pages. People labelled 72,409 images:
those in the lists clean_train, clean_val and clean_test are the splits ``probe``, ``validation``
and ``test``. The split ``train`` has no image that people labelled. If an image has a label from
people and one from the text, the column ``noisy_label`` holds the one from the text.

Source: Xiao, Xia, Yang, Huang, Wang, "Learning from massive noisy labeled data for image
classification", CVPR 2015.
"""

from pathlib import Path

import pyarrow as pa

from cnlw_tools.sources.base import make_manifest
from cnlw_tools.sources.formats.image_files import ImageFiles, require_images
from cnlw_tools.sources.formats.text_lists import read_labels, read_lines

NOISY_LIST = "noisy_train"
CLEAN_LISTS = ("clean_train", "clean_val", "clean_test")  # labelled by people
SPLIT_OF_LIST = {
    "noisy_train": "train",
    "clean_train": "probe",
    "clean_val": "validation",
    "clean_test": "test",
}


class Clothing1m(ImageFiles):
    """A million photographs of clothes, 14 classes."""

    name = "clothing1m"
    layout = (
        "images/, and category_names_eng.txt, *_key_list.txt, *_label_kv.txt beside it "
        "or in annotations/"
    )

    def classes(self) -> tuple[str, ...]:
        """Return the English names."""
        return tuple(read_lines(self._list_path("category_names_eng.txt")))

    def manifest(self) -> pa.Table:
        """Return one row per image, list by list.

        Raises:
            OSError: a list or an image is missing
            ValueError: a list is damaged, an image has no label, or is in two clean lists
        """
        noisy_labels = self._read_labels("noisy")
        clean_labels = self._read_labels("clean")
        ids = {name: self._read_ids(name) for name in SPLIT_OF_LIST}
        clean_ids = {image_id for name in CLEAN_LISTS for image_id in ids[name]}
        ids[NOISY_LIST] = [image_id for image_id in ids[NOISY_LIST] if image_id not in clean_ids]
        tables = []
        for name in SPLIT_OF_LIST:
            labels = noisy_labels if name == NOISY_LIST else clean_labels
            tables.append(self._list_manifest(name, ids[name], labels, noisy_labels))
        return pa.concat_tables(tables)

    def _list_manifest(
        self,
        name: str,
        ids: list[str],
        labels: dict[str, int],
        noisy_labels: dict[str, int],
    ) -> pa.Table:
        path = self._list_path(f"{name}_key_list.txt")
        missing = [image_id for image_id in ids if image_id not in labels]
        if missing:
            kind = name.split("_")[0]
            raise ValueError(
                f"{path}: {missing[0]!r} has no label in {kind}_label_kv.txt: copy both files again"
            )
        require_images(self.data_dir, ids, path)
        noisy_column = pa.array([noisy_labels.get(image_id) for image_id in ids], pa.int32())
        return make_manifest(
            ids,
            [labels[image_id] for image_id in ids],
            [SPLIT_OF_LIST[name]] * len(ids),
            noisy_label=noisy_column,
        )

    def _read_labels(self, kind: str) -> dict[str, int]:
        return read_labels(self._list_path(f"{kind}_label_kv.txt"), len(self.classes()))

    def _read_ids(self, name: str) -> list[str]:
        return read_lines(self._list_path(f"{name}_key_list.txt"))

    def _list_path(self, name: str) -> Path:
        return self.find_path(name, f"annotations/{name}")
