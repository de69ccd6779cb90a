"""The cropped digits of SVHN are read from `train_32x32.mat` and `test_32x32.mat`.

The source ``svhn_extra`` also reads `extra_32x32.mat`, whose images join the split ``train``. The
test images are the split ``validation``. In each file, the array X holds the pixels of n images and
has the shape (32, 32, 3, n). The array y holds the labels and has the shape (n, 1); the label 10
stands for the digit 0.

Source: Netzer, Wang, Coates, Bissacco, Wu, Ng, "Reading digits in natural images with unsupervised
feature learning", NIPS workshop, 2011.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.sources.formats import matlab
from cnlw_tools.sources.formats.arrays import ArraySource, LabelledPixels

SIDE = 32  # pixels
N_DIGITS = 10


class Svhn(ArraySource):
    """73,257 training and 26,032 validation digits."""

    name = "svhn"
    layout = "train_32x32.mat and test_32x32.mat"
    split_of_part: ClassVar = {"train": "train", "test": "validation"}

    def load_part(self, part: str) -> LabelledPixels:
        """Read a part as a whole: 225 MB for train, 80 MB for test, 1.6 GB for extra.

        Raises:
            ValueError: it is not a file of SVHN
        """
        path = self.find_path(f"{part}_{SIDE}x{SIDE}.mat")
        pixels, labels = matlab.read_variables(path, ["X", "y"], squeeze=False)
        if not _are_labels(labels):
            raise ValueError(
                f"{path}: y does not contain labels from 1 to {N_DIGITS}: "
                "use the official file of cropped digits"
            )
        if pixels.dtype != np.uint8 or pixels.shape != (SIDE, SIDE, 3, labels.size):
            raise ValueError(
                f"{path}: X is {pixels.dtype} {pixels.shape}, which does not fit {labels.size} "
                "labels: "
                "copy it again"
            )
        digits = labels.ravel() % N_DIGITS
        return LabelledPixels(np.moveaxis(pixels, 3, 0), digits.tolist())


class SvhnExtra(Svhn):
    """SVHN with 531,131 easier training digits.

    It takes 1.9 GB per process: use fewer --workers if memory is short.
    """

    name = "svhn_extra"
    layout = "train_32x32.mat, extra_32x32.mat and test_32x32.mat"
    or_labels = "; for a plan, its labels alone, as train.npy, extra.npy and test.npy"
    split_of_part: ClassVar = {"train": "train", "extra": "train", "test": "validation"}


def _are_labels(labels: NDArray[Any]) -> bool:
    """Return whether an array holds nothing but whole numbers from 1 to 10."""
    if labels.dtype.kind not in "iu":
        return False
    return not labels.size or bool(1 <= labels.min() <= labels.max() <= N_DIGITS)
