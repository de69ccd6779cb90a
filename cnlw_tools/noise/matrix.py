"""Labels flipped by any transition matrix (Sukhbaatar et al., ICLR 2015 workshop, "Training CNNs with noisy labels").

    P(y' = j | y = i) = Q[i, j]        rows: the true class; columns: the given label; each row sums to 1

Sukhbaatar writes the columns for the true class: give such a matrix with ``transpose = true``; none is ever turned by
guess. Exact: of the n_i images of class i,

    n_ij = floor(n_i Q[i, j]), and one more for the largest remainders until sum_j n_ij = n_i      (Hamilton)

in key order. With ``exact = false`` every image draws its label on its own. There is no level: the matrix says it all.
"""

from collections.abc import Sequence

import numpy as np

from cnlw_tools.noise.base import (
    Draw,
    Expected,
    Floats,
    Ints,
    Items,
    NoiseModel,
    class_counts,
    group_by_class,
)
from cnlw_tools.prng import Stream, uniform

CLOSE = 1e-6  # how far from 1 a row may sum


def matrix(
    base: Items,
    pool: Items,
    level: int,
    classes: int,
    q: Sequence[Sequence[float]] = [],
    transpose: bool = False,
    exact: bool = True,
) -> Draw:
    """Give every image a label by the row of its class in the matrix ``q``.

    Raises:
        ValueError: the matrix is not square, not of so many classes, or its rows are no distributions
    """
    chance = checked(q, classes, transpose)
    n = len(base.label)
    rows, many = group_by_class(base, np.argsort(base.key, kind="stable"), classes)
    label = np.empty(n, np.int64)
    if exact:
        label[rows] = np.repeat(np.tile(np.arange(classes), classes), cells(many, chance).ravel())
    else:
        ends = np.cumsum(chance, axis=1)
        u = np.split(uniform(base.key[rows], Stream.MATRIX_LABEL), np.cumsum(many)[:-1])
        drawn = [
            np.searchsorted(end / end[-1], of_c, side="right")
            for end, of_c in zip(ends, u, strict=True)
        ]
        label[rows] = np.concatenate(drawn)
    return Draw(np.arange(n), label, np.full(n, -1))


def expected(
    base: Items,
    level: int,
    classes: int,
    q: Sequence[Sequence[float]] = [],
    transpose: bool = False,
    exact: bool = True,
) -> Expected:
    """T[i, j] = n_ij / n_i, which is Q[i, j] up to rounding to whole images; Q itself where images draw."""
    chance, n = checked(q, classes, transpose), class_counts(base, classes)
    if exact:
        chance = np.where(n[:, None] > 0, cells(n, chance) / np.maximum(n, 1)[:, None], chance)
    kept: Floats = np.diag(chance) * n
    return Expected(float((n.sum() - kept.sum()) / max(n.sum(), 1)), 0.0, chance, kept, exact)


def cells(n: Ints, chance: Floats) -> Ints:
    """Return (C, C) how many images of each class get each label; n: (C,) images."""
    asked = n[:, None] * chance
    whole = np.floor(asked).astype(np.int64)
    by_rest = np.argsort(whole - asked, axis=1, kind="stable")
    left = n - whole.sum(1)
    more = np.arange(len(n)) < left[:, None]
    np.put_along_axis(whole, by_rest, np.take_along_axis(whole, by_rest, 1) + more, 1)
    return whole


def checked(q: Sequence[Sequence[float]], classes: int, transpose: bool) -> Floats:
    """Return the (C, C) matrix, its rows brought to a sum of exactly 1.

    Raises:
        ValueError: it is not square, not of so many classes, or its rows are no distributions
    """
    found = np.array(q, np.float64)
    if found.shape != (classes, classes):
        shape = " x ".join(map(str, found.shape)) if found.size else "not there"
        raise ValueError(
            f"the matrix q is {shape}, and there are {classes} classes: give {classes} rows of {classes}"
        )
    found = found.T if transpose else found
    if not (np.isfinite(found).all() and (found >= 0).all()):
        i, j = np.argwhere(~(found >= 0) | ~np.isfinite(found))[0]
        raise ValueError(
            f"the matrix q holds {found[i, j]} for true class {i}, label {j}: give chances from 0 to 1"
        )
    total = found.sum(1)
    if (off := np.abs(total - 1) > CLOSE).any():
        i = int(np.argmax(off))
        turned = np.abs(found.sum(0) - 1).max() <= CLOSE
        remedy = (
            f"its columns do: give -o transpose={str(not transpose).lower()}"
            if turned
            else "divide it by its sum"
        )
        raise ValueError(
            f"the row of true class {i} in the matrix q sums to {total[i]:g}, not 1: {remedy}"
        )
    chance: Floats = found / total[:, None]
    return chance


def _ring(classes: int) -> list[list[float]]:
    """Return 0.7 on the diagonal and 0.3 for the next class."""
    rows: list[list[float]] = (
        0.7 * np.eye(classes) + 0.3 * np.roll(np.eye(classes), 1, axis=1)
    ).tolist()
    return rows


MATRIX = NoiseModel(
    matrix,
    expected,
    frozenset({"keeps_images"}),
    test_options={"q": _ring},
    always_in_name=frozenset({"q"}),
    has_level=False,
    paper="Sukhbaatar et al. 2015",
)
