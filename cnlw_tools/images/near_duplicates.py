"""Near duplicates: images whose fingerprints (see `pixels.fingerprint`) differ in at most 3 bits.

A fingerprint has 128 bits, in four quarters of 32. If two fingerprints differ in at most 3 bits, at
least one quarter is equal in both. So the rows are sorted by each quarter in turn, and only rows
with an equal quarter are compared.

The result is exact. n fingerprints take four sorts, n log n, and m (m - 1) / 2 comparisons for each
m rows that have a quarter in common. Of evenly spread fingerprints, n² / 2³¹ pairs have one: 466 of
a million, five million of a hundred million. Many different images with one flat quarter, such as
drawings on white, make this part quadratic in their number. Memory is 92 bytes a row.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

QUARTERS = 4  # of 32 bits each

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint32]
Rows = NDArray[np.int64]


def near_duplicate_pairs(fingerprints: Bytes, max_bits: Literal[0, 1, 2, 3] = 3) -> Rows:
    """Return the (pairs, 2) row numbers, first < second, of fingerprints that are nearly equal.

    Rows with exactly the same fingerprint are represented by the first of them: each of the others
    is paired with this first row and with no other row.

    Args:
        fingerprints: (n, 16)
        max_bits: how many bits may differ
    """
    distinct, first_row, group = np.unique(
        fingerprints,
        axis=0,
        return_index=True,
        return_inverse=True,
    )
    representative = first_row[group]  # (n,) the first row with the same fingerprint
    is_copy = representative != np.arange(len(group))
    copies = np.flatnonzero(is_copy)
    pairs = [np.stack([representative[copies], copies], 1)]
    contiguous = np.ascontiguousarray(distinct)
    words = contiguous.view("<u4")  # (distinct, 4)
    for quarter in range(QUARTERS):
        close = _close_pairs(words, quarter, max_bits)
        pairs.append(first_row[close])
    all_pairs = np.concatenate(pairs)
    all_pairs.sort(axis=1)
    unique_pairs = np.unique(all_pairs, axis=0)
    return unique_pairs.astype(np.int64)


def _close_pairs(words: Words, quarter: int, max_bits: int) -> Rows:
    """Return the (pairs, 2) rows that are equal in one quarter and differ in at most ``max_bits``.

    The rows are sorted by the quarter. Each row is compared with the next row, then with the row
    after that, and so on, as long as the quarters of any two rows at this distance are equal.

    Args:
        words: (n, 4) the quarters of the fingerprints
        quarter: which quarter must be equal
        max_bits: how many bits may differ
    """
    values = words[:, quarter]
    order = np.argsort(values, kind="stable")
    n = len(order)
    positions = np.arange(n)
    pairs = [np.empty((0, 2), np.int64)]
    for distance in range(1, n):
        end = np.searchsorted(positions, n - distance)
        positions = positions[:end]
        first = order[positions]
        second = order[positions + distance]
        equal = values[first] == values[second]
        positions = positions[equal]
        if not len(positions):
            break
        first = first[equal]
        second = second[equal]
        differing_bits = words[first] ^ words[second]
        n_bits = np.bitwise_count(differing_bits).sum(1)
        close = n_bits <= max_bits
        close_pairs = [first[close], second[close]]
        pairs.append(np.stack(close_pairs, 1))
    return np.concatenate(pairs)
