"""Dilution: noisy copies beside every clean example, dealt out to the labels exactly."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools import prng
from cnlw_tools.noise import NOISE, Items
from cnlw_tools.noise.dilution import (
    GOLDEN_RATIO,
    cyclic_labels,
    deal_copies,
    dilution,
    expected_stats,
)

NONE = Items(np.empty(0, np.int64), np.empty(0, np.uint64))


def items(counts, seed=0):
    """So many images of each class, in random order."""
    draw = np.random.default_rng(seed)
    label = draw.permutation(np.repeat(np.arange(len(counts)), counts))
    return Items(label, draw.integers(0, 2**64, len(label), np.uint64))


def naive(base, classes, alpha):
    """All (image, label) pairs, drawn example by example."""
    pairs = [(i, int(c)) for i, c in enumerate(base.label)]
    for c in range(classes):
        class_images = sorted(
            (int(base.key[i]), i) for i in range(len(base.label)) if base.label[i] == c
        )
        total = math.floor(alpha * len(class_images) + 0.5)
        copies = [(key, i, k) for k in range(int(alpha)) for key, i in class_images]
        copies += [(key, i, int(alpha)) for key, i in class_images[: total - len(copies)]]
        numbered = sorted(
            (int(prng.random_bits(np.array([key], np.uint64), prng.Stream.COPY_LABEL, k)[0]), i)
            for key, i, k in copies
        )
        v = (c + 0.5) * GOLDEN_RATIO % 1
        for r, (_, i) in enumerate(numbered):
            rank = next(j for j in range(classes) if r < math.ceil(total * (j + 1) / classes - v))
            pairs.append((i, (c + rank) % classes))
    return Counter(pairs)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 2.5, 7.0])
@pytest.mark.parametrize("counts", [(5, 0, 9, 4), (1, 2), (30,) * 3])
def test_oracle(counts, alpha):
    """The draw is that of a loop over examples and copies."""
    base = items(counts)

    draw = dilution(base, NONE, 0, len(counts), alpha=alpha)

    assert Counter(zip(draw.slot.tolist(), draw.label.tolist(), strict=True)) == naive(
        base, len(counts), alpha
    )


@pytest.mark.parametrize(
    ("alpha", "share"),
    [(0, 1), (1, 0.55), (5, 0.25), (10, 0.181818), (20, 0.142857), (50, 0.117647), (100, 0.108911)],
)
def test_published_shares(alpha, share):
    """On ten classes so many labels are right, exactly, and that is what is promised."""
    base = items((40,) * 10)
    draw = dilution(base, NONE, 0, 10, alpha=float(alpha))

    assert len(draw.slot) == 400 * (1 + alpha)
    assert np.mean(draw.label == base.label[draw.slot]) == pytest.approx(share, abs=5e-7)
    assert 1 - expected_stats(base, 0, 10, alpha=float(alpha)).rate == pytest.approx(
        share, abs=5e-7
    )


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any),
    st.floats(0, 9, allow_nan=False),
    st.integers(0),
)
def test_promise(counts, alpha, seed):
    """The promised matrix and counts are the realised ones, to the last example."""
    base = items(counts, seed % 99)
    draw = dilution(base, NONE, 0, len(counts), alpha=alpha)
    statistics = expected_stats(base, 0, len(counts), alpha=alpha)
    examples = np.zeros((len(counts), len(counts)))
    np.add.at(examples, (base.label[draw.slot], draw.label), 1)

    assert examples.sum(1).tolist() == [n + math.floor(alpha * n + 0.5) for n in counts]
    assert np.allclose(examples, statistics.matrix * examples.sum(1, keepdims=True))
    assert np.diag(examples).tolist() == statistics.n_clean.tolist()


@given(st.integers(2, 60), st.integers(0, 500), st.integers(0, 2**32))
def test_dealt(classes, copies, seed):
    """Every label has its share of the copies, rounded up or down, whatever the shares."""
    share = np.random.default_rng(seed).dirichlet(np.ones(classes))
    n = np.full(classes, copies)

    per_label = deal_copies(n, share)

    assert per_label.sum(1).tolist() == n.tolist()
    assert (np.abs(per_label - copies * share) < 1 + 1e-9).all()


def test_few_copies_of_many_classes():
    """Where a class has fewer copies than there are labels, the true one has its chance all the same."""
    per_rank = deal_copies(np.full(1000, 10), np.full(1000, 1 / 1000))
    label = np.zeros((1000, 1000), int)
    np.put_along_axis(label, cyclic_labels(1000), per_rank, 1)

    assert abs(np.diag(label).sum() - 10) <= 2
    assert abs(label.sum(0) - 10).max() <= 2


def test_labels_and_images_are_strangers():
    """Which copies of an image are right, and how many, is a matter of chance: no image is spared."""
    base = items((300,) * 4)
    draw = dilution(base, NONE, 0, 4, alpha=8.0)
    right = np.bincount(draw.slot[1200:], draw.label[1200:] == base.label[draw.slot[1200:]], 1200)

    assert right.mean() == 2
    assert 1.2 < right.var() < 1.8  # 8 x 1/4 x 3/4 = 1.5


@pytest.mark.parametrize("alpha", [-0.1, 100.5, math.nan])
def test_impossible_alpha(alpha):
    """Alpha is a number from 0 to 100."""
    with pytest.raises(ValueError, match=r"alpha = .*: give a number from 0 to 100"):
        dilution(items((3, 3)), NONE, 0, 2, alpha=alpha)


def test_many_classes():
    """A thousand unequal classes are diluted like ten."""
    base = items(tuple(1 + c % 5 for c in range(1000)))
    draw, statistics = (
        NOISE["dilution"].draw(base, NONE, 0, 1000, alpha=3.0),
        NOISE["dilution"].expected(base, 0, 1000, alpha=3.0),
    )

    assert np.mean(draw.label != base.label[draw.slot]) == pytest.approx(statistics.rate, abs=1e-12)
