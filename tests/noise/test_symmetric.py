"""Symmetric flips: each variant as a loop over rows, and the rates that papers mix up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools import prng
from cnlw_tools.noise import Items
from cnlw_tools.noise.base import corruption_order, n_noisy
from cnlw_tools.noise.blue import blue
from cnlw_tools.noise.symmetric import expected_stats, symmetric
from tests.noise.items import sized

NONE = Items(np.empty(0, np.int64), np.empty(0, np.uint64))
OPTIONS = [{}, {"include_self": True}, {"variant": "l2r"}, {"variant": "permuted"}]
OPTIONS += [{**o, "exact": False} for o in OPTIONS]


def made(n, classes, seed=0):
    draw = np.random.default_rng(seed)
    return Items(np.arange(n) % classes, draw.integers(0, 2**64, n, np.uint64))


def u(base, row, stream):
    return prng.uniform(base.key[row : row + 1], stream)[0]


def naive(base, level, classes, include_self=False, exact=True, variant="uniform"):
    """The new labels, row by row."""
    n, label = len(base.label), base.label.tolist()
    flipped = (
        corruption_order(base)[: n_noisy(level, n)].tolist()
        if exact
        else [i for i in range(n) if u(base, i, prng.Stream.IS_FLIPPED) < level / 100]
    )
    if variant == "permuted":
        givers = sorted(
            flipped, key=lambda row: (u(base, row, prng.Stream.LABEL_SHUFFLE), base.key[row])
        )
        takers = flipped if exact else sorted(flipped, key=lambda row: base.key[row])
        return [
            dict(zip(takers, base.label[givers].tolist(), strict=True)).get(i, label[i])
            for i in range(n)
        ]
    for row in flipped:
        v = u(base, row, prng.Stream.NEW_LABEL)
        if variant == "l2r":
            label[row] = int(v * (classes - 1))
        elif include_self:
            label[row] = int(v * classes)
        else:
            label[row] = (label[row] + 1 + int(v * (classes - 1))) % classes
    return label


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@given(
    n=st.integers(0, 60),
    classes=st.integers(2, 12),
    seed=st.integers(0, 99),
    level=st.integers(0, 95),
)
def test_oracle(options, n, classes, seed, level):
    """Every variant is what its line of the table says, row by row."""
    base = made(n, classes, seed)

    assert symmetric(base, NONE, level, classes, **options).label.tolist() == naive(
        base, level, classes, **options
    )


def test_blue_is_the_default_variant():
    """Blue noise is symmetric noise with the defaults, label for label."""
    base = made(500, 7)

    assert (blue(base, NONE, 40, 7).label == symmetric(base, NONE, 40, 7).label).all()


@pytest.mark.parametrize(
    ("level", "classes", "included"),
    [(20, 10, 0.18), (40, 10, 0.36), (80, 10, 0.72), (40, 100, 0.396)],
)
def test_the_rates_that_papers_mix(level, classes, included):
    """Asked 40 % is 40 % of wrong labels with self excluded, and 36 % of ten classes with self included."""
    base = sized([5000] * classes)

    assert expected_stats(base, level, classes).rate == level / 100
    assert expected_stats(base, level, classes, include_self=True).rate == pytest.approx(included)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_realised_rate_and_matrix(options):
    """Fifty thousand draws realise the expected rate and matrix within five sigma a cell."""
    n, classes = 50_000, 10
    base = made(n, classes)
    label = symmetric(base, NONE, 40, classes, **options).label
    statistics = expected_stats(base, 40, classes, **options)
    rates = (
        np.bincount(base.label * classes + label, minlength=classes**2).reshape(classes, classes)
        * classes
        / n
    )

    assert np.allclose(statistics.matrix.sum(1), 1)
    assert (
        np.abs(rates - statistics.matrix)
        <= 5 * np.sqrt(statistics.matrix * (1 - statistics.matrix) * classes / n) + 1e-9
    ).all()
    assert (label != base.label).mean() == pytest.approx(statistics.rate, abs=0.01)
    if statistics.exact:
        assert (label != base.label).sum() == statistics.rate * n


def test_l2r_never_draws_the_last_class():
    """The published code draws from all labels but the last."""
    base = made(3000, 5)

    label = symmetric(base, NONE, 90, 5, variant="l2r").label

    assert (label[label != base.label] < 4).all()
    assert expected_stats(sized([600] * 5), 90, 5, variant="l2r").matrix[:4, 4].max() == 0


def test_permuting_keeps_the_classes_sizes():
    """Labels change hands, and none is made or lost."""
    base = made(900, 9)

    label = symmetric(base, NONE, 60, 9, variant="permuted").label

    assert (np.bincount(label) == np.bincount(base.label)).all()
    assert (label != base.label).any()


@pytest.mark.parametrize("options", [o for o in OPTIONS if o.get("variant") != "permuted"], ids=str)
def test_nested(options):
    """What is noisy at 20 % is noisy in the same way at 50 %."""
    base = made(2000, 8)
    low, high = (symmetric(base, NONE, level, 8, **options).label for level in (20, 50))

    assert (low == high)[low != base.label].all()
    assert expected_stats(sized([250] * 8), 20, 8, **options).nested


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        (1, {}, "number of classes is 1: give at least two classes"),
        (3, {"variant": "best"}, "no variant 'best': give one of uniform, l2r, permuted"),
        (3, {"variant": "l2r", "include_self": True}, "cannot be used together"),
    ],
)
def test_bad_options(classes, options, message):
    """What cannot be drawn is an error that says why."""
    with pytest.raises(ValueError, match=message):
        symmetric(made(10, classes), NONE, 40, classes, **options)
    with pytest.raises(ValueError, match=message):
        expected_stats(sized([10] * classes), 40, classes, **options)
