"""Symmetric label flips: a share p of the rows gets another label, whatever its class. Four ways, by the papers.

    way              label of a chosen row             P(it is still true)     used by
    self excluded    (y + 1 + floor(u (C - 1))) mod C  0                       Jiang, RoG, Co-teaching, Patrini
    include_self     floor(u C)                        1 / C                   Zhang (IEG), Arazo, Rolnick
    way = l2r        floor(u (C - 1))                  1 / (C - 1), 0 for the  Ren (L2R): the last class
                                                       last class              is never drawn
    way = permuted   the chosen rows' labels, shuffled share of y among them   Saxena (data parameters)

So "40 %" is 40 % of wrong labels in the first way, and 36 % in the second at C = 10: tables of papers mix the
two, and `expected` says which rate is meant. Chosen are level % of every class; with ``exact = false`` each row
on its own with chance p, as papers that draw Bernoulli do.
"""

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.noise.base import (
    Draw,
    Expected,
    Floats,
    Ints,
    Items,
    NoiseModel,
    class_counts,
    corruption_order,
    exact_rate,
    n_noisy,
    noisy_per_class,
)
from cnlw_tools.prng import Stream, uniform

WAYS = ("uniform", "l2r", "permuted")


def symmetric(
    base: Items,
    pool: Items,
    level: int,
    classes: int,
    include_self: bool = False,
    exact: bool = True,
    way: str = "uniform",
) -> Draw:
    """Flip ``level`` percent of every class to a label drawn uniformly.

    Raises:
        ValueError: there is no other class, or no such way
    """
    _check(classes, include_self, way)
    n = len(base.label)
    if exact:
        chosen = corruption_order(base)[: n_noisy(level, n)]
    else:
        turned = np.flatnonzero(uniform(base.key, Stream.IS_FLIPPED) < level / 100)
        chosen = turned[np.argsort(base.key[turned], kind="stable")]
    label = base.label.copy()
    label[chosen] = _flipped(base.label[chosen], base.key[chosen], classes, include_self, way)
    return Draw(np.arange(n), label, np.full(n, -1))


def expected(
    base: Items,
    level: int,
    classes: int,
    include_self: bool = False,
    exact: bool = True,
    way: str = "uniform",
) -> Expected:
    """T = diag(1 - p) + diag(p) D, with p_c the chosen share of class c and D[c, j] the chance of label j."""
    _check(classes, include_self, way)
    n = class_counts(base, classes)
    p = noisy_per_class(n, level) / np.maximum(n, 1) if exact else np.full(classes, level / 100)
    if way == "permuted":
        drawn = np.tile(p * n / max((p * n).sum(), 1e-300), (classes, 1))
    else:
        drawn = np.full((classes, classes), 1 / (classes if include_self else classes - 1))
        drawn[:, -1] *= way != "l2r"
        drawn[np.diag_indices(classes)] *= include_self or way == "l2r"
    matrix = np.diag(1 - p) + p[:, None] * drawn
    kept: Floats = np.diag(matrix) * n.astype(np.float64)
    sure = exact and way == "uniform" and not include_self
    rate = exact_rate(n, level) if sure else float((n.sum() - kept.sum()) / max(n.sum(), 1))
    return Expected(rate, 0.0, matrix, kept, exact=sure, nested=way != "permuted")


def _flipped(
    label: Ints, key: NDArray[np.uint64], classes: int, include_self: bool, way: str
) -> Ints:
    """Return the new labels of the chosen rows."""
    if way == "permuted":
        return label[np.argsort(uniform(key, Stream.LABEL_SHUFFLE), kind="stable")]
    u = uniform(key, Stream.NEW_LABEL)
    if way == "l2r":
        return (u * (classes - 1)).astype(np.int64)
    if include_self:
        return (u * classes).astype(np.int64)
    return (label + 1 + (u * (classes - 1)).astype(np.int64)) % classes


def _check(classes: int, include_self: bool, way: str) -> None:
    if classes < 2:
        raise ValueError(
            f"symmetric noise flips to another class, and there is {classes}: give at least two classes"
        )
    if way not in WAYS:
        raise ValueError(f"symmetric noise has no way {way!r}: there are {', '.join(WAYS)}")
    if include_self and way != "uniform":
        raise ValueError(f"include_self and way = {way!r} exclude each other: give one of the two")


SYMMETRIC = NoiseModel(
    symmetric,
    expected,
    frozenset({"exact", "proportional", "nested", "keeps_images"}),
    paper="Ren et al. 2018, Zhang et al. 2020, Saxena et al. 2019",
)
