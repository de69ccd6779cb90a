"""What damage and malice do to the bytes of a file, seeded: for tests of readers and `faults.py`."""

import random
import re
from collections.abc import Callable, Iterator

Mutation = Callable[[bytes, random.Random], bytes]
NUMBER = re.compile(rb"-?\d+(\.\d+)?")
ODD_VALUES = (
    b"null",
    b"true",
    b'""',
    b'"x"',
    b"[]",
    b"{}",
    b"-1",
    b"1.9",
    b"1e400",
    b"1" + b"0" * 30,
    b"9" * 5000,
    b"[" * 100_000,
    b"[" * 100 + b"]" * 100,
)


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    """Flip 1 to 30 bits."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 3, 30))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_ends(data: bytes, rng: random.Random) -> bytes:
    """Flip a bit among the first or last 200 bytes, where formats have their structure."""
    n = min(len(data), 200)
    if rng.random() < 0.5:
        return flip_bits(data[:n], rng) + data[n:]
    return data[: len(data) - n] + flip_bits(data[len(data) - n :], rng)


def truncate(data: bytes, rng: random.Random) -> bytes:
    """Cut the file off at any place."""
    return data[: rng.randrange(len(data) + 1)]


def remove(data: bytes, rng: random.Random) -> bytes:
    """Take bytes out of the middle."""
    begin = rng.randrange(len(data) + 1)
    return data[:begin] + data[begin + rng.choice((1, 4, 64, 1000)) :]


def insert(data: bytes, rng: random.Random) -> bytes:
    """Put zeros, ones or random bytes into the middle."""
    place = rng.randrange(len(data) + 1)
    n = rng.choice((1, 4, 64, 1000))
    filling = rng.choice((bytes(n), b"\xff" * n, rng.randbytes(n)))
    return data[:place] + filling + data[place:]


def overwrite(data: bytes, rng: random.Random) -> bytes:
    """Write numbers at the limits of their types over 1 to 8 bytes."""
    place = rng.randrange(len(data) + 1)
    numbers = (b"\xff" * 8, b"\xff\xff\xff\x7f", bytes(8), b"\x80", b"\x00\x00\x00\x80", b"\x7f")
    filling = rng.choice(numbers)
    return data[:place] + filling + data[place + len(filling) :]


def swap(data: bytes, rng: random.Random) -> bytes:
    """Exchange two parts."""
    a, b, c = sorted(rng.randrange(len(data) + 1) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def repeat(data: bytes, rng: random.Random) -> bytes:
    """Write a part twice."""
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:b] + data[a:]


def replace_number(data: bytes, rng: random.Random) -> bytes:
    """Put a value of another type, size or depth in place of a number that the text shows."""
    matches = list(NUMBER.finditer(data[:100_000]))
    if not matches:
        return flip_bits(data, rng)
    match = rng.choice(matches)
    return data[: match.start()] + rng.choice(ODD_VALUES) + data[match.end() :]


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, flip_ends, truncate, remove, insert, overwrite, swap, repeat, replace_number,
)  # fmt: skip
CONTENTS = (
    b"",
    b"\n",
    b"\x00" * 1000,
    b"\xff" * 1000,
    b"null",
    b"5",
    b"[]",
    b"{}",
    b'"text"',
    b"[" * 200_000,
    b"<html>not found</html>",
    b"PK\x05\x06" + bytes(18),
    b"PAR1" * 10,
    b"\x1f\x8b\x08\x00" + bytes(20),
    b"SQLite format 3\x00" + bytes(200),
)


def mutate(data: bytes, seed: int, n: int) -> Iterator[bytes]:
    """Yield contents of other kinds, and then n mutations of a file."""
    yield from CONTENTS
    rng = random.Random(seed)  # noqa: S311
    for i in range(n):
        mutation = MUTATIONS[i % len(MUTATIONS)]
        yield mutation(data, rng)
