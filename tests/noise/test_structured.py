"""Structured dilution: copies by rank of the false label, from uniform to as likely as the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.noise import Items
from cnlw_tools.noise.dilution import dilution
from cnlw_tools.noise.structured import (
    PROFILES,
    copies_per_label,
    expected_stats,
    rank_labels,
    structured,
)

NONE = Items(np.empty(0, np.int64), np.empty(0, np.uint64))
profiles = pytest.mark.parametrize("profile", PROFILES)
FIXED = {  # alpha = 20, C = 10: copies of an example with its true label, then with each false one
    0.0: [2.0] * 10,
    0.5: [2.0, 2.5, 2.375, 2.25, 2.125, 2.0, 1.875, 1.75, 1.625, 1.5],
    1.0: [2.0, 3.0, 2.75, 2.5, 2.25, 2.0, 1.75, 1.5, 1.25, 1.0],
}


def items(count=80, classes=10):
    """As many images of each class, of which a network takes every other one for the class two on."""
    label = np.arange(count * classes) % classes
    predicted = np.where(np.arange(len(label)) // classes % 2, (label + 2) % classes, label)
    predicted = np.where(
        np.arange(len(label)) // classes % 8 == 0, (label + 1) % classes, predicted
    )
    return Items(
        label,
        np.random.default_rng(0).integers(0, 2**64, len(label), np.uint64),
        {"labels": predicted},
    )


def label_shares(draw, base, classes=10):
    """Examples of each class by label, for each clean one, by distance from the true label."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (base.label[draw.slot], (draw.label - base.label[draw.slot]) % classes), 1)
    return counts / np.bincount(base.label)[:, None]


@pytest.mark.parametrize("delta", FIXED)
def test_published_masses(delta):
    """The numbers of the specification."""
    assert copies_per_label(20, delta, 10).tolist() == FIXED[delta]


@profiles
@given(st.integers(3, 200), st.floats(0, 100), st.floats(0, 1))
def test_masses(profile, classes, alpha, part):
    """They sum to alpha, fall with the rank, are never negative, and the first is alpha / C + delta."""
    delta = part * min(1, alpha / classes)
    copies = copies_per_label(alpha, delta, classes, profile)

    assert copies.sum() == pytest.approx(alpha, abs=1e-9)
    assert copies[0] == alpha / classes
    assert copies[1] == pytest.approx(alpha / classes + delta)
    assert (np.diff(copies[1:]) <= 1e-9).all()
    assert copies.min() >= 0


@profiles
def test_delta_zero(profile):
    """At delta = 0 every label is as likely as the next."""
    assert np.allclose(copies_per_label(7, 0, 5, profile), 7 / 5)


def test_delta_one():
    """At delta = 1 the first false label is as likely as the true one, with its clean example."""
    base = items()
    shares = label_shares(structured(base, NONE, 0, 10, alpha=20.0, delta=1.0), base)

    assert np.allclose(shares[:, 0], 3)
    assert np.allclose(shares[:, 2], 3)


@pytest.mark.parametrize("order", ["confusing", "reverse"])
def test_order(order):
    """The label that the network confuses most comes first or last, and the numbers are those of its rank."""
    base = items()
    shares = label_shares(structured(base, NONE, 0, 10, alpha=20.0, delta=0.5, order=order), base)
    first, second = (
        (1, 2) if order == "confusing" else (-1, -2)
    )  # ranks of the label two on and one on

    assert np.allclose(shares[:, [2, 1]], [FIXED[0.5][first], FIXED[0.5][second]])


def test_ties():
    """Labels predicted equally often stand by number."""
    base = items()

    assert rank_labels(base, 10, "confusing")[0].tolist() == [0, 2, 1, 3, 4, 5, 6, 7, 8, 9]
    assert rank_labels(base, 10, "reverse")[0].tolist() == [0, 3, 4, 5, 6, 7, 8, 9, 1, 2]
    assert rank_labels(base, 10, "confusing")[9].tolist() == [9, 1, 0, 2, 3, 4, 5, 6, 7, 8]


