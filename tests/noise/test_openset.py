"""Open-set noise: foreign images in the place of the first of the corruption order, other labels for the last."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.noise import Items
from cnlw_tools.noise.base import corruption_order, n_noisy
from cnlw_tools.noise.foreign import take_once
from cnlw_tools.noise.openset import expected_stats, openset


def items(counts, seed=0):
    """So many images of each class, and of two donors in turn."""
    draw = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(counts)), counts)
    return Items(
        label, draw.integers(0, 2**64, len(label), np.uint64), {"donor": np.arange(len(label)) % 2}
    )


POOL = items((300,), 1)


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=9),
    st.integers(0, 60),
    st.integers(0, 40),
    st.integers(0, 99),
)
def test_oracle(counts, level, flips, seed):
    """Row by row: the first of the corruption order lose their image, the last their label, the others nothing."""
    base = items(counts, seed)
    order, n = corruption_order(base).tolist(), sum(counts)
    images = take_once(POOL, n_noisy(level, n)).tolist()
    draw = openset(base, POOL, level, len(counts), flips=flips)
    last = set(order[n - min(n_noisy(flips, n), n - n_noisy(level, n)) :])

    for i in range(n):
        at = order.index(i)
        assert draw.slot[i] == i
        assert draw.pool[i] == (images[at] if at < len(images) else -1)
        assert (draw.label[i] != base.label[i]) == (i in last)


@given(st.lists(st.integers(0, 40), min_size=2, max_size=9), st.integers(0, 60), st.integers(0, 40))
def test_promise(counts, level, flips):
    """What is promised of each class is realised to the image."""
    base = items(counts)
    draw, statistics = (
        openset(base, POOL, level, len(counts), flips=flips),
        expected_stats(base, level, len(counts), flips=flips),
    )
    stays = draw.pool < 0
    right = stays & (draw.label == base.label)
    n = max(len(base.label), 1)

    assert (
        statistics.n_clean.tolist()
        == np.bincount(base.label[right], minlength=len(counts)).tolist()
    )
    assert (statistics.rate, statistics.foreign_rate) == (np.sum(~right) / n, np.sum(~stays) / n)
    assert np.allclose(statistics.matrix.sum(1), 1)


def test_both_rates_together():
    """60 % of foreign images and 20 % of flips leave 20 % of every class as it was."""
    base = items((100,) * 4)
    pool = items((400,), 2)

    statistics = expected_stats(base, 60, 4, flips=20)
    draw = openset(base, pool, 60, 4, flips=20)

    assert (statistics.rate, statistics.foreign_rate, statistics.n_clean.tolist()) == (
        0.8,
        0.6,
        [20] * 4,
    )
    assert np.bincount(pool.side["donor"][draw.pool[draw.pool >= 0]]).tolist() == [120, 120]


@pytest.mark.parametrize(("level", "flips"), [(40, 61), (40, -1), (95, 6)])
def test_more_than_all(level, flips):
    """No image loses both, so together they are at most all."""
    with pytest.raises(
        ValueError,
        match=f"not allowed at level {level}: give a whole percentage from 0 to {100 - level}",
    ):
        openset(items((9, 9)), POOL, level, 2, flips=flips)


def test_one_class():
    """With one class there is no class to flip to; foreign images are still possible."""
    with pytest.raises(ValueError, match="or at least two classes"):
        openset(items((9,)), POOL, 0, 1, flips=20)
    assert (openset(items((10,)), POOL, 40, 1).pool >= 0).sum() == 4
