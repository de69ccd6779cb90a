"""Asymmetric flips: the maps of the papers, applied once, at the asked rate in every affected class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.noise import Items
from cnlw_tools.noise.asymmetric import (
    SUPERCLASSES,
    asymmetric,
    expected_pairflip,
    expected_stats,
    pairflip,
    target_labels,
)
from cnlw_tools.noise.base import corruption_order, n_noisy
from tests.noise.items import sized

NONE = Items(np.empty(0, np.int64), np.empty(0, np.uint64))


def made(n, classes, seed=0):
    draw = np.random.default_rng(seed)
    return Items(np.arange(n) % classes, draw.integers(0, 2**64, n, np.uint64))


@given(n=st.integers(0, 200), seed=st.integers(0, 99), level=st.integers(0, 95))
def test_oracle(n, seed, level):
    """Row by row: the first of the corruption order take the label that the map gives their class."""
    base = made(n, 10, seed)
    label = base.label.tolist()
    for row in corruption_order(base)[: n_noisy(level, n)].tolist():
        label[row] = {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}.get(label[row], label[row])

    assert asymmetric(base, NONE, level, 10).label.tolist() == label


def test_every_affected_class_has_the_asked_rate():
    """Asked 40 % is 40 % of each affected class, cats that became dogs included, and 20 % over all of CIFAR-10."""
    base = made(50_000, 10)
    wrong = asymmetric(base, NONE, 40, 10).label != base.label
    by_class = np.bincount(base.label[wrong], minlength=10)

    assert by_class.tolist() == [0, 0, 2000, 2000, 2000, 2000, 0, 0, 0, 2000]
    assert expected_stats(sized([5000] * 10), 40, 10).rate == pytest.approx(0.2)
    assert wrong.mean() == 0.2


def test_names_of_cifar10():
    """By name: truck to automobile, bird to airplane, cat and dog to each other, deer to horse."""
    names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    moved = {names[i]: names[j] for i, j in enumerate(target_labels("cifar10", 10)) if i != j}

    assert moved == {
        "truck": "automobile",
        "bird": "airplane",
        "cat": "dog",
        "dog": "cat",
        "deer": "horse",
    }


def test_mnist():
    """7 to 1, 2 to 7, 5 and 6 to each other, 3 to 8."""
    assert target_labels("mnist", 10).tolist() == [0, 1, 7, 8, 4, 6, 5, 1, 8, 9]


def test_superclasses_are_rings_of_five():
    """Each of the hundred classes is in one superclass, moves within it, and comes home after five steps."""
    to = target_labels("cifar100", 100)
    home = np.arange(100)
    superclass = np.empty(100, int)
    superclass[SUPERCLASSES] = np.arange(20)[:, None]

    assert sorted(SUPERCLASSES.ravel().tolist()) == list(range(100))
    assert (superclass[to] == superclass).all()
    assert (to != home).all()
    assert (to[to[to[to[to]]]] == home).all()
    assert [4, 30, 55, 72, 95, 4] == [4, to[4], to[30], to[55], to[72], to[95]]


@pytest.mark.parametrize("classes", [2, 5, 6, 7, 100])
def test_blocks(classes):
    """Rings through consecutive fives; the last ring is what is left."""
    naive = [b + (i - b + 1) % min(5, classes - b) for i in range(classes) for b in [i // 5 * 5]]

    assert target_labels("blocks", classes).tolist() == naive


@pytest.mark.parametrize("classes", [2, 3, 1000])
def test_pairflip(classes):
    """Every class is taken for the next one, at the asked rate, exactly."""
    base = made(10 * classes, classes)
    label = pairflip(base, NONE, 40, classes).label
    wrong = label != base.label

    assert wrong.sum() == 4 * classes
    assert ((label - base.label)[wrong] % classes == 1).all()
    assert expected_pairflip(sized([10] * classes), 40, classes).rate == pytest.approx(0.4)


@pytest.mark.parametrize("map_", ["cifar10", "mnist", "blocks", "pairflip"])
def test_expected_matrix(map_):
    """The matrix is realised to one image a class."""
    base = made(5000, 10)
    label = asymmetric(base, NONE, 30, 10, map_).label
    counts = np.bincount(base.label * 10 + label, minlength=100).reshape(10, 10)
    promise = expected_stats(sized([500] * 10), 30, 10, map_)

    assert np.abs(counts - 500 * promise.matrix).max() <= 1
    assert np.abs(np.diag(counts) - promise.n_clean).max() <= 1


@pytest.mark.parametrize(
    ("map_", "classes", "message"),
    [
        ("cifar", 10, "no map 'cifar': give one of cifar10, mnist"),
        ("cifar100", 10, "is for 100 classes, but there are 10"),
    ],
)
def test_bad_maps(map_, classes, message):
    """Another dataset's map is refused."""
    with pytest.raises(ValueError, match=message):
        asymmetric(made(20, classes), NONE, 40, classes, map_)


def test_pairflip_needs_two():
    """There must be a next class."""
    with pytest.raises(ValueError, match="give at least two"):
        pairflip(made(3, 1), NONE, 40, 1)
