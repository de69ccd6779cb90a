"""SVHN, cropped digits: `train_32x32.mat`, `test_32x32.mat`, and `extra_32x32.mat` for ``svhn_extra``.

A file holds X, (32, 32, 3, n) pixels, and y, (n, 1) labels, where 10 stands for the digit 0. Source: Netzer, Wang,
Coates, Bissacco, Wu, Ng, "Reading digits in natural images with unsupervised feature learning", NIPS workshop, 2011.
"""

from typing import ClassVar

import numpy as np

from cnlw_tools.sources.formats import matlab
from cnlw_tools.sources.formats.arrays import Arrays, Part

SIDE = 32


class Svhn(Arrays):
    """73,257 digits to train on, 26,032 to validate."""

    name = "svhn"
    needs = "train_32x32.mat and test_32x32.mat"
    parts: ClassVar = {"train": "train", "test": "validation"}

    def load(self, part: str) -> Part:
        """Read a part, which MATLAB packs whole: 225 MB for train, 80 MB for test, 1.6 GB for extra.

        Raises:
            ValueError: it is no file of SVHN
        """
        path = self.find(f"{part}_{SIDE}x{SIDE}.mat")
        pixels, labels = matlab.load(path, ["X", "y"], squeeze=False)
        if labels.dtype.kind not in "iu" or (
            labels.size and not 1 <= labels.min() <= labels.max() <= 10
        ):
            raise ValueError(
                f"{path}: y is not labels from 1 to 10: take the official file of cropped digits"
            )
        if pixels.dtype != np.uint8 or pixels.shape != (SIDE, SIDE, 3, labels.size):
            raise ValueError(
                f"{path}: X is {pixels.dtype} {pixels.shape} for {labels.size} labels: copy it again"
            )
        return Part(np.moveaxis(pixels, 3, 0), (labels.ravel() % 10).tolist())


class SvhnExtra(Svhn):
    """And 531,131 easier ones to train on; 1.9 GB a process, so give fewer --workers if memory is short."""

    name = "svhn_extra"
    needs = "train_32x32.mat, extra_32x32.mat and test_32x32.mat"
    parts: ClassVar = {"train": "train", "extra": "train", "test": "validation"}
