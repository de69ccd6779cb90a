"""Faults of this machine are told from all other errors, whatever a library makes of them."""

import errno
import os
import pickle
import sqlite3

import pytest

from cnlw_tools.store import inspect, store
from cnlw_tools.store.faults import REMEDIES, MachineFault, find_fault
from cnlw_tools.store.inspect import inspect_image
from cnlw_tools.store.outcomes import FetchError
from cnlw_tools.store.store import Row, Store, open_ledger


@pytest.mark.parametrize("number", REMEDIES)
def test_a_fault_says_what_is_wrong_where_and_what_mends_it(number):
    """The text has the path, the words of the system and the remedy."""
    fault = find_fault(OSError(number, os.strerror(number), "/a/b"))

    assert f"/a/b: {os.strerror(number)}: {REMEDIES[number]}" == str(fault)
    assert str(fault) == str(pickle.loads(pickle.dumps(fault)))


def test_a_fault_is_found_below_other_errors():
    """The cause of an error counts, and an error that is its own cause does not hang."""
    error = ValueError("png: cannot be decoded")
    error.__cause__ = OSError(errno.EMFILE, "Too many open files")
    assert "ulimit -n" in str(find_fault(error))

    circle = ValueError("a")
    circle.__cause__ = KeyError("b")
    circle.__cause__.__cause__ = circle
    assert find_fault(circle) is None


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        OSError("image file is truncated"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        sqlite3.DatabaseError("file is not a database"),
    ],
)
def test_other_errors_are_no_faults(error):
    """A missing file, a refused connection or a broken image is not this machine's fault."""
    assert find_fault(error) is None


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_a_decoder_without_files_or_memory_gives_no_outcome(bodies, monkeypatch, error):
    """An image that this machine cannot decode at the moment is not called broken."""

    def fail(data):
        raise error

    monkeypatch.setattr(inspect.pixels, "decode", fail)

    with pytest.raises(MachineFault):
        inspect_image(bodies["png"])


def test_other_errors_of_a_decoder_are_outcomes(bodies, monkeypatch):
    """A decoder that fails on the bytes gives the outcome `decode`."""

    def fail(data):
        raise OSError("broken data stream")

    monkeypatch.setattr(inspect.pixels, "decode", fail)

    with pytest.raises(FetchError, match="decode"):
        inspect_image(bodies["png"])


def test_a_full_database_names_its_file_and_the_remedy(tmp_path):
    """A ledger that may not grow raises a fault that says to make room."""
    row = Row("a", "u" * 100_000, "ok", None, 1, 0.0)
    with open_ledger(tmp_path) as ledger:
        ledger.connection.execute("PRAGMA max_page_count = 3")

        with pytest.raises(MachineFault, match=r"ledger\.sqlite: .*full: make room on the disk"):
            ledger.write_row(row)


def test_a_damaged_database_is_no_fault_of_the_machine(tmp_path):
    """A ledger that is no database is an error that says to restore it."""
    (tmp_path / "ledger.sqlite").write_bytes(b"no database" * 1000)

    with pytest.raises(OSError, match="restore the file from a copy") as raised:
        list(Store(tmp_path).rows())
    assert not isinstance(raised.value, MachineFault)


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    """An error of a full disk has the path of the store, and half an image is deleted."""

    def write(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with open_ledger(tmp_path) as ledger:
        monkeypatch.setattr(store.os, "write", write)

        with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}'"):
            ledger.write_image("a", "png", b"12345")
        monkeypatch.undo()

    assert not list((tmp_path / "drafts").iterdir())
