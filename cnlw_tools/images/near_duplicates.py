"""Near duplicates: images whose fingerprints (see `pixels.fingerprint`) differ in at most 3 bits.

A fingerprint has 16 bytes, in four parts of four. If two fingerprints differ in at most 3 bits, at
least one part is equal in both. So the rows are sorted by each part in turn, and rows with an equal
part are a group. Rows of a group are compared with each other, if it is small. A larger group, such
as that of drawings on white, is divided in the same way by its other bytes: four parts of three,
then of two or three, and so on, until at most three bytes are left.

The result is exact. n fingerprints take four sorts, n log n, and m (m - 1) / 2 comparisons for each
group of m <= 32. Of evenly spread fingerprints, n² / 2³¹ pairs share a part: 466 of a million, five
million of a hundred million. Rows of large groups are sorted four times more for each division, and
there are at most five. Only rows that agree in 13 bytes and more are compared with each other
however many they are. Memory is 60 bytes a row, besides the fingerprints.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

N_PARTS = 4  # one more than bits may differ
MAX_GROUP = 32  # rows that are compared with each other
LEAST_BYTES = N_PARTS  # with fewer, no part would be left

Bytes = NDArray[np.uint8]
Rows = NDArray[np.integer]


def near_duplicate_pairs(fingerprints: Bytes, max_bits: Literal[0, 1, 2, 3] = 3) -> Rows:
    """Return the (pairs, 2) row numbers, first < second, of fingerprints that are nearly equal.

    Rows with exactly the same fingerprint are represented by the first of them: each of the others
    is paired with this first row and with no other row.

    Args:
        fingerprints: (n, 16)
        max_bits: how many bits may differ
    """
    first, copies = _find_copies(np.ascontiguousarray(fingerprints))
    distinct = np.ascontiguousarray(fingerprints[first])
    kind: type[np.integer] = np.int32 if len(first) < 1 << 31 else np.int64
    everyone = np.arange(len(first), dtype=kind)
    groups = np.zeros(len(first), kind)
    pairs = [copies]
    for close in _close_pairs(distinct, everyone, groups, range(16), max_bits):
        pairs.append(first[close])
    all_pairs = np.concatenate(pairs)
    all_pairs.sort(axis=1)
    unique_pairs = np.unique(all_pairs, axis=0)
    return unique_pairs.astype(np.int64)


def _find_copies(fingerprints: Bytes) -> tuple[Rows, Rows]:
    """Return the first row of each distinct fingerprint, and each other row with its first one.

    Args:
        fingerprints: (n, 16)

    Returns:
        (distinct,), sorted by fingerprint; (copies, 2)
    """
    halves = fingerprints.view("<u8")
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    is_new = np.ones(len(order), bool)
    is_new[1:] = (halves[order[1:]] != halves[order[:-1]]).any(1)
    first = order[is_new]
    representative = first[np.cumsum(is_new) - 1]
    copies = np.stack([representative[~is_new], order[~is_new]], 1)
    return first, copies


def _close_pairs(
    fingerprints: Bytes, rows: Rows, groups: Rows, left: Sequence[int], max_bits: int
) -> Iterator[Rows]:
    """Yield (pairs, 2) rows of one group that differ in at most ``max_bits``, some of them twice.

    Args:
        fingerprints: (n, 16), all different
        rows: (m,) that are compared
        groups: (m,) rows of one group are equal in all other bytes
        left: numbers of the bytes in which they may differ
        max_bits: how many bits may differ
    """
    for part in np.array_split(np.array(left), N_PARTS):
        order, divided = _divide(_read_words(fingerprints, rows, part), groups)
        sizes = np.bincount(divided)[divided]
        rest = [byte for byte in left if byte not in part]
        is_small = sizes <= (MAX_GROUP if len(rest) >= LEAST_BYTES else len(sizes))
        yield _compare(fingerprints, rows[order[is_small]], divided[is_small], max_bits)
        if not is_small.all():
            large = rows[order[~is_small]]
            yield from _close_pairs(fingerprints, large, divided[~is_small], rest, max_bits)


def _divide(values: NDArray[np.uint32], groups: Rows) -> tuple[Rows, Rows]:
    """Divide groups by a value; leave out what is then alone.

    Args:
        values: (m,)
        groups: (m,)

    Returns:
        (k,) which of the m share group and value with another one, side by side; (k,) the number
        of the group that they are in now, in order
    """
    order = np.lexsort((values, groups))
    values, groups = values[order], groups[order]
    is_new = np.ones(len(order) + 1, bool)  # a group begins, or all end
    is_new[1:-1] = (values[1:] != values[:-1]) | (groups[1:] != groups[:-1])
    is_shared = ~(is_new[:-1] & is_new[1:])
    divided = np.cumsum(is_new[:-1], dtype=groups.dtype)[is_shared]
    return order[is_shared], divided


def _read_words(fingerprints: Bytes, rows: Rows, part: Rows) -> NDArray[np.uint32]:
    """Return (m,) some bytes of some rows, at most four, as one number."""
    values = np.zeros(len(rows), np.uint32)
    for byte in part:
        values = values << 8 | fingerprints[rows, byte]
    return values


def _compare(fingerprints: Bytes, rows: Rows, groups: Rows, max_bits: int) -> Rows:
    """Return the (pairs, 2) rows of one group that differ in at most ``max_bits``.

    Each row is compared with the next row, then with the row after that, and so on, as long as any
    two rows at this distance are of one group.

    Args:
        fingerprints: (n, 16)
        rows: (m,) that are compared
        groups: (m,) of these rows, sorted
        max_bits: how many bits may differ
    """
    n = len(rows)
    positions = np.arange(n)
    pairs = [np.empty((0, 2), np.int64)]
    for distance in range(1, n):
        positions = positions[positions < n - distance]
        positions = positions[groups[positions] == groups[positions + distance]]
        if not len(positions):
            break
        first, second = rows[positions], rows[positions + distance]
        close = _count_bits(fingerprints[first], fingerprints[second]) <= max_bits
        pairs.append(np.stack([first[close], second[close]], 1))
    return np.concatenate(pairs)


def _count_bits(first: Bytes, second: Bytes) -> NDArray[np.integer]:
    """Return (m,) in how many bits the (m, 16) fingerprints of pairs differ."""
    differing = (first ^ second).view("<u8")
    n_bits: NDArray[np.integer] = np.bitwise_count(differing).sum(1)
    return n_bits
