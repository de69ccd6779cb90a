"""Structured dilution: some false labels come more often than others (Rolnick et al., 2017, exp. 2).

Beside each example stand alpha copies, as in dilution.py. Of these, in copies for each example of a class,

    true label               alpha / C
    false label of rank r    alpha / C + delta (1 - 2 (r - 1) / (C - 2))        r = 1 ... C - 1, profile = linear

At delta = 0 that is uniform; at delta = 1 the first false label is as likely as the true one, with its clean example.
The paper fixes the two ends and the first rank; of what lies between it says nothing, so there are two more profiles
with the same first rank and sum:

    geometric                (alpha / C + delta) q^(r - 1), with the q that makes the sum alpha (C - 1) / C
    top                      the first alpha / C + delta, the others alpha / C - delta / (C - 2)

Ranks are by how often a network predicted the label for images of the class (order = confusing), the other way round
(reverse), or a permutation of each class that is always the same (random). Labels that were predicted equally often
stand by number. Counted are the images that noise falls on, so a split `verified` has ranks of its own.
"""

import numpy as np

from cnlw_tools.noise.base import Draw, Expected, Floats, Ints, Items, NoiseModel
from cnlw_tools.noise.dilution import copies, diluted, promised
from cnlw_tools.noise.given import given_labels
from cnlw_tools.prng import Stream, random_bits

ORDERS = ("confusing", "reverse", "random")
PROFILES = ("linear", "geometric", "top")


def structured(
    base: Items,
    pool: Items,
    level: int,
    classes: int,
    alpha: float = 20.0,
    delta: float = 0.5,
    order: str = "confusing",
    profile: str = "linear",
    labels: str = "labels",
) -> Draw:
    """Keep every example, and add ``alpha`` noisy ones for each, where one false label is likelier than the next.

    Raises:
        ValueError: delta is not from 0 to 1, or more than alpha / C; fewer than three classes; no such order or
            profile; no predicted labels to order by
    """
    share = masses(alpha, delta, classes, profile) / max(alpha, 1e-300)
    return diluted(base, alpha, share, ranked(base, classes, order, labels))


def expected(
    base: Items,
    level: int,
    classes: int,
    alpha: float = 20.0,
    delta: float = 0.5,
    order: str = "confusing",
    profile: str = "linear",
    labels: str = "labels",
) -> Expected:
    """T[c, j] is the share of the examples of class c, clean ones and copies, that bear j, exactly."""
    share = masses(alpha, delta, classes, profile) / max(alpha, 1e-300)
    return promised(base, alpha, share, ranked(base, classes, order, labels))


def masses(alpha: float, delta: float, classes: int, profile: str = "linear") -> Floats:
    """Return (C,) copies an example has with its true label, then with the false one of each rank."""
    copies(np.zeros(1, np.int64), alpha)  # complains of an impossible alpha
    if classes < 3 and delta:
        raise ValueError(
            f"delta ranks the false labels, and of {classes} classes there is no order: give three"
        )
    if profile not in PROFILES:
        raise ValueError(
            f"structured noise has no profile {profile!r}: there are {', '.join(PROFILES)}"
        )
    if not 0 <= delta <= 1:
        raise ValueError(
            f"delta = {delta:g}: give a number from 0 (uniform) to 1 (as likely as the truth)"
        )
    mean = alpha / classes
    if delta > mean * (1 + 1e-12):
        least = f"delta at most {mean:g}, or alpha at least {delta * classes:g}"
        raise ValueError(
            f"delta = {delta:g} is above alpha / C = {alpha:g} / {classes}: give {least}"
        )
    r, steps = np.arange(1, classes, dtype=np.float64), max(1, classes - 2)
    false: Floats
    if profile == "linear":
        false = mean + delta * (1 - 2 * (r - 1) / steps)
    elif profile == "top":
        false = np.where(r == 1, mean + delta, mean - delta / steps)
    else:
        false = (mean + delta) * _ratio(
            (classes - 1) * mean / max(mean + delta, 1e-300), classes
        ) ** (r - 1)
    return np.append(mean, np.maximum(false, 0))


def ranked(base: Items, classes: int, order: str, labels: str = "labels") -> Ints:
    """Return (C, C) the labels of each class by rank, the true one first."""
    if order not in ORDERS:
        raise ValueError(f"structured noise has no order {order!r}: there are {', '.join(ORDERS)}")
    if order == "random":
        cell = np.arange(classes**2, dtype=np.uint64)
        weight = (
            random_bits(cell, Stream.FALSE_LABEL_ORDER).astype(np.float64).reshape(classes, classes)
        )
    else:
        weight = _confusion(base, classes, order, labels) * (1.0 if order == "confusing" else -1.0)
    np.fill_diagonal(weight, np.inf)
    return np.argsort(-weight, axis=1, kind="stable")


def _confusion(base: Items, classes: int, order: str, labels: str) -> Floats:
    """Return (C, C) how often label j was predicted for images of class c."""
    if "labels" not in base.side:
        raise ValueError(
            f"order {order!r} asks how often a network takes one class for another: give --side FILE with a column "
            f"{labels!r} of its labels for the training images, or -o order=random"
        )
    pairs = base.label * classes + given_labels(base, classes, labels)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def _ratio(total: float, classes: int) -> float:
    """Return q in [0, 1] with 1 + q + ... + q^(C - 2) = total, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(100):
        q = (low + high) / 2
        low, high = (q, high) if (q ** np.arange(classes - 1)).sum() < total else (low, q)
    return high


STRUCTURED = NoiseModel(
    structured,
    expected,
    frozenset({"dilutes", "keeps_images"}),
    test_options={"alpha": 2.3, "delta": 0.0, "order": "reverse"},
    always_in_name=frozenset({"alpha", "delta"}),
    optional_column_options=frozenset({"labels"}),
    has_level=False,
    paper="Rolnick et al. 2017",
)
