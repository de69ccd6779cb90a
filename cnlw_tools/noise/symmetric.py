"""In symmetric noise, a share p of the images of every class gets a random label.

The level is 100 p percent. Published experiments draw the new label in one of four ways:

    option              new label of a flipped example      P(it is the true one)   used by
    by default          (y + 1 + floor(u (C - 1))) mod C    0                       Jiang, Patrini,
                                                                                    RoG, Co-teaching
    include_self        floor(u C)                          1 / C                   Zhang (IEG),
                                                                                    Arazo, Rolnick
    variant = l2r       floor(u (C - 1)): never the last    1 / (C - 1); 0 for the  Ren (L2R)
                        class                               last class
    variant = permuted  the labels of the flipped           share of y among these  Saxena (data
                        examples, shuffled                  labels                  parameters)

With 10 classes, a level of 40 % means 40 % wrong labels by default, and 36 % with ``include_self``.
In some papers, the level is the share p of redrawn labels; in others, it is the rate of wrong
labels. Many papers do not say which. The card of a build states the expected rate of wrong labels.
By default, the number of flipped labels in each class is p times its number of images, rounded up
or down. With ``exact = false``, each label is flipped independently with probability p, as in some
papers.

Papers: Jiang et al. 2020; Patrini et al. 2017; Lee et al. 2019 (RoG); Han et al. 2018
(Co-teaching); Zhang et al. 2020 (IEG); Arazo et al. 2019; Rolnick et al. 2017; Ren et al. 2018
(L2R); Saxena et al. 2019 (data parameters).
"""

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.noise.base import (
    BLOCK_ROWS,
    Draw,
    Expected,
    Floats,
    Ints,
    Items,
    NoiseModel,
    all_rows,
    class_counts,
    copy_labels,
    corruption_order,
    exact_rate,
    n_noisy,
    no_rows,
    noisy_per_class,
)
from cnlw_tools.prng import Stream, uniform

VARIANTS = ("uniform", "l2r", "permuted")


def symmetric(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    include_self: bool = False,
    exact: bool = True,
    variant: str = "uniform",
) -> Draw:
    """Flip ``level`` percent of the labels of every class to labels drawn uniformly.

    Args:
        include_self: if true, the new label may be the true one
        exact: if false, each label is flipped independently, so the number of flips is random
        variant: uniform, l2r or permuted; the table above explains them

    Raises:
        ValueError: there is no other class, or no such variant
    """
    _check_options(n_classes, include_self, variant)
    n = len(base.label)
    if exact:
        flipped = corruption_order(base)[: n_noisy(level, n)]
    else:
        flipped = _bernoulli_rows(base.key, level / 100)
    label = copy_labels(base)
    n_at_once = max(n, BLOCK_ROWS) if variant == "permuted" else BLOCK_ROWS
    for start in range(0, len(flipped), n_at_once):
        rows = flipped[start : start + n_at_once]
        old_label, key = base.label[rows], base.key[rows]
        label[rows] = _new_labels(old_label, key, n_classes, include_self, variant)
    return Draw(
        slot=all_rows(n, base.new_array),
        label=label,
        pool=no_rows(n),
    )


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    include_self: bool = False,
    exact: bool = True,
    variant: str = "uniform",
) -> Expected:
    """T = diag(1 - p) + diag(p) D; p_c is the flipped share of class c, D[c, j] P(new label j)."""
    _check_options(n_classes, include_self, variant)
    n = class_counts(base, n_classes)
    p = np.full(n_classes, level / 100)
    if exact:
        p = noisy_per_class(n, level) / np.maximum(n, 1)
    new_label = _new_label_distribution(p * n, include_self, variant)
    matrix = new_label  # in place: with 10,000 classes it takes 800 MB
    matrix *= p[:, None]
    matrix[np.diag_indices(n_classes)] += 1 - p
    n_clean: Floats = np.diag(matrix) * n.astype(np.float64)
    is_exact = exact and variant == "uniform" and not include_self
    if is_exact:
        rate = exact_rate(n, level)
    else:
        rate = float((n.sum() - n_clean.sum()) / max(n.sum(), 1))
    return Expected(
        rate=rate,
        foreign_rate=0.0,
        matrix=matrix,
        n_clean=n_clean,
        exact=is_exact,
        nested=variant != "permuted",
    )


def _bernoulli_rows(key: NDArray[np.uint64], probability: float) -> Ints:
    """Return the rows that are flipped when each one decides on its own, in key order."""
    flipped = np.flatnonzero(uniform(key, Stream.IS_FLIPPED) < probability)
    return flipped[np.argsort(key[flipped], kind="stable")]


def _new_labels(
    label: Ints,
    key: NDArray[np.uint64],
    n_classes: int,
    include_self: bool,
    variant: str,
) -> Ints:
    """Return (k,) the new labels of k flipped rows; label: (k,) their true ones."""
    if variant == "permuted":
        return label[np.argsort(uniform(key, Stream.LABEL_SHUFFLE), kind="stable")]
    u = uniform(key, Stream.NEW_LABEL)
    if variant == "l2r":
        return (u * (n_classes - 1)).astype(np.int64)
    if include_self:
        return (u * n_classes).astype(np.int64)
    offset = (u * (n_classes - 1)).astype(np.int64)
    return (label + 1 + offset) % n_classes


def _new_label_distribution(flipped: Floats, include_self: bool, variant: str) -> Floats:
    """Return (C, C) P(new label j | a row of class i is flipped); flipped: (C,) flipped rows."""
    n_classes = len(flipped)
    if variant == "permuted":
        return np.tile(flipped / max(flipped.sum(), 1e-300), (n_classes, 1))
    n_choices = n_classes if include_self else n_classes - 1
    distribution = np.full((n_classes, n_classes), 1 / n_choices)
    if variant == "l2r":
        distribution[:, -1] = 0
    elif not include_self:
        np.fill_diagonal(distribution, 0)
    return distribution


def _check_options(n_classes: int, include_self: bool, variant: str) -> None:
    if n_classes < 2:
        raise ValueError(
            f"symmetric noise needs another class, but the number of classes is {n_classes}: "
            "give at least two classes"
        )
    if variant not in VARIANTS:
        raise ValueError(
            f"symmetric noise has no variant {variant!r}: give one of {', '.join(VARIANTS)}"
        )
    if include_self and variant != "uniform":
        raise ValueError(
            f"include_self and variant = {variant!r} cannot be used together: give one of the two"
        )


SYMMETRIC = NoiseModel(
    symmetric,
    expected_stats,
    guarantees=frozenset({"exact", "proportional", "nested", "keeps_images"}),
    paper="Ren et al. 2018, Zhang et al. 2020, Saxena et al. 2019",
)
