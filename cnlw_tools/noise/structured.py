"""Structured dilution is dilution in which some wrong labels are more frequent than others.

As in dilution.py, each example gets alpha copies on average. For an average example of a class, the
number of copies with each label is:

    true label               alpha / C
    false label of rank r    alpha / C + delta (1 - 2 (r - 1) / (C - 2))    r = 1 ... C - 1
                                                                            (profile = linear)

Both alpha and delta are options. If delta is 0, all labels of copies are equally frequent. If delta
is 1, the false label of rank 1 is as frequent as the true label, counting the clean example. The
paper defines the cases delta = 0 and delta = 1. For values between these, it defines only the
frequency of rank 1. The formula above is that of ``profile`` = linear, the default. The two other
values of ``profile`` leave the frequency of rank 1 and the sum over all false labels unchanged:

    geometric                (alpha / C + delta) q^(r - 1), with q such that the sum is
                             alpha (C - 1) / C
    top                      alpha / C + delta for rank 1, alpha / C - delta / (C - 2) for others

The option ``order`` says how false labels are ranked. With ``confusing``, they are ranked by how
often a network predicted them for images of the class, and equally frequent labels are ranked by
class number. The predictions are a column of the side table, a file with a row for each image
(option `--side-table`). ``reverse`` is the opposite order, and ``random`` is a random permutation
for each class. Each seed draws different permutations, so confidence intervals over noise seeds
include this variation. If a build has a split `verified`, whose labels are also noisy, the ranks
for this split are computed from the predictions for the images of this split.

Paper: Rolnick, Veit, Belongie and Shavit, 2017, "Deep learning is robust to massive label noise",
arXiv:1705.10694, experiment 2.
"""

import numpy as np

from cnlw_tools.noise.base import Draw, Expected, Floats, Ints, Items, NoiseModel
from cnlw_tools.noise.dilution import add_copies, copy_counts, expected_copies
from cnlw_tools.noise.given import side_labels
from cnlw_tools.prng import Stream, random_bits, seeded_keys

ORDERS = ("confusing", "reverse", "random")
PROFILES = ("linear", "geometric", "top")


def structured(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    alpha: float = 20.0,
    delta: float = 0.5,
    order: str = "confusing",
    profile: str = "linear",
    labels: str = "labels",
) -> Draw:
    """Keep every example, and add ``alpha`` copies of it; false labels differ in frequency.

    Args:
        alpha: average number of copies of each image
        delta: additional copies of each image with the false label of rank 1: from 0 (all labels
            are equally frequent) to 1, and at most alpha / C
        order: how false labels are ranked: confusing, reverse or random
        profile: how the counts fall with the rank: linear, geometric or top
        labels: column of the side table with predicted labels; not needed with a random order

    Raises:
        ValueError: delta is outside 0 to 1 or above alpha / C, there are fewer than three classes,
            the order or the profile is unknown, or the predicted labels are missing
    """
    label_share = copies_per_label(alpha, delta, n_classes, profile) / max(alpha, 1e-300)
    label_order = rank_labels(base, n_classes, order, labels)
    return add_copies(base, alpha, label_share, label_order)


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    alpha: float = 20.0,
    delta: float = 0.5,
    order: str = "confusing",
    profile: str = "linear",
    labels: str = "labels",
) -> Expected:
    """Return the expected noise; T[c, j] is the exact share of label j in class c with copies."""
    label_share = copies_per_label(alpha, delta, n_classes, profile) / max(alpha, 1e-300)
    label_order = rank_labels(base, n_classes, order, labels)
    return expected_copies(base, alpha, label_share, label_order)


