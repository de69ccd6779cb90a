"""Numbers on the device: those of NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools import prng as numpy_dice
from cnlw_tools.trainer.prng import mix, uniform

MASK = 2**64 - 1
WORDS = st.integers(0, MASK)


def on_device(words):
    """The same bits as int64."""
    return torch.from_numpy(np.array(words, np.uint64).view(np.int64))


def naive(word, stream, i):
    counter = numpy_dice.mix(np.array([(stream * numpy_dice.GOLDEN + i) & MASK], np.uint64))
    return int(numpy_dice.mix(np.array([word], np.uint64) ^ counter)[0])


@given(st.lists(WORDS, min_size=1, max_size=20), st.integers(0, 2**40), st.integers(0, 1000))
def test_mix(words, stream, i):
    """A word has the bits that NumPy computes without signs."""
    actual = mix(on_device(words), stream, i).numpy().view(np.uint64)

    assert [naive(word, stream, i) for word in words] == actual.tolist()


@given(st.lists(WORDS, min_size=1, max_size=20), st.integers(0, 10), st.integers(0, 1000))
def test_uniform(words, stream, i):
    """A number is NumPy's, rounded down to 24 bits."""
    expected = np.floor(numpy_dice.uniform(np.array(words, np.uint64), stream, i) * 2**24) / 2**24
    actual = uniform(on_device(words), stream, i)

    assert torch.float32 == actual.dtype
    assert expected.tolist() == actual.tolist()


def inverse(x):
    """The word that the finaliser takes to x."""
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        y = x
        for _ in range(64 // shift):
            y = x ^ y >> shift
        x = y * pow(factor, -1, 2**64) & MASK
    return x


def test_never_one():
    """The greatest word, whose number is 1 in NumPy's float32, stays below 1."""
    word = inverse(MASK) ^ int(numpy_dice.mix(np.array([0], np.uint64))[0])

    assert np.float32(1) == np.float32(numpy_dice.uniform(np.array([word], np.uint64), 0)[0])
    assert 1 - 2**-24 == uniform(on_device([word]), 0).item()


def test_any_shape():
    """Words are mixed one by one, whatever the shape."""
    key = on_device(np.arange(24)).view(2, 3, 4)

    assert torch.equal(mix(key, 5, 6).flatten(), mix(key.flatten(), 5, 6))


def test_keys_of_keys():
    """A word of a key is a key: position, epoch and view give unrelated numbers."""
    key = mix(mix(torch.arange(10_000), 3), 1)
    u, v = uniform(key, 0), uniform(mix(key, 2), 0)

    assert 10_000 == len(key.unique())
    assert (torch.histc(u, 10, 0, 1) - 1000).abs().max() < 150
    assert torch.corrcoef(torch.stack([u, v]))[0, 1].abs() < 0.04


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_narrow_keys(dtype):
    """Keys of fewer bits are an error that says so."""
    with pytest.raises(ValueError, match=f"numbers have the type {dtype}: give int64"):
        mix(torch.zeros(3, dtype=dtype), 0)
