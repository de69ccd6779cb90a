"""Faults of this machine: no permission, no room, no memory. They say nothing of a build."""

import errno
import os
from collections.abc import Mapping

CHECK_DISK = "check the disk and how it is mounted"
MAKE_ROOM = "make room"
END_PROGRAMS = "end other programs, or give fewer --workers"
REMEDIES: Mapping[int, str] = {
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.ENOSPC: MAKE_ROOM,
    errno.EDQUOT: MAKE_ROOM,
    errno.EFBIG: MAKE_ROOM,
    errno.EIO: CHECK_DISK,
    errno.EROFS: CHECK_DISK,
    errno.EMFILE: "raise the limit of open files with `ulimit -n`",
    errno.ENFILE: END_PROGRAMS,
    errno.ENOMEM: END_PROGRAMS,
}


def raise_machine_fault(problem: BaseException, place: str, remedy: str = "") -> None:
    """Raise a fault of this machine if one led to a problem, whatever a library made of it.

    Args:
        problem: what came, with its causes
        place: the file or folder at work
        remedy: what mends it, besides what mends every such fault

    Raises:
        OSError: a fault of this machine led to the problem
    """
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, MemoryError):
            raise OSError(f"{place}: no memory left: {END_PROGRAMS}") from problem
        number = (cause.errno or 0) if isinstance(cause, OSError) else 0
        if number in REMEDIES:
            reason = f"{os.strerror(number)}: {REMEDIES[number]}{remedy}"
            raise OSError(f"{place}: {reason}") from problem
        cause = cause.__cause__ or cause.__context__
