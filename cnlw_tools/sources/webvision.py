"""WebVision 1.0 is read as published, from `info/`, `google/`, `flickr/` and `val_images_256/`.

Labels come from the web: the label of an image is the class of the query that found it. The
validation set of WebVision is the split ``validation``. If your folder, or a folder `imagenet/` in
it, holds the validation set of ILSVRC12, this set becomes the split ``validation_ilsvrc12``.
`webvision_mini` has the images that Google found for the first 50 classes.

Sources: Li, Wang, Li, Agustsson, Van Gool, "WebVision Database: visual learning and understanding
from web data", 2017; for mini: Jiang et al., "MentorNet", ICML 2018.
"""

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from cnlw_tools.images.pixels import Picture
from cnlw_tools.sources.base import make_manifest
from cnlw_tools.sources.formats.ilsvrc import VALIDATION_PREFIX, ValidationSet
from cnlw_tools.sources.formats.image_files import ImageFiles, require_images
from cnlw_tools.sources.formats.text_lists import read_labels, read_lines


class WebVision(ImageFiles):
    """2.4 million images found by searches for the 1,000 classes of ILSVRC12."""

    name = "webvision"
    searches: ClassVar[tuple[str, ...]] = ("google", "flickr")
    n_classes: ClassVar[int | None] = None  # the number of first classes that are used; None: all
    layout = (
        "info/ with synsets.txt and the lists, google/, flickr/, val_images_256/; "
        "the validation set of ILSVRC12 may be beside it"
    )

    def classes(self) -> tuple[str, ...]:
        """Return the lines of synsets.txt: a WordNet id and its words."""
        return tuple(self._synsets[: self.n_classes])

    def manifest(self) -> pa.Table:
        """Return one row per image, in the order of the lists.

        Raises:
            OSError: a list or an image is missing
            ValueError: a list is damaged
        """
        validation_folder = self.find_path("val_images_256", "val_images").name
        tables = []
        for search in self.searches:
            path = self.find_path(f"info/train_filelist_{search}.txt")
            tables.append(self._list_manifest(path, "", "train"))
        path = self.find_path("info/val_filelist.txt")
        tables.append(self._list_manifest(path, f"{validation_folder}/", "validation"))
        tables.append(self._ilsvrc_manifest())
        return pa.concat_tables(tables)

    def read(self, image_id: str) -> Picture:
        """Return the bytes of one file, unchanged."""
        if image_id.startswith(VALIDATION_PREFIX):
            return self._ilsvrc.read(image_id)
        return super().read(image_id)

    @property
    def left_out(self) -> Counter[str]:
        """What was left out of the validation images of ILSVRC12."""
        return self._ilsvrc.left_out

    def _list_manifest(self, path: Path, prefix: str, split: str) -> pa.Table:
        """Return the images of a list that are of our classes; ids begin with the prefix."""
        n_classes = len(self.classes())
        label_of_id = {}
        for image, label in read_labels(path, len(self._synsets)).items():
            if label < n_classes:
                label_of_id[f"{prefix}{image}"] = label
        ids = list(label_of_id)
        require_images(self.data_dir, ids, path)
        return make_manifest(ids, list(label_of_id.values()), [split] * len(ids))

    def _ilsvrc_manifest(self) -> pa.Table:
        """Return the validation images of ILSVRC12, if any, that are of our classes."""
        label_of_id = {}
        if self._ilsvrc:
            wnids = [line.split()[0] for line in self.classes()]
            label_of_wnid = {wnid: label for label, wnid in enumerate(wnids)}
            for name, wnid in self._ilsvrc.wnids.items():
                if wnid in label_of_wnid:
                    label_of_id[name] = label_of_wnid[wnid]
        splits = ["validation_ilsvrc12"] * len(label_of_id)
        return make_manifest(list(label_of_id), list(label_of_id.values()), splits)

    @cached_property
    def _synsets(self) -> list[str]:
        return read_lines(self.find_path("info/synsets.txt"))

    @cached_property
    def _ilsvrc(self) -> ValidationSet:
        images = ValidationSet(self.data_dir)
        return images if images else ValidationSet(self.data_dir / "imagenet")


class WebVisionMini(WebVision):
    """The first 50 classes of what Google found: some 66,000 images."""

    name = "webvision_mini"
    searches = ("google",)
    n_classes = 50
    layout = (
        "info/ with synsets.txt and the lists, google/, val_images_256/; "
        "the validation set of ILSVRC12 may be beside it"
    )
