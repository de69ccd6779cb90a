"""Instance-dependent flips: the truncated normal, the level at which each image flips, and to which label."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools import prng
from cnlw_tools.noise import Items
from cnlw_tools.noise.base import n_noisy
from cnlw_tools.noise.instance import (
    CELLS,
    SPREAD,
    expected_stats,
    flip_levels,
    flip_rate_distributions,
    instance,
    order,
)

NONE = Items(np.empty(0, np.int64), np.empty(0, np.uint64))


def made(n, classes, seed=0, d=3):
    """Return random items, whose weights are drawn by the seed, too."""
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(n, d)).astype(np.float32)
    label = draw.integers(0, classes, n)
    key = draw.integers(0, 2**64, n, np.uint64)
    return Items(label, key, {"features": features}, seed)


def naive(base, row, classes, fixed_weights=False):
    """The chance of every label for an image that turns noisy."""
    x, y = base.side["features"][row].astype(float), base.label[row]
    logits = []
    for j in range(classes):
        weights = []
        for f in range(len(x)):
            key = prng.mix(np.array([(y * len(x) + f) * classes + j], np.uint64))
            if not fixed_weights:
                key = prng.mix(key ^ prng.mix(np.array([base.seed + prng.GOLDEN], np.uint64)))
            u, v = (
                prng.uniform(key, prng.Stream.INSTANCE_WEIGHT)[0],
                prng.uniform(key, prng.Stream.INSTANCE_WEIGHT, 1)[0],
            )
            weights.append(math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v))
        logits.append(sum(a * b for a, b in zip(x, weights, strict=True)))
    odds = [0.0 if j == y else math.exp(logit) for j, logit in enumerate(logits)]
    return np.array(odds) / sum(odds)


@given(
    n=st.integers(0, 40),
    classes=st.integers(2, 5),
    seed=st.integers(0, 99),
    level=st.integers(0, 95),
    fixed=st.booleans(),
)
def test_oracle(n, classes, seed, level, fixed):
    """Image by image: the first of each class, by the level that each turns at, go where their features send them."""
    base = made(n, classes, seed)
    label = base.label.tolist()
    for row in order(base)[: n_noisy(level, n)].tolist():
        u = prng.uniform(base.key[[row]], prng.Stream.INSTANCE_LABEL)[0]
        label[row] = int(
            np.searchsorted(np.cumsum(naive(base, row, classes, fixed)), u, side="right")
        )

    assert instance(base, NONE, level, classes, fixed_weights=fixed).label.tolist() == label


@pytest.mark.parametrize("fixed", [False, True])
def test_weights_change_with_the_seed(fixed):
    """Another seed expects another matrix, unless the weights are fixed; the keys have no part in it."""
    base = made(300, 4)
    first, second = (
        expected_stats(base._replace(seed=seed), 40, 4, fixed_weights=fixed).matrix
        for seed in (0, 2**64 - 1)
    )

    assert np.array_equal(first, second) == fixed


@pytest.mark.parametrize("level", [1, 5, 20, 50, 80, 95, 99])
def test_the_mean_rate_is_the_level(level):
    """As lines between its points the distribution has the mean that was asked for, and is a normal cut to [0, 1]."""
    distribution = flip_rate_distributions()[level]
    density = np.diff(distribution) * CELLS
    middle = (np.arange(CELLS) + 0.5) / CELLS
    parabola = np.polyfit(middle[density > 1e-3], np.log(density[density > 1e-3]), 2)

    assert 1 - (distribution[:-1] + distribution[1:]).mean() / 2 == pytest.approx(
        level / 100, abs=1e-9
    )
    assert parabola[0] == pytest.approx(-1 / (2 * SPREAD**2), rel=0.01)
    assert (distribution[0], distribution[-1]) == (0, 1)
    assert (density >= 0).all()


@pytest.mark.parametrize(
    ("tau", "mean"), [(0.1, 0.1288), (0.2, 0.2055), (0.3, 0.3004), (0.4, 0.4000)]
)
def test_tau_of_the_authors_is_a_location(tau, mean):
    """Their code cuts a normal about tau at 0 and 1, which moves the mean above tau."""
    draw = tau + SPREAD * np.random.default_rng(0).normal(size=1_000_000)

    assert draw[(draw >= 0) & (draw <= 1)].mean() == pytest.approx(mean, abs=0.0005)


def test_standardised_bounds_would_be_wrong():
    """As in AQuA: a normal cut at 0 and 1 spreads above its location flips 24.6 % where 20 % was asked."""
    draw = np.random.default_rng(0).normal(size=1_000_000)
    standardised = 0.2 + SPREAD * draw[(draw > 0) & (draw < 1)]

    assert standardised.mean() == pytest.approx(0.246, abs=0.001)
    assert 1 - (
        flip_rate_distributions()[20][:-1] + flip_rate_distributions()[20][1:]
    ).mean() / 2 == pytest.approx(0.2, abs=1e-9)


def test_an_image_turns_when_its_rate_reaches_its_number():
    """The first whole level whose distribution, at u, is below v."""
    key = prng.mix(np.arange(200, dtype=np.uint64))
    u, v = prng.uniform(key, prng.Stream.FLIP_THRESHOLD), prng.uniform(key, prng.Stream.FLIP_RATE)
    grid = np.arange(CELLS + 1) / CELLS
    naive = [
        next(p for p in range(101) if np.interp(u[i], grid, flip_rate_distributions()[p]) < v[i])
        for i in range(200)
    ]

    assert flip_levels(key).tolist() == naive


@pytest.mark.parametrize("level", [5, 20, 50, 90])
def test_own_draws_have_the_level_as_their_mean(level):
    """Two hundred thousand images that turn on their own, within five sigma of the level."""
    n = 200_000
    rate = (flip_levels(prng.mix(np.arange(n, dtype=np.uint64))) <= level).mean()

    assert abs(rate - level / 100) <= 5 * math.sqrt(level / 100 * (1 - level / 100) / n)


def test_exact_and_own_draws_mostly_agree():
    """Most of the images that are noisy in the one way are so in the other, with the same label."""
    base = made(5000, 4)
    exact, independent = (instance(base, NONE, 40, 4, exact=e).label for e in (True, False))

    assert (exact != base.label).sum() == 2000
    assert (exact != independent).mean() < 0.03


@pytest.mark.parametrize("exact", [True, False])
def test_realised_matrix(exact):
    """Forty thousand images realise what is promised within five sigma a cell."""
    base = made(40_000, 5, d=8)
    statistics = expected_stats(base, 40, 5, exact=exact)
    label = instance(base, NONE, 40, 5, exact=exact).label
    class_sizes = np.bincount(base.label, minlength=5)[:, None]
    rates = np.bincount(base.label * 5 + label, minlength=25).reshape(5, 5) / class_sizes

    assert np.allclose(statistics.matrix.sum(1), 1)
    assert (
        np.abs(rates - statistics.matrix)
        <= 5 * np.sqrt(statistics.matrix * (1 - statistics.matrix) / class_sizes)
    ).all()
    assert (label != base.label).mean() == pytest.approx(statistics.rate, abs=0 if exact else 0.01)


def test_where_an_image_goes_is_its_own():
    """Equal features go the same ways, others elsewhere; and other images change nothing."""
    base = made(4000, 2, d=2)
    base = Items(
        np.zeros(4000, np.int64),
        base.key,
        {"features": np.tile([[9, 0], [0, 9]], (2000, 1)).astype("f4")},
    )
    label = instance(base, NONE, 95, 10).label
    first_images = instance(
        Items(*(part[:500] for part in base[:2]), {"features": base.side["features"][:500]}),
        NONE,
        95,
        10,
    )
    most_frequent = [
        np.bincount(label[i::2][label[i::2] > 0], minlength=10).argmax() for i in (0, 1)
    ]
    is_noisy_in_both = (label[:500] > 0) & (first_images.label > 0)

    assert most_frequent[0] != most_frequent[1]
    assert (label[:500] == first_images.label)[is_noisy_in_both].all()
    assert is_noisy_in_both.sum() > 400


@pytest.mark.parametrize(
    ("classes", "features", "message"),
    [
        (1, np.zeros((3, 2), np.float32), "number of classes is 1: give at least two classes"),
        (
            3,
            np.zeros(3, np.int64),
            "the column 'features' of the side table holds labels: name one that holds features",
        ),
    ],
)
def test_what_cannot_be_drawn(classes, features, message):
    """One class, or labels instead of features."""
    base = Items(np.zeros(3, np.int64), np.arange(3, dtype=np.uint64), {"features": features})
    with pytest.raises(ValueError, match=message):
        instance(base, NONE, 40, classes)
    with pytest.raises(ValueError, match=message):
        expected_stats(base, 40, classes)
