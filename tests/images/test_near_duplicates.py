"""Fingerprints that differ in a few bits, found without comparing all with all."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.images.near_duplicates import near_duplicate_pairs


def bits(one, two):
    return sum((a ^ b).bit_count() for a, b in zip(one, two, strict=True))


def naive(prints, within):
    pairs = combinations(enumerate(prints.tolist()), 2)
    return [[i, j] for (i, one), (j, two) in pairs if bits(one, two) <= within]


@given(st.integers(0, 40), st.integers(0, 3), st.integers(0, 1000))
def test_alike(n, within, seed):
    """The pairs are those that comparing all with all finds, the first of equal prints standing for them."""
    draw = np.random.default_rng(seed)
    prints = draw.integers(0, 256, (4, 16), np.uint8)[draw.integers(0, 4, n)]
    for row in prints:
        for bit in draw.integers(0, 128, draw.integers(0, 6)):
            row[bit // 8] ^= 1 << bit % 8

    first = [next(j for j in range(n) if (prints[j] == prints[i]).all()) for i in range(n)]
    expected = {
        (i, j)
        for i, j in naive(prints, within)
        if first[i] == i and (first[j] == j or first[j] == i)
    }

    assert set(map(tuple, near_duplicate_pairs(prints, within).tolist())) == expected


def test_alike_quarters():
    """Three bits apart in three different quarters is still alike; one in each of the four is not."""
    prints = np.zeros((3, 16), np.uint8)
    prints[1, [0, 4, 8]] = 1
    prints[2, [0, 4, 8, 12]] = 1

    assert near_duplicate_pairs(prints).tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize("n", [0, 1])
def test_alike_alone(n):
    """No image, and one, are like no other."""
    assert near_duplicate_pairs(np.zeros((n, 16), np.uint8)).shape == (0, 2)


def test_alike_copies():
    """Copies are paired with the first of them alone: many placeholders are no million pairs."""
    assert near_duplicate_pairs(np.full((60, 16), 7, np.uint8)).tolist() == [
        [0, i] for i in range(1, 60)
    ]
