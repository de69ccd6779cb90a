"""Which images look alike: fingerprints that differ in a few bits."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray


def near_duplicate_pairs(
    prints: NDArray[np.uint8], within: Literal[0, 1, 2, 3] = 3
) -> NDArray[np.int64]:
    """Return the (pairs, 2) rows, first < second, whose fingerprints differ in at most ``within`` bits.

    Rows with one and the same fingerprint are paired with the first of them alone, and it stands for all.
    If two differ in at most 3 bits, one of four 32-bit quarters is equal: sort by each quarter in turn
    and compare only inside runs of equal quarters.

    Args:
        prints: (n, 16) fingerprints
        within: bits
    """
    distinct, first, group = np.unique(prints, axis=0, return_index=True, return_inverse=True)
    same = np.flatnonzero(
        first[group] != np.arange(len(group))
    )  # rows whose print an earlier row has
    words = np.ascontiguousarray(distinct).view("<u4")  # (distinct, 4)
    found = [_close(words, np.argsort(words[:, q], kind="stable"), q, within) for q in range(4)]
    pairs = np.concatenate([*(first[p] for p in found), np.stack([first[group[same]], same], 1)])
    return np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int64)


def _close(
    words: NDArray[np.uint32], order: NDArray[np.int64], quarter: int, within: int
) -> NDArray[np.int64]:
    """Compare each row with the ones behind it, 1, 2, 3 ... places on, for as long as any quarter is still equal."""
    found = [np.empty((0, 2), np.int64)]
    at = np.arange(len(order))
    for gap in range(1, len(order)):
        at = at[: np.searchsorted(at, len(order) - gap)]
        at = at[words[order[at], quarter] == words[order[at + gap], quarter]]
        if not len(at):
            break
        a, b = order[at], order[at + gap]
        near = np.bitwise_count(words[a] ^ words[b]).sum(1) <= within
        found.append(np.stack([a[near], b[near]], 1))
    return np.concatenate(found)
