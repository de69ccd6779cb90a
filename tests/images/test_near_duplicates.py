"""Near duplicates are found without comparing every image with every other."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.images import near_duplicates
from cnlw_tools.images.near_duplicates import near_duplicate_pairs


def differing_bits(a, b):
    return sum((x ^ y).bit_count() for x, y in zip(a, b, strict=True))


def naive_pairs(fingerprints, max_bits):
    """Compare every row with every other row."""
    rows = list(enumerate(fingerprints.tolist()))
    return [(i, j) for (i, a), (j, b) in combinations(rows, 2) if differing_bits(a, b) <= max_bits]


@pytest.mark.parametrize("max_group", [32, 1])
@given(st.integers(0, 40), st.integers(0, 3), st.integers(0, 1000))
def test_pairs_match_the_naive_comparison(max_group, n, max_bits, seed):
    """The pairs are the naive ones, but copies are paired with the first copy alone.

    However often groups are divided.
    """
    rng = np.random.default_rng(seed)
    fingerprints = rng.integers(0, 256, (4, 16), np.uint8)[rng.integers(0, 4, n)]
    for row in fingerprints:
        for bit in rng.integers(0, 128, rng.integers(0, 6)):
            row[bit // 8] ^= 1 << bit % 8

    first = [
        next(j for j in range(n) if (fingerprints[j] == fingerprints[i]).all()) for i in range(n)
    ]
    expected = {
        (i, j)
        for i, j in naive_pairs(fingerprints, max_bits)
        if first[i] == i and (first[j] == j or first[j] == i)
    }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "MAX_GROUP", max_group)
        pairs = near_duplicate_pairs(fingerprints, max_bits)
    assert set(map(tuple, pairs.tolist())) == expected


def test_an_equal_part_costs_no_comparison_of_all_pairs(monkeypatch):
    """Of 5,000 drawings on white, with one near duplicate, far fewer than 12 million are made."""
    rng = np.random.default_rng(0)
    fingerprints = rng.integers(0, 256, (5000, 16), np.uint8)
    fingerprints[:, :6] = 255
    fingerprints[77] = fingerprints[4000]
    fingerprints[77, 15] ^= 3
    compared = []
    count_bits = near_duplicates._count_bits

    def count(first, second):
        compared.append(len(first))
        return count_bits(first, second)

    monkeypatch.setattr(near_duplicates, "_count_bits", count)

    assert [[77, 4000]] == near_duplicate_pairs(fingerprints).tolist()
    assert sum(compared) < 50_000


def test_three_quarters():
    """One differing bit in each of three quarters is found; one in each of four is too many."""
    fingerprints = np.zeros((3, 16), np.uint8)
    fingerprints[1, [0, 4, 8]] = 1
    fingerprints[2, [0, 4, 8, 12]] = 1

    assert near_duplicate_pairs(fingerprints).tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize("n", [0, 1])
def test_no_pair_of_fewer_than_two_images(n):
    """With no image, or with only one, there are no pairs."""
    assert near_duplicate_pairs(np.zeros((n, 16), np.uint8)).shape == (0, 2)


def test_copies():
    """Copies are paired with the first of them alone, so 60 placeholders give 59 pairs."""
    copies = np.full((60, 16), 7, np.uint8)

    assert near_duplicate_pairs(copies).tolist() == [[0, i] for i in range(1, 60)]
