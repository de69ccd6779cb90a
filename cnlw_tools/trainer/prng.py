"""The numbers of `cnlw_tools.prng` on the device, where a 64-bit word is an int64 with the same bits.

    mix(key, s, i)      M(key ^ M(s G + i)), with M and G of `cnlw_tools.prng`
    uniform(key, s, i)  (mix(key, s, i) >> 40) / 2^24

Multiplication wraps, and a shift to the right must not drag the sign along. The number is the one of NumPy,
cut to the 24 bits that float32 holds, and so it is never 1.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from cnlw_tools import prng

Draw = Callable[[int], Tensor]  # i -> (B,) the i-th number of each image, uniform on [0, 1)


def mix(key: Tensor, stream: int, i: int = 0) -> Tensor:
    """Return the i-th word of a stream for each key, itself a key; any shape.

    Args:
        key: int64, of any values
        stream: streams are independent of each other, and so are their words
        i: which word of the stream

    Raises:
        ValueError: the keys are not int64
    """
    if key.dtype != torch.int64:
        raise ValueError(f"keys are {key.dtype}: give int64")
    counter = np.array([(stream * prng.GOLDEN + i) & prng.MASK], np.uint64)
    x = key ^ _signed(int(prng.mix(counter)[0]))
    x = (x ^ _shifted(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shifted(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shifted(x, 31)


def uniform(key: Tensor, stream: int, i: int = 0) -> Tensor:
    """Return the i-th number of a stream for each key, float32, uniform on [0, 1)."""
    return _shifted(mix(key, stream, i), 40).to(torch.float32) * 2.0**-24


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shift to the right, zeros from the left."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _signed(word: int) -> int:
    """Return the int64 with the bits of a word."""
    return word - (word >> 63 << 64)
