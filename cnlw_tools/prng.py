"""Random numbers without a generator: the 64-bit key of an image determines all its numbers.

    mix(x)             finaliser of SplitMix64: one to one, each bit of x affects all bits
    random_key(id)     h = mix(seed + G)
                       h = mix(h ^ word)     for each 8 bytes of the id
                       mix(h ^ length)
    seeded_key(number) mix(mix(number) ^ mix(seed + G))
    random_bits        mix(key ^ mix(s G + i))           the i-th word of stream s
    uniform            (random_bits >> 11) / 2^53

No generator is consumed, so a draw depends on neither the order of the rows, nor the presence of
other rows, nor the machine, nor the version of NumPy. Two ids share a key with probability 2^-64.
Mixer and constants: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

UInts = NDArray[np.uint64]

GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads small integers over 64 bits
BLOCK = 1 << 15  # ids hashed at a time: the working set stays in the cache
MASK = (1 << 64) - 1
FIRST_BYTES = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # of a word, the first n


class Stream(IntEnum):
    """The streams of random numbers that plans draw from. A new one takes a free number.

    Published plans were drawn with these numbers, so they never change. Three numbers stand twice.
    That is harmless: the two streams of a pair belong to noise models that no recipe combines, or
    they apply to different keys (those of base images, of pool images, of pairs of classes).

    `shapes`, white noise and training have other keys, and number their streams on their own.
    """

    NEW_LABEL = 0  # symmetric, openset: which label a flipped image gets
    RESERVE = 1  # red: where a slot begins to look for a reserve
    ONE_OF_ITS_CLASSES = 2  # verdicts: which class a web image serves that is wrong for several
    IS_FLIPPED = 4  # symmetric with exact = false: whether an image is flipped
    LABEL_SHUFFLE = 5  # symmetric with variant = permuted: in which order labels are handed out
    SPLIT = 6  # subsets: which images leave train, and which part of the pool goes with them
    LONG_TAIL = 7  # subsets: which images stay in the tail
    MATRIX_LABEL = 8  # matrix with exact = false: which label an image gets
    COPY_LABEL = 8  # dilution, structured, source: in which order copies are dealt out to labels
    FLIP_THRESHOLD = 9  # instance: the number u of an image
    FALSE_LABEL_ORDER = (
        9  # structured with order = random; the keys are pairs of classes and the seed
    )
    FLIP_RATE = 10  # instance: the number v of an image
    OUTLIER_LABEL = 10  # outlier: in which order outliers are dealt out; the keys are the pool's
    INSTANCE_LABEL = 11  # instance: which label a flipped image gets
    INSTANCE_WEIGHT = 12  # instance: the weights W; the keys are numbers of weights and the seed
    MIX_PART = 13  # mix: which of the two models an image belongs to
    TRAIN_SIZE = 14  # subsets: which images stay in a thinned training set
    PER_CLASS = 20  # subsets: which images of a class are used at all
    VALIDATION = 21  # validation_split: which training images become validation
    VOTING = 22  # browser: in which order candidates are voted on, and which photographs are shown


def mix(x: UInts) -> UInts:
    """Scramble 64-bit words, one to one; any shape."""
    x = x ^ (x >> np.uint64(30))
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def random_keys(
    data: NDArray[np.uint8],
    offsets: NDArray[np.integer],
    seed: int,
) -> UInts:
    """Return (n,) the random keys of n strings: string i is ``data[offsets[i]:offsets[i + 1]]``.

    Args:
        data: (n_bytes,) the strings, end to end
        offsets: (n + 1,) where each begins, and where the last one ends
        seed: 0 <= seed < 2^64; another seed gives unrelated keys

    Raises:
        ValueError: the seed is out of range
    """
    _require_seed(seed)
    keys = np.empty(len(offsets) - 1, np.uint64)
    for first in range(0, len(keys), BLOCK):
        block_offsets = offsets[first : first + BLOCK + 1].astype(np.int64)
        lengths = np.diff(block_offsets)
        keys[first : first + BLOCK] = _hash_strings(data, block_offsets[:-1], lengths, seed)
    return keys


def random_key(text: str, seed: int = 0) -> int:
    """Return the random key of one string, by numbers of Python, which are faster for a single one.

    Raises:
        ValueError: the seed is out of range
    """
    _require_seed(seed)
    data = text.encode()
    h = _mix_number((seed + GOLDEN) & MASK)
    for start in range(0, len(data), 8):
        word = int.from_bytes(data[start : start + 8], "little")
        h = _mix_number(h ^ word)
    return _mix_number(h ^ len(data))


def seeded_keys(number: UInts, seed: int) -> UInts:
    """Return the random keys of numbers that belong to no image; another seed gives unrelated ones.

    Args:
        number: any shape
        seed: 0 <= seed < 2^64
    """
    return mix(mix(number) ^ np.array([_mix_number((seed + GOLDEN) & MASK)], np.uint64))


def random_bits(
    key: UInts,
    stream: int,
    i: int = 0,
) -> UInts:
    """Return the i-th 64-bit word of a stream for each key, one to one: sorting has no ties."""
    counter = _mix_number((stream * GOLDEN + i) & MASK)
    return mix(key ^ np.array([counter], np.uint64))


def uniform(
    key: UInts,
    stream: int,
    i: int = 0,
) -> NDArray[np.float64]:
    """Return the i-th number of a stream for each key, uniform on [0, 1)."""
    top_bits = random_bits(key, stream, i) >> np.uint64(11)
    return top_bits.astype(np.float64) * 2.0**-53


def _mix_number(x: int) -> int:
    """Scramble one 64-bit word as ``mix`` does."""
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & MASK
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def _require_seed(seed: int) -> None:
    if not 0 <= seed <= MASK:
        raise ValueError(f"seed {seed} is out of range: give one from 0 to 2**64 - 1")


def _hash_strings(
    data: NDArray[np.uint8],
    begin: NDArray[np.int64],
    length: NDArray[np.int64],
    seed: int,
) -> UInts:
    """Hash n strings that stand end to end, eight bytes a step, the longer ones for more steps."""
    initial = mix(np.array([(seed + GOLDEN) & MASK], np.uint64))
    h = np.broadcast_to(initial, begin.shape).copy()
    own_bytes = data[begin[0] : begin[-1] + length[-1]]
    padded = np.append(own_bytes, np.zeros(8, np.uint8))
    words = np.ndarray(len(padded) - 7, "<u8", padded, strides=(1,))  # one begins at each byte
    begin = begin - begin[0]
    for done in range(0, int(length.max(initial=0)), 8):
        unfinished = np.flatnonzero(length > done)
        n_bytes = np.minimum(length[unfinished] - done, 8)
        word = words[begin[unfinished] + done].astype(np.uint64) & FIRST_BYTES[n_bytes]
        h[unfinished] = mix(h[unfinished] ^ word)
    return mix(h ^ length.astype(np.uint64))
