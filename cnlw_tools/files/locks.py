"""Locks on files and folders. A lock leaves no file behind and ends with its process.

A network disk such as NFS passes locks of files on to other hosts, but locks a folder only within
one host. What several hosts may write is therefore locked by `lock_folder`, which locks a file in
the folder.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK_FILE = ".cnlw-lock"  # in a locked folder; its last user deletes it


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


@contextmanager
def lock_folder(folder: Path, message: str, shared: bool = False) -> Iterator[None]:
    """Lock a folder during the block, on all hosts that see it.

    Args:
        folder: what to lock; it may be renamed or deleted during the block
        message: of the error, if another process holds the lock
        shared: others that share the lock may hold it, too; on a disk without locks, the block
            then runs without one

    Raises:
        BlockingIOError: another process holds the lock
        OSError: there is no such folder, or its disk has no locks
    """
    handle = _open_lock_file(folder / LOCK_FILE, message, shared)
    directory = os.open(folder, os.O_RDONLY)
    try:
        yield
    finally:
        with suppress(OSError):  # no locks here, or the folder is gone
            if _lock_now(handle, fcntl.LOCK_EX):  # nobody else uses the file
                os.unlink(LOCK_FILE, dir_fd=directory)
        os.close(directory)
        os.close(handle)


def _open_lock_file(path: Path, message: str, shared: bool) -> int:
    """Make a lock file if there is none, and lock it; the lock ends when the handle is closed."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            is_locked = _lock_now(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            if is_locked and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except FileNotFoundError:
            is_locked = True  # its last user deleted the file just now
        except OSError as error:
            if shared:
                return handle
            os.close(handle)
            raise _no_lock(path.parent, error) from error
        os.close(handle)
        if not is_locked:
            raise BlockingIOError(message)


def _lock_now(handle: int, kind: int) -> bool:
    """Lock an open file unless another process holds its lock; return whether it is locked.

    Raises:
        OSError: its disk has no locks
    """
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _no_lock(path: Path, error: OSError) -> OSError:
    return OSError(f"{path} cannot be locked ({error.strerror}): use a folder on another disk")
