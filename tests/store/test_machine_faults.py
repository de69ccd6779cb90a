"""A fault of this machine is no outcome of an image, and names the file of the store."""

import errno

import pytest

from cnlw_tools.files.machine_faults import MachineFault
from cnlw_tools.store import inspect, store
from cnlw_tools.store.inspect import inspect_image
from cnlw_tools.store.outcomes import FetchError
from cnlw_tools.store.store import Row, Store, open_ledger


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

        with pytest.raises(MachineFault, match=r"ledger\.sqlite: .*full: make room there"):
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
