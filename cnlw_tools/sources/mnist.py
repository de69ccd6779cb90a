"""MNIST as its authors pack it: four idx files, zipped or not, in the folder, or in `MNIST/raw` as of torchvision.

An idx file is 0, 0, the type (8: bytes), the number of dimensions, each as a big-endian number of 32 bits, and the
values, row by row. Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11), 1998.
"""

import gzip
import struct
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.sources.formats.arrays import Arrays, Part

FOLDERS = ("", "raw/", "MNIST/raw/")
STEMS = {"train": "train", "test": "t10k"}
UNREADABLE = (EOFError, zlib.error, gzip.BadGzipFile, struct.error)


class Mnist(Arrays):
    """Ten digits, 28 pixels a side."""

    name = "mnist"
    needs = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-... alike, with .gz or without, or MNIST/raw of them"
    parts: ClassVar = {"train": "train", "test": "validation"}

    def load(self, part: str) -> Part:
        """Read the images and labels of a part; 55 MB in all.

        Raises:
            ValueError: images and labels do not go together
        """
        images, labels = self._file(part, "images", 3), self._file(part, "labels", 1)
        pixels, digits = read_idx(images, 3), read_idx(labels, 1)
        if len(pixels) != len(digits) or digits.max(initial=0) > 9:
            raise ValueError(
                f"{images}: {len(pixels)} images for {len(digits)} labels up to {digits.max(initial=0)} of "
                f"{labels.name}: copy both again"
            )
        return Part(pixels, digits.tolist())

    def _file(self, part: str, what: str, axes: int) -> Path:
        stem = f"{STEMS[part]}-{what}"
        names = [f"{stem}{sign}idx{axes}-ubyte{end}" for sign in "-." for end in ("", ".gz")]
        return self.find(*(folder + name for folder in FOLDERS for name in names))


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """Read an array of bytes of so many axes.

    Raises:
        ValueError: no such file, or a truncated one
    """
    remedy = "copy this file again"
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            zero, kind, found = struct.unpack(">HBB", file.read(4))
            if (zero, kind, found) != (0, 8, axes):
                raise ValueError(f"{path}: not an idx file of bytes in {axes} dimensions: {remedy}")
            shape = struct.unpack(f">{axes}I", file.read(4 * axes))
            values = np.frombuffer(file.read(), np.uint8)
    except UNREADABLE as error:
        raise ValueError(f"{path}: truncated, or not an idx file ({error}): {remedy}") from error
    if len(values) != np.prod(shape, dtype=object):
        raise ValueError(
            f"{path}: {len(values)} bytes where its head says {' x '.join(map(str, shape))}: {remedy}"
        )
    return values.reshape(shape)
