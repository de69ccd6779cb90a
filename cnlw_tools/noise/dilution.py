"""Dilution: every clean example stays, and alpha noisy ones for each come beside it (Rolnick et al., 2017, exp. 1).

    examples of class c       n_c clean ones and N_c = floor(alpha n_c + 1/2) copies of the same images
    labels of the copies      label j for a share q_j = 1 / C of them, the true label among the C

So at C = 10 a share (1 + alpha / C) / (1 + alpha) of the labels is right: .55 .25 .1818 .1429 .1176 .1089 at alpha
= 1 5 10 20 50 100. An image is copied floor(alpha) times, and the first of each class, by key, once more.

Counts are exact. The copies of a class, in the order of a random number of each, are dealt out to the labels, true
one first, so that the first j of them have together

    D_cj = ceil(N_c (q_1 + ... + q_j) - v_c)        v_c = (c + 1/2) g mod 1,  g the golden ratio

copies: each label has N_c q_j, rounded up or down, and what v makes one class round up another one rounds down.
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
    rank_in_class,
)
from cnlw_tools.prng import Stream, random_bits

MOST = 100  # of alpha
GOLDEN = (5**0.5 + 1) / 2


def dilution(base: Items, pool: Items, level: int, classes: int, alpha: float = 20.0) -> Draw:
    """Keep every example, and add ``alpha`` noisy ones for each: the same images with labels drawn uniformly.

    Raises:
        ValueError: alpha is not from 0 to 100
    """
    return diluted(base, alpha, np.full(classes, 1 / classes), turned(classes))


def expected(base: Items, level: int, classes: int, alpha: float = 20.0) -> Expected:
    """T[c, j] is the share of the examples of class c, clean ones and copies, that bear j, exactly."""
    return promised(base, alpha, np.full(classes, 1 / classes), turned(classes))


def diluted(base: Items, alpha: float, share: Floats, order: Ints) -> Draw:
    """Return all examples and their copies.

    Args:
        base: (n,) examples
        alpha: copies of each
        share: (C,) of the copies of a class: for its true label, then for the false ones by rank
        order: (C, C) the labels of each class by rank, the true one first
    """
    slot, made = group_by_class(base, _copies(base, alpha, len(share)), len(share))  # (M,), (C,)
    label = np.repeat(order.ravel(), dealt(made, share).ravel())
    every = np.concatenate([np.arange(len(base.label)), slot])
    return Draw(every, np.concatenate([base.label, label]), np.full(len(every), -1))


def promised(base: Items, alpha: float, share: Floats, order: Ints) -> Expected:
    """Return what `diluted` will realise."""
    n = class_counts(base, len(share))
    given = np.diag(n)
    np.put_along_axis(
        given, order, dealt(copies(n, alpha), share) + np.take_along_axis(given, order, 1), 1
    )
    rows = given.sum(1)
    matrix = np.where(rows[:, None] > 0, given / np.maximum(rows, 1)[:, None], np.eye(len(n)))
    kept = np.diag(given).astype(np.float64)
    return Expected(float((rows.sum() - kept.sum()) / max(rows.sum(), 1)), 0.0, matrix, kept)


def copies(count: Ints, alpha: float) -> Ints:
    """Return (C,) how many copies the classes have; count: (C,) examples."""
    if not 0 <= alpha <= MOST:
        raise ValueError(
            f"alpha = {alpha:g}: noisy examples for each clean one: give a number from 0 to {MOST}"
        )
    found: Ints = np.floor(alpha * count + 0.5).astype(np.int64)
    return found


def dealt(copies: Ints, share: Floats) -> Ints:
    """Return (C, C) how many copies of a class each of its labels has, by rank; see above."""
    ends = np.append(0, np.cumsum(share))
    ends[-1] = 1
    v = (np.arange(len(share)) + 0.5) * GOLDEN % 1
    found: Ints = np.diff(np.ceil(copies[:, None] * ends - v[:, None])).astype(np.int64)
    return found


def turned(classes: int) -> Ints:
    """Return (C, C) the labels from each class on: c, c + 1, ... C - 1, 0, ... c - 1."""
    at = np.arange(classes)
    return (at[:, None] + at) % classes


def _copies(base: Items, alpha: float, classes: int) -> Ints:
    """Return the image of each copy, in random order."""
    n = class_counts(base, classes)
    more = copies(n, alpha) - int(alpha) * n
    rank = rank_in_class(base, np.argsort(base.key, kind="stable"))
    once = np.flatnonzero(rank < more[base.label])
    passes = [*[np.arange(len(base.label))] * int(alpha), once]
    number = np.concatenate(
        [random_bits(base.key[image], Stream.COPY_LABEL, i) for i, image in enumerate(passes)]
    )
    return np.concatenate(passes)[np.argsort(number, kind="stable")]


DILUTION = NoiseModel(
    dilution,
    expected,
    frozenset({"dilutes", "keeps_images"}),
    test_options={"alpha": 2.3},
    always_in_name=frozenset({"alpha"}),
    has_level=False,
    paper="Rolnick et al. 2017",
)
