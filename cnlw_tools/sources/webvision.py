"""WebVision 1.0 as its authors pack it: `info/` with the lists, `google/`, `flickr/`, and `val_images_256/`.

Labels are the web's: the class of the query that found an image. The validation set is the split ``validation``;
where that of ILSVRC12 lies beside it (formats/ilsvrc.py; in the folder or in `imagenet/`), it is ``validation_ilsvrc12``.
Source: Li, Wang, Li, Agustsson, Van Gool, "WebVision Database: visual learning and understanding from web data", 2017;
mini: Jiang et al., "MentorNet", ICML 2018.
"""

from functools import cached_property
from typing import ClassVar

import pyarrow as pa

from cnlw_tools.images.pixels import Picture
from cnlw_tools.sources.base import manifest
from cnlw_tools.sources.formats.ilsvrc import PREFIX, Validation
from cnlw_tools.sources.formats.image_files import Files, present
from cnlw_tools.sources.formats.text_lists import labelled, lines


class WebVision(Files):
    """2.4 million images that a search for the 1,000 classes of ILSVRC12 found."""

    name = "webvision"
    parts: ClassVar[tuple[str, ...]] = ("google", "flickr")
    first: ClassVar[int | None] = None  # so many classes; none: all
    needs = "info/ with synsets.txt and the lists, google/, flickr/, val_images_256/; ILSVRC12's validation beside it"

    def classes(self) -> tuple[str, ...]:
        """Return the lines of synsets.txt: a WordNet id and its words."""
        return tuple(lines(self.find("info/synsets.txt"))[: self.first])

    def manifest(self) -> pa.Table:
        """Return a row an image, in the order of the lists.

        Raises:
            OSError: a list or an image is missing
            ValueError: a list is damaged
        """
        found = [(f"train_filelist_{part}.txt", "", "train") for part in self.parts]
        folder = self.find("val_images_256", "val_images").name
        made = [
            self._rows(*one) for one in (*found, ("val_filelist.txt", f"{folder}/", "validation"))
        ]
        label = {words.split()[0]: i for i, words in enumerate(self.classes())}
        held = (
            {name: label[wnid] for name, wnid in self._ilsvrc.wnids.items() if wnid in label}
            if self._ilsvrc
            else {}
        )
        made.append(manifest(list(held), list(held.values()), ["validation_ilsvrc12"] * len(held)))
        return pa.concat_tables(made)

    def read(self, image_id: str) -> Picture:
        """Return one file as it is."""
        return (
            self._ilsvrc.read(image_id) if image_id.startswith(PREFIX) else super().read(image_id)
        )

    def _rows(self, name: str, folder: str, split: str) -> pa.Table:
        """Return the images of a list that are of the classes wanted."""
        path = self.find(f"info/{name}")
        wanted = len(self.classes())
        total = len(lines(self.find("info/synsets.txt")))
        found = {
            f"{folder}{image}": label
            for image, label in labelled(path, total).items()
            if label < wanted
        }
        present(self.data_dir, list(found), path)
        return manifest(list(found), list(found.values()), [split] * len(found))

    @cached_property
    def _ilsvrc(self) -> Validation:
        here = Validation(self.data_dir)
        return here if here else Validation(self.data_dir / "imagenet")


class WebVisionMini(WebVision):
    """The first 50 classes of what Google found: some 66,000 images."""

    name = "webvision_mini"
    parts = ("google",)
    first = 50
    needs = "info/ with synsets.txt and the lists, google/, val_images_256/; ILSVRC12's validation set beside it"