def test_random_order():
    """A random order is a permutation of each class, and not that of the next class."""
    label_order = rank_labels(items(1), 10, "random")

    assert label_order[:, 0].tolist() == list(range(10))
    assert all(sorted(row) == list(range(10)) for row in label_order.tolist())
    assert len({tuple((row - row[0]) % 10) for row in label_order}) == 10


def test_the_seed_draws_the_random_order():
    """One seed gives one order, whatever the images are; five seeds give every class five."""
    orders = []
    for seed in range(5):
        order = rank_labels(items()._replace(seed=seed), 10, "random")
        assert (order == rank_labels(items(1)._replace(seed=seed), 10, "random")).all()
        orders.append(order)

    for c in range(10):
        assert len({tuple(order[c]) for order in orders}) == 5


def test_the_expected_matrix_has_the_order_of_the_draw():
    """Draw and expectation read the same seed: the commonest false labels are the expected ones."""
    options = {"alpha": 20.0, "delta": 1.0, "order": "random"}
    for seed in (0, 3):
        base = items()._replace(seed=seed)
        shares = label_shares(structured(base, NONE, 0, 10, **options), base)
        expected = expected_stats(base, 0, 10, **options).matrix
        by_distance = [[row[(c + d) % 10] for d in range(10)] for c, row in enumerate(expected)]
        assert shares / 21 == pytest.approx(np.array(by_distance), abs=0.002)


def test_dilution_is_structure_of_none():
    """At delta = 0 the counts are those of dilution, whatever the order."""
    base = items()
    uniform, plain = (
        structured(base, NONE, 0, 10, alpha=20.0, delta=0.0, order="random"),
        dilution(base, NONE, 0, 10, alpha=20.0),
    )

    assert np.allclose(label_shares(uniform, base), label_shares(plain, base))


@pytest.mark.parametrize("delta", [0.0, 0.13, 0.3])
@profiles
def test_promise(delta, profile):
    """The promised matrix is the realised one."""
    base = items(7)
    options = {"alpha": 3.3, "delta": delta, "profile": profile}
    draw, statistics = (
        structured(base, NONE, 0, 10, **options),
        expected_stats(base, 0, 10, **options),
    )
    counts = np.zeros((10, 10))
    np.add.at(counts, (base.label[draw.slot], draw.label), 1)

    assert np.allclose(counts / counts.sum(1, keepdims=True), statistics.matrix)
    assert statistics.rate == pytest.approx(1 - np.trace(counts) / counts.sum())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"alpha": 1.0, "delta": 0.2},
            r"delta = 0.2 is above alpha / C = 1 / 10: .* at most 0.1, or an alpha of at least 2",
        ),
        ({"delta": 1.5}, r"delta = 1.5 is not allowed: give a number from 0 \(all false labels"),
        ({"delta": -0.1}, r"delta = -0.1 is not allowed: give a number from 0"),
        ({"alpha": 101.0}, "alpha = 101 is not allowed"),
        ({"order": "wild"}, "no order 'wild': give one of confusing, reverse, random"),
        ({"profile": "steep"}, "no profile 'steep': give one of linear, geometric, top"),
    ],
)
def test_bad_options(options, message):
    """An impossible option is an error that names the possible ones."""
    with pytest.raises(ValueError, match=message):
        structured(items(), NONE, 0, 10, **options)


def test_two_classes():
    """One false label has no rank, but may be drawn uniformly."""
    assert copies_per_label(4, 0, 2).tolist() == [2, 2]
    with pytest.raises(ValueError, match="with 2 classes, there are too few false labels to rank"):
        copies_per_label(20, 0.5, 2)


def test_no_predictions():
    """Without a network's labels there is no confusing order."""
    base = items()._replace(side={})

    with pytest.raises(
        ValueError, match=r"give --side-table FILE with .* in a column 'labels', or -o order=random"
    ):
        structured(base, NONE, 0, 10)
