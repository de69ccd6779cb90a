"""Faults of this machine are told from all other errors, whatever a library makes of them."""

import errno
import os
import pickle
import sqlite3
import threading

import click
import pyarrow as pa
import pytest
from click.testing import CliRunner

from cnlw_tools import cli
from cnlw_tools.cli import FriendlyGroup
from cnlw_tools.files.machine_faults import (
    ALLOW_THREADS,
    NO_ARROW_THREAD,
    NO_THREAD,
    REMEDIES,
    MachineFault,
    find_fault,
    hold_threads,
    raise_machine_fault,
)
from cnlw_tools.files.untrusted import translate_errors


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


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_missing_permission_is_no_error_of_a_file(number):
    """Where a place is read that this user may not read, the error names it and the remedy."""
    error = ValueError("no Parquet")
    error.__cause__ = OSError(number, os.strerror(number), "/a/b/c")

    with pytest.raises(MachineFault, match=f"^/a/b: {os.strerror(number)}: check its permissions$"):
        raise_machine_fault(error, "/a/b")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError(NO_THREAD), "can't start new thread: end other programs, or raise"),
        (MemoryError(), "no memory left: end other programs"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate"), "no memory left: end"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/a"),
            "/a: No space left on device: make",
        ),
        (OSError(errno.ENOTDIR, "Not a directory", "/a"), "/a: Not a directory: check the path"),
    ],
)
def test_a_command_says_it_in_one_line(error, line):
    """Without a traceback; the remedy is that of the fault."""

    @click.group(cls=FriendlyGroup)
    def program():
        """Fail."""

    @program.command()
    def work():
        raise error

    result = CliRunner().invoke(program, ["work"])

    assert 1 == result.exit_code
    assert result.output.startswith(f"Error: {line}")


def test_other_errors_of_a_command_are_raised():
    """A mistake of the code is no fault of the machine."""

    @click.group(cls=FriendlyGroup)
    def program():
        """Fail."""

    @program.command()
    def work():
        raise RuntimeError("a mistake")

    assert isinstance(CliRunner().invoke(program, ["work"]).exception, RuntimeError)


def test_threads_that_arrow_cannot_start_are_no_damage(tmp_path):
    """Where Arrow may start no thread, the file that it reads is not called damaged."""
    error = pa.ArrowException(f"Unknown error: {NO_ARROW_THREAD}: Resource temporarily unavailable")

    with pytest.raises(MachineFault, match="raise the limit of processes"):  # noqa: SIM117
        with translate_errors(tmp_path, "Parquet"):
            raise error


def test_a_command_needs_a_few_threads(monkeypatch):
    """Arrow ends the whole process where it cannot start one, so a command tries it before."""

    def start(thread):
        raise RuntimeError(NO_THREAD)

    monkeypatch.setattr(threading.Thread, "start", start)

    result = CliRunner().invoke(cli.main, ["list", "noise"])
    message = f"Error: no further process or thread can be started ({NO_THREAD}): {ALLOW_THREADS}"
    assert (1, f"{message}\n") == (result.exit_code, result.output)


def test_held_threads_end():
    """They are there as long as the block runs."""
    before = set(threading.enumerate())
    with hold_threads(3):
        held = set(threading.enumerate()) - before
        assert 3 == len(held)
    for thread in held:
        thread.join(timeout=10)

    assert not any(thread.is_alive() for thread in held)
