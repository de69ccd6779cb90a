"""Blue noise flips labels symmetrically: all other classes are equally likely.

    y' = (y + 1 + floor(u (C - 1))) mod C      for level % of the images of every class
    y' = y                                     for the others

A flipped label is never the true one. The share of wrong labels is therefore the level, except that
the number of flipped labels is rounded to a whole number. The new label of an image does not depend
on the level. Blue noise is the same as symmetric.py with its default options; the paper calls it
blue.

Paper: Jiang et al., ICML 2020, "Beyond synthetic noise: deep learning on controlled noisy
labels"; the authors' slides on the "construction of controlled synthetic label noise".
"""

from cnlw_tools.noise import symmetric
from cnlw_tools.noise.base import Draw, Expected, Items, NoiseModel


def blue(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
) -> Draw:
    """Flip ``level`` percent of the labels of every class to other classes, drawn uniformly.

    Raises:
        ValueError: there is no other class
    """
    return symmetric.symmetric(base, pool, level, n_classes)


def expected_stats(base: Items, level: int, n_classes: int) -> Expected:
    """T[c, c] = 1 - p_c and T[c, j] = p_c / (C - 1), with p_c the exact rate of class c."""
    return symmetric.expected_stats(base, level, n_classes)


BLUE = NoiseModel(
    blue,
    expected_stats,
    guarantees=symmetric.SYMMETRIC.guarantees,
    paper="Jiang et al. 2020",
)
