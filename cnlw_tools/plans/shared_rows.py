"""Which rows of several lists are stored together, so that the lists share files.

A list is read from whole files, so all rows of a file must be in the same lists: in its pattern. If
the lists have few patterns, each row is stored once. If they have many, because each list was drawn
by itself, two rules keep the number of files low:

    Lists are cut into blocks of neighbours, and a row is stored once for each block that has it.
    Within its block, a pattern of few rows is merged into two others: {A, B, C} into {A, B}, {C}.

Lists are cut one place after another, wherever it lowers the number of files that are too many, and
then the number of rows that are stored.
"""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_PATTERNS = 40  # of files, for all lists together; at least one for each list

Pattern = frozenset[int]  # numbers of lists
Parts = dict[Pattern, tuple[Pattern, ...]]  # pattern of a row -> patterns of the files that have it


def assign_patterns(is_in_list: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Say with which other rows each row is stored.

    Args:
        is_in_list: (n, L) whether a row is in a list

    Returns:
        (n, L) the pattern of the file from which a list reads a row, as a number; -1 where the row
        is not in the list. Patterns are numbered in the order of their lists.
    """
    n_lists = is_in_list.shape[1]
    code = np.zeros(len(is_in_list), np.int64)  # the same for rows in the same lists
    for flags in is_in_list.T:
        _, code = np.unique(2 * code + flags, return_inverse=True)
    _, first_row, counts = np.unique(code, return_index=True, return_counts=True)
    patterns = [frozenset(np.flatnonzero(flags).tolist()) for flags in is_in_list[first_row]]
    n_rows = dict(zip(patterns, counts.tolist(), strict=True))
    parts = choose_parts(n_rows, n_lists)
    stored = {part for pattern in patterns for part in parts[pattern]}
    ordered = sorted(stored, key=lambda part: [number in part for number in range(n_lists)])
    number_of_part = {part: number for number, part in enumerate(ordered)}
    part_of_list = np.full((len(patterns), n_lists), -1)
    for number, pattern in enumerate(patterns):
        for part in parts[pattern]:
            part_of_list[number, sorted(part)] = number_of_part[part]
    assigned: NDArray[np.int64] = part_of_list[code]
    return assigned


def choose_parts(n_rows: Mapping[Pattern, int], n_lists: int) -> Parts:
    """Return the patterns of the files that store the rows of each pattern.

    Args:
        n_rows: how many rows have a pattern
        n_lists: how many lists there are
    """
    if len(n_rows) <= MAX_PATTERNS:
        return {pattern: (pattern,) for pattern in n_rows}
    best = _choose_parts_in_blocks(n_rows, n_lists, ())
    while True:
        choices = [best]
        for place in set(range(1, n_lists)).difference(best.cuts):
            cuts = tuple(sorted((*best.cuts, place)))
            choices.append(_choose_parts_in_blocks(n_rows, n_lists, cuts))
        better = min(choices, key=lambda choice: choice[:3])
        if better is best:
            return best.parts
        best = better


class _Choice(NamedTuple):
    """A way to cut lists into blocks, and what comes of it. The smallest is the best."""

    n_too_many: int  # patterns
    n_stored: int  # rows
    cuts: tuple[int, ...]  # numbers of the lists at which blocks begin, but the first
    parts: Parts


def _choose_parts_in_blocks(
    n_rows: Mapping[Pattern, int], n_lists: int, cuts: tuple[int, ...]
) -> _Choice:
    """Cut every pattern at the borders of blocks, and merge what has few rows."""
    blocks = [{*range(*borders)} for borders in pairwise((0, *cuts, n_lists))]
    cut_patterns: Parts = {}
    n_stored: dict[Pattern, int] = {}
    for pattern, count in n_rows.items():
        pieces = [pattern & block for block in blocks]
        cut_patterns[pattern] = tuple(piece for piece in pieces if piece)
        for piece in cut_patterns[pattern]:
            n_stored[piece] = n_stored.get(piece, 0) + count
    halves = _merge_small(n_stored)
    parts = {pattern: _split(pieces, halves) for pattern, pieces in cut_patterns.items()}
    n_patterns = len(n_stored) - len(halves)
    n_too_many = max(0, n_patterns - max(MAX_PATTERNS, n_lists))
    n_all = sum(count * len(parts[pattern]) for pattern, count in n_rows.items())
    return _Choice(n_too_many, n_all, cuts, parts)


def _merge_small(n_stored: Mapping[Pattern, int]) -> dict[Pattern, tuple[Pattern, Pattern]]:
    """Return the two patterns that take the rows of each pattern that is given up.

    The pattern with the fewest rows is given up first, as long as there are too many. Of all pairs
    that make it up, the rows go to the one whose smaller pattern has the most rows.
    """
    kept = dict(n_stored)
    halves: dict[Pattern, tuple[Pattern, Pattern]] = {}
    smallest = [(count, sorted(pattern)) for pattern, count in kept.items()]
    heapify(smallest)
    while smallest and len(kept) > MAX_PATTERNS:
        count, numbers = heappop(smallest)
        pattern = frozenset(numbers)
        if count != kept[pattern]:  # it has taken others' rows since
            heappush(smallest, (kept[pattern], numbers))
            continue
        pairs = []
        for half in kept:
            rest = pattern - half
            if half < pattern and rest in kept:
                pairs.append((min(kept[half], kept[rest]), sorted(half)))
        if not pairs:  # and there will not be any, since no pattern comes back
            continue
        half = frozenset(max(pairs)[1])
        halves[pattern] = (half, pattern - half)
        del kept[pattern]
        for part in halves[pattern]:
            kept[part] += count
    return halves


def _split(
    patterns: tuple[Pattern, ...], halves: Mapping[Pattern, tuple[Pattern, Pattern]]
) -> tuple[Pattern, ...]:
    """Return patterns with those that are given up replaced by what takes their rows."""
    parts: list[Pattern] = []
    for pattern in patterns:
        if pattern in halves:
            parts += _split(halves[pattern], halves)
        else:
            parts.append(pattern)
    return tuple(parts)
