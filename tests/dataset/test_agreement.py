"""Agreement, pair by pair of votes, and on examples whose values are published."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.dataset.agreement import fleiss_kappa, krippendorff_alpha, outlying_annotators


def listed(row):
    """The votes on one item: kind after kind."""
    return [kind for kind, n in enumerate(row) for _ in range(n)]


def naive_fleiss(counts):
    """Share of ordered pairs of votes on one item that agree, beyond that of kinds drawn by chance."""
    everything = [v for row in counts for v in listed(row)]
    pairs = [np.mean([a == b for a, b in itertools.permutations(listed(row), 2)]) for row in counts]
    chance = np.mean([a == b for a in everything for b in everything])
    return float("nan") if chance == 1 else (np.mean(pairs) - chance) / (1 - chance)


def naive_krippendorff(counts):
    """Coincidences of ordered pairs, each item's weighted by its votes but one, against pairs of any two votes."""
    units = [listed(row) for row in counts if sum(row) > 1]
    everything = [v for unit in units for v in unit]
    differ = sum(
        (a != b) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2)
    )
    by_chance = sum(a != b for a, b in itertools.permutations(everything, 2)) / max(
        1, len(everything) - 1
    )
    return 1 - differ / by_chance if by_chance else float("nan")


@given(
    st.integers(2, 5).flatmap(
        lambda m: st.lists(
            st.lists(st.integers(0, 2), min_size=m, max_size=m), min_size=1, max_size=8
        )
    )
)
def test_fleiss(votes):
    """Kappa is what counting pairs gives."""
    counts = np.array([np.bincount(unit, minlength=3) for unit in votes])

    assert naive_fleiss(counts) == pytest.approx(fleiss_kappa(counts), nan_ok=True)


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=8))
def test_krippendorff(rows):
    """Alpha is what counting pairs gives, whatever is missing."""
    assert naive_krippendorff(rows) == pytest.approx(
        krippendorff_alpha(np.array(rows)), nan_ok=True
    )


def test_published_kappa():
    """Ten subjects, fourteen raters, five kinds: 0.210, a worked example that textbooks on Fleiss' kappa share."""
    rows = ["0 0 0 0 14", "0 2 6 4 2", "0 0 3 5 6", "0 3 9 2 0", "2 2 8 1 1"]
    rows += ["7 7 0 0 0", "3 2 6 3 0", "2 5 3 2 2", "6 5 2 1 0", "0 2 2 3 7"]

    assert 0.210 == round(fleiss_kappa(np.array([row.split() for row in rows], int)), 3)


def test_published_alpha():
    """Four observers, twelve units, gaps: 0.743 (Krippendorff 2011, example C, nominal); two observers: 0.095 (A)."""
    grid = np.array(
        [list(row) for row in ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")]
    )
    counts = np.stack([(grid == kind).sum(0) for kind in "12345"], 1)
    a, b = (np.array(list(row)) for row in ("0100000000", "1110010100"))
    two = np.stack([(a == kind).astype(int) + (b == kind) for kind in "01"], 1)

    assert 0.743 == round(krippendorff_alpha(counts), 3)
    assert 0.095 == round(krippendorff_alpha(two), 3)


def test_ends():
    """Perfect agreement is 1, contradiction below 0; one kind, one vote each, or nothing is undefined."""
    assert (1, 1) == (
        fleiss_kappa(np.array([[2, 0], [0, 2]])),
        krippendorff_alpha(np.array([[2, 0], [0, 3]])),
    )
    assert fleiss_kappa(np.array([[1, 1], [1, 1]])) == -1
    assert krippendorff_alpha(np.array([[1, 1], [1, 1]])) < 0
    for measure, counts in (
        (fleiss_kappa, [[3, 0], [3, 0]]),
        (krippendorff_alpha, [[3, 0], [2, 0]]),
        (krippendorff_alpha, [[1, 0], [0, 1]]),
        (fleiss_kappa, np.empty((0, 2), int)),
        (krippendorff_alpha, np.empty((0, 2), int)),
    ):
        assert math.isnan(measure(np.array(counts)))


@pytest.mark.parametrize("counts", [[[2, 0], [1, 2]], [[1, 0], [0, 1]]])
def test_fleiss_wants_as_many_votes_on_all(counts):
    """Items with other numbers of votes, or with one, have no kappa."""
    with pytest.raises(ValueError, match="the same number of votes on every item, 2 or more"):
        fleiss_kappa(np.array(counts))


def test_stand_out():
    """One who errs far more than the others does; who is better, or has hardly voted, does not."""
    error = np.array([0.10, 0.12, 0.08, 0.11, 0.09, 0.60, 0.0, 1.0])
    votes = np.array([100, 100, 100, 100, 100, 100, 100, 1])

    assert [5] == np.flatnonzero(outlying_annotators(error, votes)).tolist()


def test_nobody_stands_out_among_equals():
    """Equal rates, rates of honest chance, one alone, or nobody: no complaint."""
    draw = np.random.default_rng(0)
    chance = draw.binomial(50, 0.1, 200) / 50

    assert not outlying_annotators(np.zeros(5), np.full(5, 9)).any()
    assert outlying_annotators(chance, np.full(200, 50)).sum() <= 2
    assert not outlying_annotators(np.array([0.5]), np.array([9])).any()
    assert 0 == len(outlying_annotators(np.empty(0), np.empty(0, int)))
    assert [1] == np.flatnonzero(
        outlying_annotators(np.array([0, 0.3, 0, 0]), np.full(4, 100))
    ).tolist()


def test_few_errors_beside_none_are_chance():
    """Without a spread between annotators, the standard error of the rate decides, as by hand."""
    n_votes = 300
    flagged = []
    for n_errors in range(20):
        error = np.array([0, 0, n_errors / n_votes])
        flagged.append(outlying_annotators(error, np.full(3, n_votes))[2])

    for n_errors in range(20):
        p = (n_errors + 1) / (n_votes + 2)
        standard_error = math.sqrt(p * (1 - p) / n_votes)
        assert flagged[n_errors] == (n_errors / n_votes > 3 * standard_error)
    assert not flagged[7]  # 2.3 %
    assert flagged[15]


def test_the_spread_of_annotators_is_a_standard_deviation():
    """The median deviation, 0.01, times 1.4826: with countless votes the limit is 0.0445."""
    error = 0.5 + np.array([-0.03, -0.02, -0.01, -0.01, 0, 0, 0, 0.01, 0.01, 0.04, 0.05])
    votes = np.full(len(error), 10**9)
    median = sorted(error)[5]
    limit = 3 * 1.4826 * sorted(abs(rate - median) for rate in error)[5]

    assert np.flatnonzero(error - median > limit).tolist() == [10]
    assert np.flatnonzero(outlying_annotators(error, votes)).tolist() == [10]
