"""Faults of this machine: a full disk, no more memory or open files. They say nothing of any link.

Whatever a library makes of such a fault, the error of the system is in the chain of its causes.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping
from socket import gaierror

FREE_MEMORY = "end other programs, or give fewer --requests"
CHECK_DISK = "check the disk and how it is mounted"
MAKE_ROOM = "make room on the disk"

REMEDIES: Mapping[int, str] = {
    errno.EMFILE: "raise the limit with `ulimit -n`, or give fewer --requests",
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
PRIMARY_CODE = 0xFF  # the part of an error code of SQLite that says what, not where


class MachineFault(OSError):
    """A fault of this machine; its text says what is wrong and what mends it."""


def find_fault(error: BaseException) -> MachineFault | None:
    """Return the fault of this machine that led to an error; None if none did."""
    for cause in find_causes(error):
        if isinstance(cause, MachineFault):
            return cause
        remedy = _find_remedy(cause)
        if remedy:
            return MachineFault(f"{_describe(cause)}: {remedy}")
    return None


def find_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its cause, the cause of that, and so on."""
    cause: BaseException | None = error
    seen = set()  # an error that is raised twice can be a cause of itself
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__


def _find_remedy(error: BaseException) -> str | None:
    """Return what mends a fault of this machine; None if the error is none."""
    if isinstance(error, MemoryError):
        return FREE_MEMORY
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)  # errors of Python's own module have none
        return DATABASE_REMEDIES.get(code & PRIMARY_CODE)
    if isinstance(error, OSError) and not isinstance(error, gaierror):  # has other numbers
        return REMEDIES.get(error.errno or 0)
    return None


def _describe(error: BaseException) -> str:
    """Return what is wrong, and with which file."""
    if isinstance(error, MemoryError):
        return "no memory left"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or os.strerror(error.errno or 0)}"
    return str(error)
