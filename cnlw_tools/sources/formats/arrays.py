"""Small images that lie by thousands in a few files of pixels. An id is the part and the row: ``train-00000``."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools.sources.base import Local, manifest


class Part(NamedTuple):
    """The n images of one part, in the official order."""

    pixels: NDArray[np.uint8]  # (n, H, W, 3) RGB, or (n, H, W) grey
    labels: Sequence[int]
    free: Mapping[str, Sequence[int]] = {}  # further columns of the manifest


class Arrays(Local, ABC):
    """A source of parts; those that were asked for stay in memory."""

    parts: ClassVar[Mapping[str, str]]  # and the splits that they are

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        self._read: dict[str, Part] = {}

    @abstractmethod
    def load(self, part: str) -> Part:
        """Read the files of a part."""

    def manifest(self) -> pa.Table:
        """Return a row an image, part by part; sha256 is that of the RGB pixels."""
        made = []
        for part, split in self.parts.items():
            found = self._part(part)
            n = len(found.labels)
            hashes = [sha256(_rgb(pixels).tobytes()).hexdigest() for pixels in found.pixels]
            ids = [f"{part}-{i:05d}" for i in range(n)]
            made.append(manifest(ids, found.labels, [split] * n, sha256=hashes, **found.free))
        return pa.concat_tables(made)

    def read(self, image_id: str) -> Image.Image:
        """Return one image.

        Raises:
            LookupError: no such id
        """
        part, _, number = image_id.partition("-")
        if part in self.parts and number.isdecimal() and int(number) < len(self._part(part).labels):
            return Image.fromarray(_rgb(self._part(part).pixels[int(number)]))
        first = " and ".join(f"{part}-00000" for part in self.parts)
        raise LookupError(f"{self.data_dir}: no image {image_id!r}; ids run from {first}")

    def _part(self, part: str) -> Part:
        if part not in self._read:
            self._read[part] = self.load(part)
        return self._read[part]


def _rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
