"""Blue noise: symmetric label flips (Jiang et al., ICML 2020, "Construction of controlled synthetic label noise").

    y' = (y + 1 + floor(u (C - 1))) mod C      for level % of the images of every class
    y' = y                                     for the others

A flipped label is never the true one, so the level is the share of wrong labels, exactly. The flip of
an image is the same at every level.
"""

import numpy as np

from cnlw_tools.dice import uniform
from cnlw_tools.noise.base import Draw, Expected, Ints, Items, NoiseModel, exact_rate, quota, share, victims

FLIP = 0  # stream of random numbers: which other class


def blue(base: Items, pool: Items, level: int, classes: int) -> Draw:
    """Flip ``level`` percent of every class to one of the other classes, uniformly.

    Raises:
        ValueError: there is no other class
    """
    if classes < 2:
        raise ValueError(f"blue noise flips to another class, and there is {classes}: give at least two classes")
    n = len(base.label)
    lost = victims(base)[: share(level, n)]
    label = base.label.copy()
    shift = 1 + (uniform(base.key[lost], FLIP) * (classes - 1)).astype(np.int64)
    label[lost] = (label[lost] + shift) % classes
    return Draw(np.arange(n), label, np.full(n, -1))


def expected(count: Ints, level: int) -> Expected:
    """T[c, c] = 1 - p_c and T[c, j] = p_c / (C - 1), with p_c the exact rate of class c."""
    classes = len(count)
    p = quota(count, level) / np.maximum(count, 1)
    matrix = np.repeat(p[:, None] / (classes - 1), classes, axis=1)
    np.fill_diagonal(matrix, 1 - p)
    return Expected(exact_rate(count, level), 0.0, matrix)


BLUE = NoiseModel(blue, expected, frozenset({"exact", "proportional", "nested", "keeps_images"}))
