"""Rows of several lists are stored so that every list reads whole files, and few of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.plans import shared_rows
from cnlw_tools.plans.shared_rows import MAX_PATTERNS, assign_patterns, choose_parts

A, B, C = range(3)


def membership(draws: list[int], n_lists: int) -> np.ndarray:
    """Return (n, L) which lists each row is in, from the bits of numbers; no row is in none."""
    bits = np.array(draws)[:, None] >> np.arange(n_lists) & 1
    return bits.astype(bool)


@pytest.fixture
def few_files(monkeypatch):
    """Patterns are merged as soon as there are more than three."""
    monkeypatch.setattr(shared_rows, "MAX_PATTERNS", 3)


def check_files(is_in_list: np.ndarray, groups: np.ndarray) -> None:
    """A row has a group in each of its lists, and all rows of a group are in the same lists there."""
    assert ((groups >= 0) == is_in_list).all()
    for group in np.unique(groups[groups >= 0]):
        places = groups == group
        rows_of_group = places.any(1)
        assert len(np.unique(places[rows_of_group], axis=0)) == 1


@given(draws=st.lists(st.integers(1, 63), min_size=1, max_size=60))
def test_every_list_reads_whole_files(draws):
    """Few patterns are stored as they are: each row once, with all rows of the same lists."""
    is_in_list = membership(draws, 6)
    groups = assign_patterns(is_in_list)

    check_files(is_in_list, groups)
    if len(set(draws)) <= MAX_PATTERNS:
        n_copies = [len(set(row[row >= 0])) for row in groups]
        assert n_copies == [1] * len(draws)
        assert len(np.unique(groups[groups >= 0])) == len(set(draws))


@given(draws=st.lists(st.integers(1, 63), min_size=1, max_size=60))
def test_merged_patterns_are_whole_files(few_files, draws):
    """This holds where patterns are merged, too, and there are no more of them than lists."""
    is_in_list = membership(draws, 6)
    groups = assign_patterns(is_in_list)

    check_files(is_in_list, groups)
    assert len(np.unique(groups[groups >= 0])) <= max(3, 6)


def test_small_patterns_are_merged(few_files):
    """The pattern with the fewest rows goes into two others that make it up."""
    n_rows = {(A,): 50, (B, C): 40, (A, B, C): 2, (B,): 30}
    parts = choose_parts({frozenset(key): n for key, n in n_rows.items()}, 3)

    assert parts[frozenset({A, B, C})] in [({A}, {B, C}), ({B, C}, {A})]
    assert parts[frozenset({B, C})] == ({B, C},)


def test_numbers_follow_the_lists():
    """Groups are numbered in the order of their patterns, whatever the order of rows."""
    is_in_list = membership([0b11, 0b01, 0b10], 2)

    assert assign_patterns(is_in_list).tolist() == [[2, 2], [1, -1], [-1, 0]]


def test_lists_that_were_drawn_by_themselves():
    """Ten lists with hundreds of patterns take 40 files at most, and a row is stored twice or so."""
    rng = np.random.default_rng(0)
    shares = 1 - np.array([0, 5, 10, 15, 20, 30, 40, 50, 60, 80]) / 100
    is_in_list = rng.random((6000, 10)) < shares
    n_patterns = len(np.unique(is_in_list, axis=0))
    groups = assign_patterns(is_in_list)
    n_copies = [len(set(row[row >= 0])) for row in groups]

    assert n_patterns > 200
    assert len(np.unique(groups[groups >= 0])) <= MAX_PATTERNS
    assert np.mean(n_copies) < 2.2
    check_files(is_in_list, groups)
