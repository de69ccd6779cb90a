"""Ways to change the bytes of a file."""

import random
from collections.abc import Callable, Mapping


def flip_bits(content: bytes, draw: random.Random) -> bytes:
    """Flip one to twenty bits."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 3, 20))):
        if changed:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def cut_end(content: bytes, draw: random.Random) -> bytes:
    """Drop the end."""
    return content[: draw.randrange(len(content) + 1)]


def cut_middle(content: bytes, draw: random.Random) -> bytes:
    """Drop a piece."""
    start = draw.randrange(len(content) + 1)
    return content[:start] + content[start + draw.randint(1, 100) :]


def insert(content: bytes, draw: random.Random) -> bytes:
    """Insert random bytes."""
    start = draw.randrange(len(content) + 1)
    return content[:start] + draw.randbytes(draw.choice((1, 4, 100))) + content[start:]


def zero(content: bytes, draw: random.Random) -> bytes:
    """Overwrite a piece with zeros."""
    start, n_bytes = draw.randrange(len(content) + 1), draw.choice((1, 4, 64, 1000))
    return (
        content[:start] + bytes(len(content[start : start + n_bytes])) + content[start + n_bytes :]
    )


def swap_pieces(content: bytes, draw: random.Random) -> bytes:
    """Let two pieces change places."""
    a, b, c = sorted(draw.randrange(len(content) + 1) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def repeat(content: bytes, draw: random.Random) -> bytes:
    """Write a piece twice."""
    start = draw.randrange(len(content) + 1)
    end = start + draw.randint(1, 200)
    return content[:end] + content[start:]


def replace_number(content: bytes, draw: random.Random) -> bytes:
    """Write a number that is out of all bounds over four or eight bytes."""
    number = draw.choice((b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\xff" * 8, b"\0" * 8))
    start = draw.randrange(len(content) + 1)
    return content[:start] + number + content[start + len(number) :]


def replace_text(content: bytes, draw: random.Random) -> bytes:
    """Write something odd over a word or a number of a text."""
    values = (
        b"null",
        b"[]",
        b"{}",
        b"-1",
        b"1e400",
        b"NaN",
        b'"x"',
        b"true",
        b"9" * 40,
        b"[" * 5000,
    )
    start = draw.randrange(len(content) + 1)
    end = start
    while end < len(content) and chr(content[end]).isalnum():
        end += 1
    return content[:start] + draw.choice(values) + content[end:]


def replace_all(content: bytes, draw: random.Random) -> bytes:
    """Write another file in its place."""
    values = (
        b"",
        b"\0" * 100,
        b"<!DOCTYPE html><html></html>",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
    )
    return draw.choice((*values, draw.randbytes(1000), content * 2))


MUTATIONS: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    function.__name__: function
    for function in (
        flip_bits,
        cut_end,
        cut_middle,
        insert,
        zero,
        swap_pieces,
        repeat,
        replace_number,
        replace_text,
        replace_all,
    )
}
