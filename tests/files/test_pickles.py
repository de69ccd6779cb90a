"""Pickles are read by name, and nothing that they name is imported or run."""

import pickle
import struct
import sys
from io import BytesIO
from pickle import PROTO, STOP

import numpy as np
import pytest

from cnlw_tools.files.pickles import load_pickle, read_pickle, to_array
from cnlw_tools.files.untrusted import BadFile, translate_errors


def read_numbers(path):
    """Return the array `x` of a pickle."""
    content = read_pickle(path, "numbers")
    with translate_errors(path, "numbers"):
        return to_array(content["x"])


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.arange(6, dtype=">i4").reshape(3, 2),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([True, False]),
        np.zeros((0, 3), np.float32),
        np.array(5),
        [np.int64(7), 3, np.float32(0.5)],
    ],
    ids=str,
)
def test_numbers(array, protocol):
    """Arrays and lists of numbers of every protocol come back as they were."""
    content = load_pickle(BytesIO(pickle.dumps({"x": array}, protocol)))

    assert np.array_equal(np.asarray(array), to_array(content["x"]))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy.f2py.__main__", "ndarray"),
        ("numpy.testing", "dtype"),
        ("numpy", "encode"),
        ("_codecs", "decode"),
        ("os", "system"),
        ("builtins", "eval"),
        ("numpy.core.multiarray", "__import__"),
        ("torch", "load"),
    ],
)
def test_names_are_exact_and_nothing_is_imported(tmp_path, monkeypatch, module, name):
    """A module that is not on the list is not imported, whatever it is called."""
    monkeypatch.setattr(sys, "argv", ["cnlw", "--version"])
    monkeypatch.delitem(sys.modules, "numpy.f2py.__main__", raising=False)
    (tmp_path / "x").write_bytes(f"c{module}\n{name}\n.".encode())

    with pytest.raises(BadFile, match=rf"it asks for {module}.{name}, which no numbers need"):
        read_pickle(tmp_path / "x", "numbers")
    assert "numpy.f2py.__main__" not in sys.modules


def array_state(state: bytes) -> bytes:
    """Return a pickle that sets the state of an array."""
    begin = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    return b"(dS'x'\n" + begin + state + b"bs."


@pytest.mark.parametrize(
    "content",
    [
        PROTO + b"\x02r" + struct.pack("<I", 1 << 31) + STOP,
        PROTO + b"\x02Nr" + struct.pack("<I", 1 << 31) + STOP,
        b"}" * 5_000_000 + STOP,
        b"I1\n" + b"0I1\n" * 10 + b"i" + b"\xff" * 9,
        array_state(b"(I1\n(L10000000000000L\ntcnumpy\ndtype\n(S'i8'\ntRI00\nS''\nt"),
        array_state(b"(I1\n(I-1\ntcnumpy\ndtype\n(S'i8'\ntRI00\nS''\nt"),
        array_state(b"(I1\n(I1\ntcnumpy\ndtype\n(S'V8'\ntRI00\nS'12345678'\nt"),
        array_state(b"(I1\n(I1\ntcnumpy\ndtype\n(S'O'\ntRI00\n(lS'a'\nat"),
        array_state(b"(I1\n(I1\ntI5\nI00\nS'12345678'\nt"),
        b"(dS'x'\nc_codecs\nencode\n(Vab\nS'utf-16'\ntRs.",
        b"(dS'x'\n(lp0\ng0\nas.",
    ],
    ids=range(11),
)
def test_hostile_pickles(tmp_path, content):
    """Positions, sizes, types and states that no writer writes are refused before they cost memory."""
    (tmp_path / "x").write_bytes(content)

    with pytest.raises(BadFile):
        read_numbers(tmp_path / "x")


def test_copies_are_counted(tmp_path):
    """A call that copies a large text may not be repeated until the memory is full."""
    text = b"X" + struct.pack("<I", 50_000_000) + b"a" * 50_000_000
    call = b"h\x00h\x01X\x06\x00\x00\x00latin1\x86R"
    names = b"c_codecs\nencode\nq\x00" + text + b"q\x01"
    (tmp_path / "x").write_bytes(PROTO + b"\x02" + names + call * 100 + STOP)

    with pytest.raises(BadFile, match="it copies its numbers again and again"):
        read_pickle(tmp_path / "x", "numbers")
