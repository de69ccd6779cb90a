"""Dilution with foreign images: how many, how often each, under which labels."""

from collections import Counter

import numpy as np
import pytest

from cnlw_tools.noise import DonorTooSmall, Items
from cnlw_tools.noise.dilution import dilution
from cnlw_tools.noise.dilution import expected_stats as diluted
from cnlw_tools.noise.source import expected_stats, source
from tests.noise.items import sized


def pool(count, donors=1):
    """Images of donors in turn."""
    key = np.random.default_rng(1).integers(0, 2**64, count, np.uint64)
    return Items(np.zeros(count, int), key, {"donor": np.arange(count) % donors})


@pytest.mark.parametrize(
    ("alpha", "stock"), [(0.0, 5), (0.3, 50), (2.5, 40), (20.0, 7), (1.0, 100)]
)
def test_counts(alpha, stock):
    """Alpha n images come beside the clean ones, each of the donor's equally often, and each label too."""
    base = sized([30, 0, 50, 20])
    draw = source(base, pool(stock), 0, 4, alpha=alpha)
    n_added = int(alpha * 100 + 0.5)
    times = np.bincount(draw.pool[100:], minlength=stock)

    assert draw.slot.tolist() == list(range(100)) + [-1] * n_added
    assert (times.sum(), np.ptp(times) <= 1) == (n_added, True)
    assert np.ptp(np.bincount(draw.label[100:], minlength=4)) <= 1


def test_labels_know_nothing_of_the_image():
    """The copies of an image bear labels as they fall."""
    draw = source(sized([100, 100]), pool(50), 0, 2, alpha=8.0)
    right = np.bincount(draw.pool[200:], draw.label[200:], 50)

    assert right.mean() == 16
    assert 4 < right.var() < 13  # 32 / 4 = 8


def test_donors_share():
    """Two donors give as much each, or as they are told."""
    images = pool(90, 2)
    equal, unequal = (
        source(sized([60]), images, 0, 1, alpha=3.0, shares=shares).pool[60:]
        for shares in ("", "5:1")
    )

    assert Counter((equal % 2).tolist()) == {0: 90, 1: 90}
    assert Counter((unequal % 2).tolist()) == {0: 150, 1: 30}


def test_promise():
    """The share of foreign images, all wrong, is alpha / (1 + alpha)."""
    statistics = expected_stats(sized([30, 50]), 0, 2, alpha=4.0)

    assert (statistics.rate, statistics.foreign_rate, statistics.n_clean.tolist()) == (
        0.8,
        0.8,
        [30, 50],
    )
    assert statistics.matrix.tolist() == [[1, 0], [0, 1]]


def test_no_image():
    """Without an image there is nothing to add."""
    with pytest.raises(DonorTooSmall):
        source(sized([3, 3]), pool(0), 0, 2)


def test_own_images_are_dilution():
    """With the dataset's own images it is dilution, row for row, and promises the same."""
    base = sized([30, 0, 50, 20])
    source_draw, dilution_draw = (
        source(base, pool(5), 0, 4, alpha=1.5, copy_own=True),
        dilution(base, pool(0), 0, 4, alpha=1.5),
    )

    assert all((a == b).all() for a, b in zip(source_draw, dilution_draw, strict=True))
    assert (
        expected_stats(base, 0, 4, alpha=1.5, copy_own=True).rate
        == diluted(base, 0, 4, alpha=1.5).rate
        > 0
    )
