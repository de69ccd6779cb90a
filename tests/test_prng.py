"""Keys and numbers: the formulas of the module, in plain Python integers."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools import prng
from cnlw_tools.dataset import hashing

MASK = 2**64 - 1
G = 0x9E3779B97F4A7C15


def mix(x: int) -> int:
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & MASK
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def key(text: str, seed: int) -> int:
    raw = text.encode()
    h = mix(seed + G & MASK)
    for at in range(0, len(raw), 8):
        word = 0
        for i, byte in enumerate(raw[at : at + 8]):
            word |= byte << 8 * i
        h = mix(h ^ word)
    return mix(h ^ len(raw))


def naive(texts: list[str], seed: int) -> list[int]:
    return [key(text, seed) for text in texts]


TEXTS = [
    "",
    "\0",
    "\0\0",
    "a",
    "a\0",
    "é",
    "日本語のラベル",
    "🦆" * 9,
    "x" * 1000,
    "n01234567_1.JPEG",
]


@pytest.mark.parametrize("length", range(41))
def test_length(length):
    """The key of a string of any length is what the formula says, byte by byte."""
    text = "".join(chr(33 + 7 * i % 90) for i in range(length))

    assert key(text, 5) == prng.random_key(text, 5)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("seed", [0, 1, 2**63, MASK])
def test_unusual(text, seed):
    """Empty, zero, wide and long strings follow the formula with the least and the greatest seed."""
    assert key(text, seed) == prng.random_key(text, seed)


@given(st.lists(st.text(max_size=40), max_size=60), st.integers(0, MASK), st.data())
def test_sliced(texts, seed, data):
    """A slice of an Arrow array has the keys of its own strings, not those of its buffer."""
    lo = data.draw(st.integers(0, len(texts)))
    hi = data.draw(st.integers(lo, len(texts)))
    part = pa.array(texts, pa.string())[lo:hi]

    assert (
        naive(texts[lo:hi], seed) == prng.random_keys(*hashing.string_buffers(part), seed).tolist()
    )


@given(st.lists(st.lists(st.text(max_size=12), max_size=5), max_size=6))
def test_chunked(parts):
    """A column in any chunks, empty ones too, has the keys of its strings in order."""
    column = pa.chunked_array([pa.array(part, pa.string()) for part in parts], pa.string())

    assert (
        naive([text for part in parts for text in part], 3)
        == hashing.random_keys(column, 3).tolist()
    )


def test_large_strings():
    """64-bit offsets are read as such."""
    part = pa.array(TEXTS, pa.large_string())[1:]

    assert naive(TEXTS[1:], 2) == prng.random_keys(*hashing.string_buffers(part), 2).tolist()


def test_blocks():
    """Where one block of ids ends and the next begins, nothing happens."""
    texts = [f"id {i}" * (1 + i % 3) for i in range(prng.BLOCK + 3)]
    keys = hashing.random_keys(pa.chunked_array([texts]), 1)
    rows = [0, prng.BLOCK - 1, prng.BLOCK, prng.BLOCK + 2]

    assert naive([texts[i] for i in rows], 1) == keys[rows].tolist()
    assert len(texts) == len(set(keys.tolist()))


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seed_out_of_range(seed):
    """A seed that does not fit into 64 bits is an error that says so."""
    with pytest.raises(ValueError, match=f"seed {seed} is out of range: give one from 0"):
        prng.random_key("a", seed)


@given(st.integers(0, MASK), st.integers(0, 10), st.integers(0, 1000))
def test_uniform(k, stream, i):
    """A number is the top 53 bits of the mixed key and counter."""
    expected = (mix(k ^ mix(stream * G + i & MASK)) >> 11) / 2**53

    assert expected == prng.uniform(np.array([k], np.uint64), stream, i)[0]


def test_bits():
    """Words of a stream are in the order of its numbers, and no two keys share one."""
    keys = hashing.random_keys(pa.chunked_array([[str(i) for i in range(1000)]]), 0)
    words = prng.random_bits(keys, 3)

    assert len(set(words.tolist())) == 1000
    assert np.argsort(words).tolist() == np.argsort(prng.uniform(keys, 3)).tolist()


def test_streams():
    """Every stream has a number of its own, but for three pairs that published plans already share."""
    names = defaultdict(list)
    for name, stream in prng.Stream.__members__.items():
        names[int(stream)].append(name)
    shared = {number: names for number, names in names.items() if len(names) > 1}

    assert shared == {
        8: ["MATRIX_LABEL", "COPY_LABEL"],
        9: ["FLIP_THRESHOLD", "FALSE_LABEL_ORDER"],
        10: ["FLIP_RATE", "OUTLIER_LABEL"],
    }


@pytest.mark.parametrize("room", ["noise", "dataset", "plan"])
def test_streams_by_name(room):
    """What plans are drawn from takes its streams from the table, by name."""
    for path in sorted((Path(prng.__file__).parent / room).glob("*.py")):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call)
        ]
        for call in calls:
            function = ast.unparse(call.func).removeprefix("prng.")
            if function in ("uniform", "random_bits"):
                stream = ast.unparse(call.args[1])
                assert stream == "stream" or re.fullmatch(r"(prng\.)?Stream\.[A-Z_]+", stream), path


def test_uniform_is_uniform():
    """Ten thousand numbers of neighbouring ids fill ten bins evenly, and two streams are not correlated."""
    keys = hashing.random_keys(pa.chunked_array([[f"{i:05d}" for i in range(10_000)]]), 0)
    u, v = prng.uniform(keys, 0), prng.uniform(keys, 1)

    assert np.abs(np.histogram(u, 10, (0, 1))[0] - 1000).max() < 150
    assert abs(np.corrcoef(u, v)[0, 1]) < 0.04


@pytest.mark.parametrize(
    ("text", "seed", "expected"),
    [
        ("", 0, 0x48218226FF3CD4BF),
        ("train-00000", 0, 0x5DB21F2F04D046E0),
        ("train-00000", 1, 0x5EDCAD1F9A861A4F),
        ("日本語", MASK, 0x46218409B19AEAB2),
    ],
)
def test_golden(text, seed, expected):
    """The keys that published builds were drawn with never change."""
    assert expected == prng.random_key(text, seed)
