"""MNIST is read as published, from four idx files, which may be compressed.

The files are in the folder itself, in `raw/`, or in `MNIST/raw/` as with torchvision. A plan needs
only the two files of labels. An idx file consists of two zero bytes, the type (8 for bytes), the
number of dimensions, the dimensions as big-endian 32-bit numbers, and the values row by row.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE 86(11), 1998.
"""

import struct
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.files.archives import open_gzip
from cnlw_tools.sources.formats.arrays import ArraySource, LabelledPixels

FOLDERS = ("", "raw/", "MNIST/raw/")
STEM_OF_PART = {"train": "train", "test": "t10k"}  # how the names of the files begin
BYTE_TYPE = 8
LARGEST_FILE = 512 << 20  # bytes, decompressed; the 280,000 digits of EMNIST have 220 MB


class Mnist(ArraySource):
    """Ten digits in grey, 28 pixels a side."""

    name = "mnist"
    layout = (
        "train-images-idx3-ubyte, train-labels-idx1-ubyte and the same for t10k-..., "
        "with or without .gz, in the folder or in MNIST/raw"
    )
    or_labels = "; for a plan, the two files of labels alone"
    split_of_part: ClassVar = {"train": "train", "test": "validation"}

    def load_part(self, part: str) -> LabelledPixels:
        """Read the images and labels of a part; both parts together take 55 MB.

        Raises:
            ValueError: a file is damaged, or images and labels do not fit together
        """
        image_path = self._find_file(part, "images", 3)
        label_path = self._find_file(part, "labels", 1)
        pixels = read_idx(image_path, 3)
        labels = read_idx(label_path, 1)
        highest = labels.max(initial=0)
        if len(pixels) != len(labels) or highest > 9:
            raise ValueError(
                f"{image_path}: this file holds {len(pixels)} images, and {label_path.name} holds "
                f"{len(labels)} labels from 0 to {highest}; there must be a label from 0 to 9 for "
                "each image: copy both files again"
            )
        return LabelledPixels(pixels, labels.tolist())

    def read_labels(self, part: str) -> Sequence[int] | None:
        """Return the labels of a part whose images are not here: a plan needs only these."""
        try:
            path = self._find_file(part, "labels", 1)
        except FileNotFoundError:
            return super().read_labels(part)
        return self.check_labels(path, read_idx(path, 1))

    def _find_file(self, part: str, content: str, n_dimensions: int) -> Path:
        """Return the path of a file; some copies write a dot for the dash before idx."""
        stem = f"{STEM_OF_PART[part]}-{content}"
        ending = f"idx{n_dimensions}-ubyte"
        plain_names = (f"{stem}-{ending}", f"{stem}.{ending}")
        paths = []
        for folder in FOLDERS:
            for name in plain_names:
                paths += [f"{folder}{name}", f"{folder}{name}.gz"]
        return self.find_path(*paths)


def read_idx(path: Path, n_dimensions: int) -> NDArray[np.uint8]:
    """Read an array of bytes with that number of dimensions.

    Raises:
        ValueError: it is not such a file, or a truncated one
    """
    remedy = "copy this file again"
    kind = f"an idx file of bytes in {n_dimensions} dimensions"
    with open_gzip(path, kind, LARGEST_FILE) as file:
        header = struct.unpack(">HBB", file.read(4))
        if header != (0, BYTE_TYPE, n_dimensions):
            raise ValueError("its first bytes are others")
        shape = struct.unpack(f">{n_dimensions}I", file.read(4 * n_dimensions))
        size = prod(shape)
        values = np.frombuffer(file.read(size + 1), np.uint8)
    if len(values) != size:
        dimensions = " x ".join(map(str, shape))
        n_bytes = f"{len(values)}" if len(values) < size else "more"
        raise ValueError(f"{path}: {n_bytes} bytes where its header says {dimensions}: {remedy}")
    return values.reshape(shape)
