"""Blue noise: symmetric label flips (Jiang et al., ICML 2020, "Construction of controlled synthetic label noise").

    y' = (y + 1 + floor(u (C - 1))) mod C      for level % of the images of every class
    y' = y                                     for the others

A flipped label is never the true one, so the level is the share of wrong labels, exactly. The flip of
an image is the same at every level. It is symmetric.py in its first way, under the name of its paper.
"""

from cnlw_tools.noise import symmetric
from cnlw_tools.noise.base import Draw, Expected, Items, NoiseModel


def blue(base: Items, pool: Items, level: int, classes: int) -> Draw:
    """Flip ``level`` percent of every class to one of the other classes, uniformly.

    Raises:
        ValueError: there is no other class
    """
    return symmetric.symmetric(base, pool, level, classes)


def expected(base: Items, level: int, classes: int) -> Expected:
    """T[c, c] = 1 - p_c and T[c, j] = p_c / (C - 1), with p_c the exact rate of class c."""
    return symmetric.expected(base, level, classes)


BLUE = NoiseModel(blue, expected, symmetric.SYMMETRIC.guarantees, paper="Jiang et al. 2020")
