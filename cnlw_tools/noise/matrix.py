"""Labels are flipped according to a transition matrix that you give.

    P(y' = j | y = i) = Q[i, j]        rows: the true class; columns: the given label; rows sum to 1

The option q gives the matrix Q. In the paper of Sukhbaatar et al., columns stand for the true
class. If the columns of your matrix stand for the true class, set ``transpose`` to true. By
default, the number of images with each label is not left to chance. Class i has n_i images, and
n_ij of them get the label j:

    n_ij = floor(n_i Q[i, j]), and one more for the largest remainders until sum_j n_ij = n_i

This is Hamilton's method of apportionment. The images of class i are sorted by their keys. The
first n_i0 images get the label 0, the next n_i1 images the label 1, and so on. With
``exact = false``, the label of every image is drawn independently.

Paper: Sukhbaatar et al., ICLR 2015 workshop, "Training convolutional networks with noisy
labels".
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
    all_rows,
    class_counts,
    key_order,
    no_rows,
    split_by_class,
)
from cnlw_tools.prng import Stream, uniform

TOLERANCE = 1e-6  # how far from 1 a row may sum


def matrix(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    q: Sequence[Sequence[float]] = [],
    transpose: bool = False,
    exact: bool = True,
) -> Draw:
    """Draw the label of every image from the row of its class in the matrix ``q``.

    Args:
        q: the matrix: C rows of C numbers; -o q=FILE reads it from a .csv or .npy file
        transpose: if true, rows of q are given labels, and columns are true classes
        exact: if false, the label of each image is drawn independently

    Raises:
        ValueError: see `check_matrix`
    """
    probabilities = check_matrix(q, n_classes, transpose)
    n = len(base.label)
    label_counts = round_counts(class_counts(base, n_classes), probabilities)
    label = np.empty(n, np.int64)
    for true_class, rows in enumerate(split_by_class(base, key_order(base), n_classes)):
        if exact:
            label[rows] = np.repeat(np.arange(n_classes), label_counts[true_class])
        else:
            cumulative = np.cumsum(probabilities[true_class])
            u = uniform(base.key[rows], Stream.MATRIX_LABEL)
            label[rows] = np.searchsorted(cumulative / cumulative[-1], u, side="right")
    return Draw(
        slot=all_rows(n, base.new_array),
        label=label,
        pool=no_rows(n),
    )


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    q: Sequence[Sequence[float]] = [],
    transpose: bool = False,
    exact: bool = True,
) -> Expected:
    """T[i, j] = n_ij / n_i: Q[i, j] rounded to whole images; with ``exact = false`` Q itself."""
    transition = check_matrix(q, n_classes, transpose)
    n = class_counts(base, n_classes)
    if exact:
        realised = round_counts(n, transition) / np.maximum(n, 1)[:, None]
        transition = np.where(n[:, None] > 0, realised, transition)
    n_clean: Floats = np.diag(transition) * n
    rate = float((n.sum() - n_clean.sum()) / max(n.sum(), 1))
    return Expected(
        rate=rate,
        foreign_rate=0.0,
        matrix=transition,
        n_clean=n_clean,
        exact=exact,
    )


def round_counts(counts: Ints, probabilities: Floats) -> Ints:
    """Return (C, C) how many images of each class get each label, by largest remainders.

    Args:
        counts: (C,) images of each class
        probabilities: (C, C) distribution of their labels
    """
    ideal = counts[:, None] * probabilities
    rounded = np.floor(ideal).astype(np.int64)
    by_remainder = np.argsort(rounded - ideal, axis=1, kind="stable")
    n_left = counts - rounded.sum(1)
    gets_one_more = np.arange(len(counts)) < n_left[:, None]
    sorted_counts = np.take_along_axis(rounded, by_remainder, 1) + gets_one_more
    np.put_along_axis(rounded, by_remainder, sorted_counts, 1)
    return rounded


def check_matrix(q: Sequence[Sequence[float]], n_classes: int, transpose: bool) -> Floats:
    """Return the (C, C) matrix with the true class in rows, each scaled to sum to exactly 1.

    Raises:
        ValueError: it is not square, of another number of classes, or a row does not sum to 1
    """
    values = np.array(q, np.float64)
    if values.shape != (n_classes, n_classes):
        shape = " x ".join(map(str, values.shape)) if values.size else "not there"
        raise ValueError(
            f"the matrix q is {shape}, but there are {n_classes} classes: "
            f"give {n_classes} rows of {n_classes}"
        )
    probabilities: Floats = values.T if transpose else values
    is_probability = np.isfinite(probabilities) & (probabilities >= 0)
    if not is_probability.all():
        i, j = np.argwhere(~is_probability)[0]
        raise ValueError(
            f"the matrix q holds {probabilities[i, j]} for true class {i}, label {j}: "
            "give probabilities from 0 to 1"
        )
    row_sum = probabilities.sum(1)
    is_off = np.abs(row_sum - 1) > TOLERANCE
    if is_off.any():
        i = int(np.argmax(is_off))
        raise ValueError(
            f"the row of true class {i} in the matrix q sums to {row_sum[i]:g}, but must sum to 1: "
            f"{_row_sum_remedy(probabilities, transpose)}"
        )
    normalised: Floats = probabilities / row_sum[:, None]
    return normalised


def _row_sum_remedy(probabilities: Floats, transpose: bool) -> str:
    """Say what to do about rows that do not sum to 1."""
    columns_sum_to_1 = np.abs(probabilities.sum(0) - 1).max() <= TOLERANCE
    if columns_sum_to_1:
        return f"its columns sum to 1, so give -o transpose={str(not transpose).lower()}"
    return "divide it by its sum"


def _test_matrix(n_classes: int) -> list[list[float]]:
    """Return a matrix for tests: 0.7 for the true class and 0.3 for the next one."""
    identity = np.eye(n_classes)
    mixed: list[list[float]] = (0.7 * identity + 0.3 * np.roll(identity, 1, axis=1)).tolist()
    return mixed


MATRIX = NoiseModel(
    matrix,
    expected_stats,
    guarantees=frozenset({"keeps_images"}),
    test_options={"q": _test_matrix},
    always_in_name=frozenset({"q"}),
    has_level=False,
    paper="Sukhbaatar et al. 2015",
)
