"""The random numbers of one picture: they follow from a text alone, mostly an image id."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.prng import UInts, random_key, random_keys, uniform

T = TypeVar("T")

BLOCK_SIZE = 128  # numbers made at a time
# Seeds of their own: no draw of a noise model may depend on what a picture looks like.
PICTURE_SEED = 7301
TABLE_SEED = 7302


class Rng:
    """A sequence of uniform numbers that one drawing consumes in order."""

    def __init__(self, text: str) -> None:
        self._key = np.array([random_key(text, PICTURE_SEED)], np.uint64)
        self._unused: list[float] = []
        self._n_blocks = 0

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number of the interval [low, high)."""
        if not self._unused:
            self._unused = self.uniforms(BLOCK_SIZE).tolist()
        return low + (high - low) * self._unused.pop()

    def take(self, n: int) -> list[float]:
        """Return the next n numbers of the interval [0, 1), faster than one by one."""
        numbers = []
        for _ in range(n):
            if not self._unused:
                self._unused = self.uniforms(BLOCK_SIZE).tolist()
            numbers.append(self._unused.pop())
        return numbers

    def integer(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return int(self.uniform(low, high + 1))

    def chance(self, probability: float = 0.5) -> bool:
        """Return true with this probability."""
        return self.uniform() < probability

    def choice(self, items: Sequence[T]) -> T:
        """Return one of the items, each with the same probability."""
        return items[int(self.uniform(0, len(items)))]

    def uniforms(self, n: int) -> NDArray[np.float64]:
        """Return (n,) fresh numbers of the interval [0, 1) at once."""
        self._n_blocks += 1
        keys = np.arange(n, dtype=np.uint64)
        keys += self._key
        return uniform(keys, self._n_blocks)  # it mixes the keys, so neighbours are unrelated


def image_keys(image_ids: Sequence[str]) -> UInts:
    """Return the (n,) keys from which the tables draw the random numbers of n images."""
    texts = [image_id.encode() for image_id in image_ids]
    lengths = [len(text) for text in texts]
    offsets = np.cumsum([0, *lengths])
    data = np.frombuffer(b"".join(texts), np.uint8)
    return random_keys(data, offsets, TABLE_SEED)