def copies_per_label(
    alpha: float,
    delta: float,
    n_classes: int,
    profile: str = "linear",
) -> Floats:
    """Return (C,) copies of an example with its true label, then with each false label by rank."""
    _check_options(alpha, delta, n_classes, profile)
    mean = alpha / n_classes
    rank = np.arange(1, n_classes, dtype=np.float64)
    n_steps = max(1, n_classes - 2)
    false_labels: Floats
    if profile == "linear":
        false_labels = mean + delta * (1 - 2 * (rank - 1) / n_steps)
    elif profile == "top":
        false_labels = np.where(rank == 1, mean + delta, mean - delta / n_steps)
    else:
        first = mean + delta
        total = (n_classes - 1) * mean
        ratio = _geometric_ratio(total / max(first, 1e-300), n_classes - 1)
        false_labels = first * ratio ** (rank - 1)
    return np.append(mean, np.maximum(false_labels, 0))


def rank_labels(
    base: Items,
    n_classes: int,
    order: str,
    labels: str = "labels",
) -> Ints:
    """Return (C, C) the labels of each class by rank, the true one first."""
    if order not in ORDERS:
        raise ValueError(
            f"structured noise has no order {order!r}: give one of {', '.join(ORDERS)}"
        )
    if order == "random":
        pair_of_classes = np.arange(n_classes**2, dtype=np.uint64)
        words = random_bits(seeded_keys(pair_of_classes, base.seed), Stream.FALSE_LABEL_ORDER)
        weight = words.astype(np.float64).reshape(n_classes, n_classes)
    else:
        weight = _prediction_counts(base, n_classes, order, labels)
        if order == "reverse":
            weight = -weight
    np.fill_diagonal(weight, np.inf)
    return np.argsort(-weight, axis=1, kind="stable")


def _check_options(
    alpha: float,
    delta: float,
    n_classes: int,
    profile: str,
) -> None:
    """Raise ValueError if an option is invalid, or if the options contradict one another."""
    copy_counts(np.zeros(1, np.int64), alpha)  # checks alpha
    if n_classes < 3 and delta:
        raise ValueError(
            f"delta = {delta:g}: with {n_classes} classes, there are too few false labels to rank: "
            "give delta = 0, or at least three classes"
        )
    if profile not in PROFILES:
        raise ValueError(
            f"structured noise has no profile {profile!r}: give one of {', '.join(PROFILES)}"
        )
    if not 0 <= delta <= 1:
        raise ValueError(
            f"delta = {delta:g} is not allowed: give a number from 0 (all false labels are equally "
            "frequent) to 1 (one of them is as frequent as the true label)"
        )
    max_delta = alpha / n_classes
    if delta > max_delta * (1 + 1e-12):
        raise ValueError(
            f"delta = {delta:g} is above alpha / C = {alpha:g} / {n_classes}: "
            f"give a delta of at most {max_delta:g}, or an alpha of at least {delta * n_classes:g}"
        )


def _prediction_counts(
    base: Items,
    n_classes: int,
    order: str,
    labels: str,
) -> Floats:
    """Return (C, C) how often label j was predicted for images of class c."""
    if "labels" not in base.side:
        raise ValueError(
            f"order {order!r} needs labels that a network predicted: give --side-table FILE with "
            f"its labels of the training images in a column {labels!r}, or -o order=random"
        )
    label_pair = base.label * n_classes + side_labels(base, n_classes, labels)
    counts = np.bincount(label_pair, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes).astype(np.float64)


def _geometric_ratio(total: float, n_terms: int) -> float:
    """Return q in [0, 1] with 1 + q + ... + q^(n_terms - 1) = total, by bisection."""
    low, high = 0.0, 1.0
    exponent = np.arange(n_terms)
    for _ in range(100):
        middle = (low + high) / 2
        if (middle**exponent).sum() < total:
            low = middle
        else:
            high = middle
    return high


STRUCTURED = NoiseModel(
    structured,
    expected_stats,
    guarantees=frozenset({"dilutes", "keeps_images"}),
    test_options={"alpha": 2.3, "delta": 0.0, "order": "reverse"},
    always_in_name=frozenset({"alpha", "delta"}),
    optional_column_options=frozenset({"labels"}),
    has_level=False,
    paper="Rolnick et al. 2017",
)
