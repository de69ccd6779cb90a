"""Sources whose small images lie by thousands in a few files of pixels.

Their authors publish such a dataset in parts, like ``train`` and ``test``. An image id is the part
and the row in it: ``train-00000``.

A plan needs labels and no image. So the folder may hold nothing but the labels of each part, in the
official order: `train.npy`, `test.npy`. Then the manifest has no hashes, and nothing can be built.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools.files.arrays import read_npy
from cnlw_tools.sources.base import LocalSource, make_manifest

SAVE_LABELS = "save the true labels of the dataset with numpy.save"


class LabelledPixels(NamedTuple):
    """The n images of one part, in the official order."""

    pixels: NDArray[np.uint8]  # (n, H, W, 3) RGB, or (n, H, W) grey
    labels: Sequence[int]
    extra_columns: Mapping[str, Sequence[int]] = {}  # further columns of the manifest


class ArraySource(LocalSource, ABC):
    """A source of pixel arrays; the parts that were read stay in memory."""

    or_labels = "; for a plan, its labels alone, as train.npy and test.npy"
    split_of_part: ClassVar[Mapping[str, str]]  # the authors' name of a part -> our split

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        self._parts: dict[str, LabelledPixels] = {}

    @abstractmethod
    def load_part(self, part: str) -> LabelledPixels:
        """Read the files of one part."""

    def manifest(self) -> pa.Table:
        """Return one row per image, part by part; ``sha256`` is that of the RGB pixels."""
        return pa.concat_tables(
            [self._part_manifest(part, split) for part, split in self.split_of_part.items()]
        )

    def read(self, image_id: str) -> Image.Image:
        """Return one image.

        Raises:
            LookupError: there is no such id
        """
        part, _, number = image_id.partition("-")
        if part in self.split_of_part and number.isdecimal():
            images = self._part(part)
            row = int(number)
            if row < len(images.labels):
                return Image.fromarray(_to_rgb(images.pixels[row]))
        first_ids = " and ".join(f"{part}-00000" for part in self.split_of_part)
        raise LookupError(
            f"{self.data_dir}: there is no image {image_id!r}; ids start at {first_ids}"
        )

    def label_path(self, part: str) -> Path:
        """Return the path of the labels of a part, where its images are not here."""
        return self.data_dir / f"{part}.npy"

    def read_labels(self, part: str) -> Sequence[int] | None:
        """Return the labels of a part whose images are not here; None if they are not here either.

        Raises:
            ValueError: the file does not hold labels
        """
        path = self.label_path(part)
        if not path.is_file():
            return None
        return self.check_labels(path, read_npy(path, SAVE_LABELS))

    def check_labels(self, path: Path, labels: NDArray[Any]) -> list[int]:
        """Return the labels of a file.

        Raises:
            ValueError: they are not one number for each image, from 0 to C - 1
        """
        n_classes = len(self.classes())
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{path}: the array is {labels.dtype} {labels.shape}, so it does not contain "
                f"labels: {SAVE_LABELS}"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < n_classes:
            raise ValueError(
                f"{path}: a label is outside of the range from 0 to {n_classes - 1}: {SAVE_LABELS}"
            )
        numbers: list[int] = labels.tolist()
        return numbers

    def _part_manifest(self, part: str, split: str) -> pa.Table:
        try:
            images = self._part(part)
        except FileNotFoundError:
            labels = self.read_labels(part)
            if labels is None:
                raise
            return make_manifest(_ids(part, len(labels)), labels, [split] * len(labels))
        n_images = len(images.labels)
        ids = _ids(part, n_images)
        splits = [split] * n_images
        hashes = [sha256(_to_rgb(pixels).tobytes()).hexdigest() for pixels in images.pixels]
        return make_manifest(
            ids,
            images.labels,
            splits,
            sha256=hashes,
            **images.extra_columns,
        )

    def _part(self, part: str) -> LabelledPixels:
        if part not in self._parts:
            self._parts[part] = self.load_part(part)
        return self._parts[part]


def _ids(part: str, n_images: int) -> list[str]:
    return [f"{part}-{row:05d}" for row in range(n_images)]


def _to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H, W, 3) pixels; a grey image (H, W) has its values in all three channels."""
    if pixels.ndim == 3:
        return pixels
    return np.repeat(pixels[:, :, None], 3, axis=2)
