"""Faults of this machine: a full disk, no more memory or open files.

Such a fault says nothing about the file that is read or written. Libraries wrap the error of the
system in errors of their own, but it stays in the chain of their causes.
"""

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from socket import gaierror

FREE_MEMORY = "end other programs, or give fewer --workers or --requests"
ALLOW_THREADS = "end other programs, or raise the limit of processes with `ulimit -u`"
CHECK_PERMISSIONS = "check its permissions"
CHECK_DISK = "check the disk and how it is mounted"
MAKE_ROOM = "make room there"

REMEDIES: Mapping[int, str] = {
    errno.EMFILE: "raise the limit of open files with `ulimit -n`",
    errno.ENFILE: "end other programs that hold files or connections open",
    errno.ENOBUFS: FREE_MEMORY,
    errno.ENOMEM: FREE_MEMORY,
    errno.ENOSPC: MAKE_ROOM,
    errno.EDQUOT: "make room: your share of this disk is used up",
    errno.EFBIG: "raise the limit of file sizes with `ulimit -f`",
    errno.EIO: CHECK_DISK,
    errno.EROFS: CHECK_DISK,
}
DATABASE_REMEDIES: Mapping[int, str] = {  # by the code of SQLite
    sqlite3.SQLITE_FULL: MAKE_ROOM,
    sqlite3.SQLITE_IOERR: f"make room, or {CHECK_DISK}",
    sqlite3.SQLITE_READONLY: CHECK_DISK,
    sqlite3.SQLITE_CANTOPEN: "raise the limit of open files with `ulimit -n`, or make room",
    sqlite3.SQLITE_NOMEM: FREE_MEMORY,
    sqlite3.SQLITE_BUSY: "end the program that has locked the file",
}
NO_THREAD = "can't start new thread"  # what Python says in a RuntimeError
NO_ARROW_THREAD = "Failed to launch worker thread"  # what Arrow says in an error of its own
NO_TENSOR = "DefaultCPUAllocator"  # what torch says in one if memory runs out
SPARE_THREADS = 8  # that libraries may start; Arrow ends the process if it cannot have them
PRIMARY_CODE = 0xFF  # the part of an error code of SQLite that says what, not where


class MachineFault(OSError):
    """A fault of this machine; its text says what is wrong and what to do."""


def find_fault(error: BaseException) -> MachineFault | None:
    """Return the fault of this machine that led to an error; None if none did."""
    for cause in find_causes(error):
        if isinstance(cause, MachineFault):
            return cause
        remedy = _find_remedy(cause)
        if remedy:
            return MachineFault(f"{_describe(cause)}: {remedy}")
    return None


def raise_machine_fault(error: BaseException, place: str, remedy: str = "") -> None:
    """Raise the fault of this machine that led to an error, if any; a lack of permission is one.

    Args:
        error: any error, with its causes
        place: the file or folder at work
        remedy: ends the message, after the remedy that the fault always has

    Raises:
        MachineFault: a fault of this machine led to the error
    """
    fault = find_fault(error)
    if fault is None:
        for cause in find_causes(error):
            if isinstance(cause, PermissionError):
                fault = MachineFault(f"{cause.strerror}: {CHECK_PERMISSIONS}")
    if fault is not None:
        text = str(fault)
        if not text.startswith(place):
            text = f"{place}: {text}"
        raise MachineFault(f"{text}{remedy}") from error


def find_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what led to it, what led to that, and so on."""
    cause: BaseException | None = error
    earlier_ids = set()  # an error that is raised twice can be a cause of itself
    while cause is not None and id(cause) not in earlier_ids:
        earlier_ids.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _find_remedy(error: BaseException) -> str | None:
    """Return what to do about a fault of this machine; None if the error is not such a fault."""
    if isinstance(error, MemoryError):
        return FREE_MEMORY
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)  # errors of Python's own module have none
        return DATABASE_REMEDIES.get(code & PRIMARY_CODE)
    if isinstance(error, OSError) and not isinstance(error, gaierror):  # has other numbers
        return REMEDIES.get(error.errno or 0)
    return _find_remedy_by_text(str(error))


def _find_remedy_by_text(text: str) -> str | None:
    """Return the remedy of a fault of this machine that only the text of an error tells."""
    if text == NO_THREAD or NO_ARROW_THREAD in text:
        return ALLOW_THREADS
    return FREE_MEMORY if NO_TENSOR in text else None


def _describe(error: BaseException) -> str:
    """Return what is wrong, and with which file."""
    if isinstance(error, MemoryError) or NO_TENSOR in str(error):
        return "no memory left"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or os.strerror(error.errno or 0)}"
    return str(error)


@contextmanager
def hold_threads(n_threads: int = SPARE_THREADS) -> Iterator[None]:
    """Keep idle threads during the block, which proves that this machine allows them.

    Raises:
        MachineFault: it does not allow them
    """
    end = threading.Event()
    try:
        for _ in range(n_threads):
            start_thread(threading.Thread(target=end.wait, daemon=True))
        yield
    finally:
        end.set()


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        MachineFault: this machine allows no further thread
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise MachineFault(
            f"no further process or thread can be started ({error}): {ALLOW_THREADS}"
        ) from error
