"""Donors' images: in their shares, each once or all equally often."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.noise import DonorTooSmall, Items
from cnlw_tools.noise.foreign import take_once, take_repeatedly


def pool(stocks, seed=0):
    """So many images of each donor, in random order."""
    draw = np.random.default_rng(seed)
    donor = draw.permutation(np.repeat(np.arange(len(stocks)), stocks))
    return Items(
        np.zeros(len(donor), int), draw.integers(0, 2**64, len(donor), np.uint64), {"donor": donor}
    )


def naive(images, need, shares):
    """One image after the other: of the donor whose next place comes first."""
    lists = [
        sorted((int(k), i) for i, k in enumerate(images.key) if images.side["donor"][i] == d)
        for d in range(len(shares))
    ]
    used, rows = [0] * len(shares), []
    for _ in range(need):
        d = min(range(len(shares)), key=lambda d: (Fraction(2 * used[d] + 1, 2 * shares[d]), d))
        rows.append(lists[d][used[d]][1])
        used[d] += 1
    return rows


@pytest.mark.parametrize(
    ("shares", "text"), [((1, 1), ""), ((2, 1), "2:1"), ((1, 5, 2), "1:5:2"), ((1,), "")]
)
def test_oracle(shares, text):
    """The order is that of a loop, and a smaller need is part of a larger one."""
    images = pool((40,) * len(shares))
    rows = take_once(images, 30, text).tolist()

    assert rows == naive(images, 30, shares)
    assert take_once(images, 11, text).tolist() == rows[:11]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 60), st.integers(0, 99))
def test_shares(shares, need, seed):
    """Each donor gives its share, within one image, and each image is taken once."""
    images = pool((60,) * len(shares), seed)
    rows = take_once(images, need, ":".join(map(str, shares)))
    taken_counts = np.bincount(images.side["donor"][rows], minlength=len(shares))

    assert len(set(rows.tolist())) == len(rows) == need
    assert (abs(taken_counts - need * np.array(shares) / sum(shares)) <= 1 + 1e-9).all() or len(
        shares
    ) > 2
    assert abs(taken_counts - need * np.array(shares) / sum(shares)).max() < len(shares)


def test_too_small():
    """A donor that runs out is named, with what is asked of it and what it has."""
    with pytest.raises(DonorTooSmall, match="donor 1 has 4 images, but 5 are needed") as caught:
        take_once(pool((50, 4)), 10)
    assert (caught.value.donor, caught.value.need, caught.value.stock) == (1, 5, 4)
    assert len(take_once(pool((50, 4)), 8)) == 8


def test_repeated():
    """All images of a donor come equally often, give or take one, and each of its times is another."""
    images = pool((7, 3))
    rows, times = take_repeatedly(images, 50, "3:2")
    counts = Counter(rows.tolist())

    assert sum(counts[i] for i in np.flatnonzero(images.side["donor"] == 0)) == 30
    assert {counts[int(i)] for i in np.flatnonzero(images.side["donor"] == 0)} == {4, 5}
    assert {counts[int(i)] for i in np.flatnonzero(images.side["donor"] == 1)} == {6, 7}
    assert len(set(zip(rows.tolist(), times.tolist(), strict=True))) == 50


def test_no_image():
    """A donor without images cannot be repeated; where none is needed none is missed."""
    with pytest.raises(DonorTooSmall, match="has 0 images, but 1 are needed"):
        take_repeatedly(pool((0, 3)), 4)
    assert [len(part) for part in take_repeatedly(pool(()), 0)] == [0, 0]


@pytest.mark.parametrize("shares", ["1", "1:2:3", "0:1", "a:b", "-1:2", "nan:1"])
def test_bad_shares(shares):
    """Shares are numbers above 0, one for each donor."""
    with pytest.raises(ValueError, match="give 2 numbers above 0, one for each donor, like 2:1"):
        take_once(pool((9, 9)), 4, shares)
