"""Dilution keeps all clean examples and adds copies whose labels are spread evenly.

    examples of class c     n_c clean ones and N_c = floor(alpha n_c + 1/2) copies of their images
    labels of the copies    each of the C labels, the true one included, for a share 1 / C of them

The option alpha is the average number of copies of each image. A fraction (1 + alpha / C) /
(1 + alpha) of all labels is correct. With 10 classes, this is 0.55, 0.25, 0.1818, 0.1429, 0.1176
and 0.1089 at alpha = 1, 5, 10, 20, 50 and 100. Each image is copied floor(alpha) times. If this
gives a class fewer than N_c copies, some of its images, chosen at random, are copied once more.

The number of copies that get each label is fixed in advance and not drawn at random. The copies of
class c are put into a random order and divided among the labels in the order c, c + 1 ... C - 1,
0 ... c - 1. The first m labels of this order get D_cm copies in all:

    D_cm = ceil(N_c m / C - v_c)        v_c = (c + 1/2) g mod 1,  g the golden ratio

Each label gets N_c / C copies, rounded up or down. The offset v_c differs between classes, so that
counts are rounded up in some classes and down in others.

Paper: Rolnick, Veit, Belongie and Shavit, 2017, "Deep learning is robust to massive label noise",
arXiv:1705.10694, experiment 1.
"""

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
    key_order,
    rank_in_class,
)
from cnlw_tools.prng import Stream, random_bits

MAX_ALPHA = 100
GOLDEN_RATIO = (5**0.5 + 1) / 2


def dilution(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    alpha: float = 20.0,
) -> Draw:
    """Keep every example, and add ``alpha`` copies of it, with labels spread evenly.

    Args:
        alpha: average number of copies of each image

    Raises:
        ValueError: alpha is not from 0 to 100
    """
    return add_copies(base, alpha, np.full(n_classes, 1 / n_classes), cyclic_labels(n_classes))


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    alpha: float = 20.0,
) -> Expected:
    """T[c, j] is the share of class c, clean examples and copies, that has label j, exactly."""
    label_share = np.full(n_classes, 1 / n_classes)
    return expected_copies(base, alpha, label_share, cyclic_labels(n_classes))


def add_copies(
    base: Items,
    alpha: float,
    label_share: Floats,
    label_order: Ints,
) -> Draw:
    """Return all examples and their copies.

    Args:
        base: (n,) examples
        alpha: copies of each
        label_share: (C,) share of a class's copies that gets its true label, then the false labels
            by rank
        label_order: (C, C) the labels of each class by rank, the true one first
    """
    n = len(base.label)
    n_classes = len(label_share)
    copied = _copied_images(base, alpha, n_classes)
    copy_slot, copies_per_class = group_by_class(base, copied, n_classes)
    copies_per_label = deal_copies(copies_per_class, label_share)
    copy_label = np.repeat(label_order.ravel(), copies_per_label.ravel())
    slot = np.concatenate([np.arange(n), copy_slot])
    label = np.concatenate([base.label, copy_label])
    return Draw(
        slot=slot,
        label=label,
        pool=np.full(len(slot), -1),
    )


def expected_copies(
    base: Items,
    alpha: float,
    label_share: Floats,
    label_order: Ints,
) -> Expected:
    """Return the statistics of what `add_copies` draws."""
    n = class_counts(base, len(label_share))
    by_rank = deal_copies(copy_counts(n, alpha), label_share)
    examples = np.zeros_like(by_rank)  # (C, C) examples of class c with label j
    np.put_along_axis(examples, label_order, by_rank, axis=1)
    examples += np.diag(n)
    total = examples.sum(1)
    rates = examples / np.maximum(total, 1)[:, None]
    matrix = np.where(total[:, None] > 0, rates, np.eye(len(n)))
    n_clean = np.diag(examples).astype(np.float64)
    rate = float((total.sum() - n_clean.sum()) / max(total.sum(), 1))
    return Expected(
        rate=rate,
        foreign_rate=0.0,
        matrix=matrix,
        n_clean=n_clean,
    )


def copy_counts(counts: Ints, alpha: float) -> Ints:
    """Return (C,) how many copies each class has; counts: (C,) its examples.

    Raises:
        ValueError: alpha is not from 0 to 100
    """
    if not 0 <= alpha <= MAX_ALPHA:
        raise ValueError(
            f"alpha = {alpha:g} is not allowed. It is the number of noisy examples for "
            f"each clean one: give a number from 0 to {MAX_ALPHA}"
        )
    copies: Ints = np.floor(alpha * counts + 0.5).astype(np.int64)
    return copies


def deal_copies(copies: Ints, label_share: Floats) -> Ints:
    """Return (C, C) how many copies of each class get each label, by rank.

    D on top of this file is the case in which all labels have the same share.

    Args:
        copies: (C,) copies of each class
        label_share: (C,) share of the label of each rank
    """
    cumulative_share = np.append(0, np.cumsum(label_share))
    cumulative_share[-1] = 1
    v = (np.arange(len(label_share)) + 0.5) * GOLDEN_RATIO % 1
    dealt_up_to = np.ceil(copies[:, None] * cumulative_share - v[:, None])
    per_label: Ints = np.diff(dealt_up_to).astype(np.int64)
    return per_label


def cyclic_labels(n_classes: int) -> Ints:
    """Return (C, C) the labels from each class on: c, c + 1, ... C - 1, 0, ... c - 1."""
    classes = np.arange(n_classes)
    return (classes[:, None] + classes) % n_classes


def _copied_images(base: Items, alpha: float, n_classes: int) -> Ints:
    """Return the image of each copy, in random order."""
    n = class_counts(base, n_classes)
    n_extra = copy_counts(n, alpha) - int(alpha) * n
    rank = rank_in_class(base, key_order(base))
    copied_once_more = np.flatnonzero(rank < n_extra[base.label])
    all_images = np.arange(len(base.label))
    rounds = [all_images] * int(alpha) + [copied_once_more]
    random_words = [
        random_bits(base.key[images], Stream.COPY_LABEL, i) for i, images in enumerate(rounds)
    ]
    random_order = np.argsort(np.concatenate(random_words), kind="stable")
    return np.concatenate(rounds)[random_order]


DILUTION = NoiseModel(
    dilution,
    expected_stats,
    guarantees=frozenset({"dilutes", "keeps_images"}),
    test_options={"alpha": 2.3},
    always_in_name=frozenset({"alpha"}),
    has_level=False,
    paper="Rolnick et al. 2017",
)
