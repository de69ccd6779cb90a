"""The numbers of `cnlw_tools.prng` on the device, where a 64-bit word is an int64 of the same bits.

    mix(key, s, i)      M(key ^ M(s G + i)), with M and G of `cnlw_tools.prng`
    uniform(key, s, i)  (mix(key, s, i) >> 40) / 2^24

Multiplication wraps, and a shift to the right must not drag the sign along. The number is the one
of NumPy, cut to the 24 bits that float32 holds, and so it is never 1.
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
        raise ValueError(f"the keys of random numbers have the type {key.dtype}: give int64")
    counter = (stream * prng.GOLDEN + i) & prng.MASK
    hashed_counter = prng.mix(np.array([counter], np.uint64))
    x = key ^ _as_int64(int(hashed_counter[0]))
    x = (x ^ _shift_right(x, 30)) * _as_int64(0xBF58476D1CE4E5B9)
    x = (x ^ _shift_right(x, 27)) * _as_int64(0x94D049BB133111EB)
    return x ^ _shift_right(x, 31)


def uniform(key: Tensor, stream: int, i: int = 0) -> Tensor:
    """Return the i-th number of a stream for each key, float32, uniform on [0, 1)."""
    top_bits = _shift_right(mix(key, stream, i), 40)
    return top_bits.to(torch.float32) * 2.0**-24


def _shift_right(x: Tensor, n_bits: int) -> Tensor:
    """Shift to the right and fill with zeros from the left."""
    mask = (1 << (64 - n_bits)) - 1
    return (x >> n_bits) & mask


def _as_int64(word: int) -> int:
    """Return the int64 that has the bits of an unsigned word."""
    sign_bit = word >> 63
    return word - (sign_bit << 64)
