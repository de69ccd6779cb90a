"""Items for tests of noise."""

import numpy as np

from cnlw_tools.noise import Items


def sized(count) -> Items:
    """Images with the keys 0, 1, 2 ...: so many of each class."""
    label = np.repeat(np.arange(len(count)), count)
    return Items(label, np.arange(len(label), dtype=np.uint64))
