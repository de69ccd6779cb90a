"""The random choices of one picture: numbers that follow from a text, mostly an image id, and from nothing else."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.prng import UInts, key, keys, uniform

T = TypeVar("T")

BLOCK = 128  # numbers made at a time
PICTURE, TABLE = (
    7301,
    7302,
)  # seeds of their own: no draw of a noise model may depend on what a picture looks like


class Chance:
    """A row of uniform numbers that one drawing reads from left to right."""

    def __init__(self, text: str) -> None:
        self._key = np.array([key(text, PICTURE)], np.uint64)
        self._row: list[float] = []
        self._blocks = 0

    def real(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number from low up to high."""
        if not self._row:
            self._row = self.numbers(BLOCK).tolist()
        return low + (high - low) * self._row.pop()

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return int(self.real(low, high + 1))

    def yes(self, share: float = 0.5) -> bool:
        """Return true in that share of all cases."""
        return self.real() < share

    def pick(self, items: Sequence[T]) -> T:
        """Return one of the items, each as likely as the next."""
        return items[int(self.real(0, len(items)))]

    def numbers(self, n: int) -> NDArray[np.float64]:
        """Return the next (n,) numbers at once."""
        self._blocks += 1
        return uniform(_spread(self._key, n), self._blocks)


def _spread(key: UInts, n: int) -> UInts:
    """Make n keys of one; the mixer behind ``uniform`` takes care that neighbours have nothing in common."""
    return np.asarray(key + np.arange(n, dtype=np.uint64))


def id_keys(ids: Sequence[str]) -> UInts:
    """Return the (n,) keys of n ids, for what the tables draw."""
    text = [i.encode() for i in ids]
    offsets = np.cumsum([0, *map(len, text)])
    return keys(np.frombuffer(b"".join(text), np.uint8), offsets, TABLE)
