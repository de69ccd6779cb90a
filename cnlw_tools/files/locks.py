"""Locks on files and folders. A lock leaves no file behind and ends with its process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def lock(path: Path, message: str) -> int:
    """Lock a file or a folder for this process until the returned handle is closed.

    Args:
        path: what to lock
        message: of the error, if another process holds the lock

    Raises:
        BlockingIOError: another process holds the lock
        OSError: there is no such path, or its disk has no locks
    """
    handle = try_lock(path)
    if handle is None:
        raise BlockingIOError(message)
    return handle


def try_lock(path: Path) -> int | None:
    """Lock a file or a folder as `lock` does; return none if another process holds the lock.

    A path that was renamed or deleted while it was being locked counts as locked by another.
    """
    access = os.O_RDONLY if path.is_dir() else os.O_RDWR  # network disks lock no read-only file
    handle = os.open(path, access | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), path.stat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        os.close(handle)
        raise _no_lock(path, error) from error
    os.close(handle)
    return None


@contextmanager
def wait_for_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder as soon as no other process does.

    Raises:
        OSError: there is no such folder, or its disk has no locks
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise _no_lock(folder, error) from error
        yield
    finally:
        os.close(handle)


def _no_lock(path: Path, error: OSError) -> OSError:
    return OSError(f"{path}: cannot be locked ({error.strerror}): use a folder on another disk")
