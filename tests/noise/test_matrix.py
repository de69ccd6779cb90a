"""A transition matrix: exact counts, images that draw on their own, and matrices that are none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools import prng
from cnlw_tools.noise import Items
from cnlw_tools.noise.matrix import expected_stats, matrix, round_counts
from tests.noise.items import sized

NONE = Items(np.empty(0, np.int64), np.empty(0, np.uint64))


def made(n, classes, seed=0):
    draw = np.random.default_rng(seed)
    return Items(
        draw.integers(0, classes, n), draw.integers(0, 2**64, n, np.uint64)
    ), draw.dirichlet(np.full(classes, 0.5), classes)


def count_labels(base, label, classes):
    return np.bincount(base.label * classes + label, minlength=classes**2).reshape(classes, classes)


@given(n=st.integers(0, 90), classes=st.integers(1, 6), seed=st.integers(0, 99))
def test_oracle(n, classes, seed):
    """Class by class: whole images first, one more for the largest remainders; images in key order take them."""
    base, q = made(n, classes, seed)
    label = [0] * n
    for c in range(classes):
        rows = sorted(np.flatnonzero(base.label == c).tolist(), key=lambda row: base.key[row])
        ideal = [len(rows) * q[c, j] / q[c].sum() for j in range(classes)]
        count = [int(a) for a in ideal]
        for j in sorted(range(classes), key=lambda j: (count[j] - ideal[j], j))[
            : len(rows) - sum(count)
        ]:
            count[j] += 1
        for row, to in zip(rows, np.repeat(range(classes), count).tolist(), strict=True):
            label[row] = to

    assert matrix(base, NONE, 0, classes, q.tolist()).label.tolist() == label


@given(n=st.integers(0, 90), classes=st.integers(1, 6), seed=st.integers(0, 99))
def test_oracle_of_own_draws(n, classes, seed):
    """Image by image: the first label whose chances up to it sum to more than the image's number."""
    base, q = made(n, classes, seed)
    q = q / q.sum(1, keepdims=True)
    u = prng.uniform(base.key, prng.Stream.MATRIX_LABEL)
    label = [
        next(j for j in range(classes) if u[i] < q[c, : j + 1].sum())
        for i, c in enumerate(base.label)
    ]

    assert matrix(base, NONE, 0, classes, q.tolist(), exact=False).label.tolist() == label


@pytest.mark.parametrize("counts", [[5000] * 4, [0, 1, 2, 997], [3, 3, 3, 0]])
def test_cells_are_exact(counts):
    """Every cell is what was asked for, rounded down or up, and rows keep their sums; the promise says the same."""
    base, (_, q) = sized(counts), made(0, 4)
    counts_by_label = count_labels(base, matrix(base, NONE, 0, 4, q.tolist()).label, 4)
    statistics = expected_stats(base, 0, 4, q.tolist())

    assert (np.abs(counts_by_label - np.array(counts)[:, None] * q) < 1).all()
    assert counts_by_label.sum(1).tolist() == counts
    assert np.allclose(statistics.matrix * np.array(counts)[:, None], counts_by_label)
    assert statistics.rate == pytest.approx(1 - np.trace(counts_by_label) / sum(counts))
    assert statistics.exact


def test_own_draws_follow_the_matrix():
    """Fifty thousand images realise it within five sigma a cell."""
    base, (_, q) = sized([12_500] * 4), made(0, 4)
    base = Items(base.label, prng.mix(base.key))
    rates = count_labels(base, matrix(base, NONE, 0, 4, q.tolist(), exact=False).label, 4) / 12_500
    statistics = expected_stats(base, 0, 4, q.tolist(), exact=False)

    assert np.allclose(statistics.matrix, q)
    assert (np.abs(rates - q) <= 5 * np.sqrt(q * (1 - q) / 12_500)).all()
    assert not statistics.exact


def test_columns_for_the_true_class_are_turned_when_asked():
    """Sukhbaatar's way of writing a matrix; rounding of six digits is no error."""
    q = [[0.9, 0.2], [0.1, 0.8]]
    base = sized([100, 100])

    assert count_labels(base, matrix(base, NONE, 0, 2, q, transpose=True).label, 2).tolist() == [
        [90, 10],
        [20, 80],
    ]
    with pytest.raises(
        ValueError,
        match=r"row of true class 0 in the matrix q sums to 1.1, but must sum to 1: its columns sum to 1",
    ):
        matrix(base, NONE, 0, 2, q)
    assert matrix(base, NONE, 0, 2, [[0.9, 0.0999999], [0.2, 0.8]]).label.sum() == 90


def test_no_chance_is_never_drawn():
    """A label of chance 0 is given to nobody, be it the first, one between or the last."""
    q = [[0, 0.5, 0, 0.5, 0]] * 5
    base = Items(np.zeros(5000, np.int64), prng.mix(np.arange(5000, dtype=np.uint64)))

    for exact in (True, False):
        assert set(matrix(base, NONE, 0, 5, q, exact=exact).label.tolist()) == {1, 3}


def test_remainders_that_tie_go_to_the_lower_labels():
    """Three thirds of four images."""
    assert round_counts(np.array([4, 0, 3]), np.full((3, 3), 1 / 3)).tolist() == [
        [2, 1, 1],
        [0, 0, 0],
        [1, 1, 1],
    ]


@pytest.mark.parametrize(
    ("q", "message"),
    [
        ([], "the matrix q is not there, but there are 2 classes: give 2 rows of 2"),
        ([[1.0, 0.0, 0.0]] * 3, "the matrix q is 3 x 3, but there are 2 classes"),
        ([[1.0, 0.0]], "the matrix q is 1 x 2"),
        (
            [[1.1, -0.1], [0.0, 1.0]],
            "holds -0.1 for true class 0, label 1: give probabilities from 0 to 1",
        ),
        ([[1.0, 0.0], [np.nan, 1.0]], "holds nan for true class 1, label 0"),
        (
            [[1.0, 0.0], [0.5, 0.4]],
            "row of true class 1 in the matrix q sums to 0.9, but must sum to 1: divide it by its sum",
        ),
    ],
)
def test_no_transition_matrix(q, message):
    """What is no transition matrix of these classes is an error that says why."""
    for call in (matrix, lambda base, pool, *rest: expected_stats(base, *rest)):
        with pytest.raises(ValueError, match=message):
            call(sized([5, 5]), NONE, 0, 2, q)
