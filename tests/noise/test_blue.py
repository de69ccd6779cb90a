"""Blue noise, flip by flip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools import prng
from cnlw_tools.noise import NOISE, Items
from cnlw_tools.noise.base import corruption_order, n_noisy
from cnlw_tools.noise.blue import blue, expected_stats
from tests.noise.items import sized

NONE = Items(np.empty(0, np.int64), np.empty(0, np.uint64))


def made(n, classes, seed):
    draw = np.random.default_rng(seed)
    return Items(draw.integers(0, classes, n), draw.integers(0, 2**64, n, np.uint64))


@given(st.integers(0, 90), st.integers(2, 12), st.integers(0, 99), st.integers(0, 100))
def test_oracle(n, classes, seed, level):
    """The first of the corruption order take the label that their number says, the others keep theirs."""
    base = made(n, classes, seed)
    label = base.label.tolist()
    for row in corruption_order(base)[: n_noisy(level, n)].tolist():
        u = prng.uniform(base.key[row : row + 1], prng.Stream.NEW_LABEL)[0]
        label[row] = (label[row] + 1 + int(u * (classes - 1))) % classes

    assert blue(base, NONE, level, classes).label.tolist() == label


@pytest.mark.parametrize("level", [80, 95, 100])
def test_two_classes(level):
    """With two classes every flip is to the other one."""
    base = made(100, 2, 0)

    label = blue(base, NONE, level, 2).label

    assert (label != base.label).sum() == level
    assert set(label.tolist()) <= {0, 1}


def test_uniform():
    """Flips fall on all other classes alike: chi-square of 20 cells at 20,000 flips."""
    base = made(20_000, 5, 3)

    label = blue(base, NONE, 100, 5).label
    count = np.zeros((5, 5))
    np.add.at(count, (base.label, label), 1)
    flips = count[~np.eye(5, dtype=bool)].reshape(5, 4)
    mean = flips.mean(1, keepdims=True)

    assert np.trace(count) == 0
    assert ((flips - mean) ** 2 / mean).sum() < 37.7  # 15 degrees of freedom, p = 0.001


@pytest.mark.parametrize("classes", [0, 1])
def test_one_class(classes):
    """Where there is no other class, there is no blue noise."""
    with pytest.raises(
        ValueError, match=f"number of classes is {classes}: give at least two classes"
    ):
        blue(made(3, 1, 0), NONE, 40, classes)


def test_expected():
    """The matrix has the exact rate off its diagonal, in equal parts."""
    promise = expected_stats(sized([10, 10, 10]), 40, 3)

    assert promise.rate == 0.4
    assert promise.foreign_rate == 0
    assert np.allclose(promise.matrix, [[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6]])


def test_asks_for_nothing():
    """Blue noise needs no pool and has no options."""
    assert (NOISE["blue"].needs_web_pool, dict(NOISE["blue"].options)) == (False, {})
