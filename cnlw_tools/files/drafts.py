"""Drafts: files that get their name when they are complete, and folders for temporary files.

    .aside-HOST-RANDOM-NAME   HOST is a checksum of the host's name; containers may share a name
    .aside-HOST-export-NAME   an export, which is a folder (builds/staging.py)

A draft is locked while it is written. A process that is killed leaves its draft without a lock, and
the next process that writes into the same folder deletes it. Some network disks keep locks within
one host; therefore a draft of another host must also be a day old to be deleted.
"""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from uuid import uuid4
from zlib import crc32

from cnlw_tools.files.locks import try_lock
from cnlw_tools.files.untrusted import describe_error

TEMPORARY_PREFIX = ".aside-"  # the name of a file starts with it until the file is complete
HOST = f"{crc32(os.uname().nodename.encode()):08x}"
HOST_OF_DRAFT = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}([0-9a-f]{{8}})-")
HOUR = 60 * 60  # seconds
DAY = 24 * HOUR
RANDOM_DIGITS = 12  # of the name of a draft
MAX_ATTEMPTS = 100  # at a draft that no other process takes


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path; the file written there is renamed to ``path`` when the block ends.

    If the block raises an error, the temporary file is deleted and ``path`` is not changed. If the
    process is killed, ``path`` is not changed either, and the temporary file remains until the next
    call for a file in this folder.

    Raises:
        OSError: the file cannot be written, or the block wrote nothing
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_drafts(path.parent)
    try:
        with _locked_draft(path, _make_file) as draft:
            empty_since = _backdate(draft)
            yield draft
            if draft.stat().st_mtime_ns == empty_since:
                raise OSError("nothing was written")
            _write_to_disk(draft)
            draft.replace(path)
    except OSError as error:
        reason = error.strerror or describe_error(error)
        raise OSError(
            f"{path} cannot be written ({reason}): free some disk space, or give another place"
        ) from error


def check_writable(folder: Path) -> None:
    """Make a folder, and raise if no file can be written there: before long work, not after it.

    Raises:
        OSError: with the folder
    """
    draft = draft_path(folder / "check", uuid4().hex[:RANDOM_DIGITS])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written ({error.strerror}): give another folder"
        ) from error


def link_or_copy(source: Path, path: Path) -> None:
    """Put a file at another path, too, whole or not at all: as a link, or, elsewhere, as a copy.

    Both names may then have one file behind them, so neither may be changed in place.

    Raises:
        OSError: the file cannot be read or written
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_path(path, uuid4().hex[:RANDOM_DIGITS])
    try:
        draft.hardlink_to(source)
    except OSError:  # another disk, or one without links
        with atomic_write(path) as copy:
            shutil.copyfile(source, copy)
    else:
        draft.replace(path)
        draft.unlink(missing_ok=True)  # where both were one file before, it has not been renamed


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a new folder for temporary files, which is deleted when the block ends.

    The folders of processes that were killed are deleted, too.

    Raises:
        OSError: the folder cannot be made
    """
    path = Path(tempfile.gettempdir(), "cnlw")
    remove_drafts(path.parent)
    with _locked_draft(path, _make_private_folder) as folder:
        yield folder


def remove_drafts(folder: Path) -> None:
    """Delete the drafts of killed processes in a folder, as far as this user may."""
    with suppress(PermissionError), os.scandir(folder) as entries:  # not every folder may be listed
        for entry in entries:
            if entry.name.startswith(TEMPORARY_PREFIX):
                _remove_if_abandoned(folder / entry.name)


def remove_drafts_below(folder: Path) -> None:
    """Delete the drafts of killed processes in a folder and in all folders below it."""
    for parent, _, _ in os.walk(folder):
        remove_drafts(Path(parent))


def draft_path(path: Path, writer: str) -> Path:
    """Return the path of a draft beside a path; ``writer`` says who writes it."""
    return path.with_name(f"{TEMPORARY_PREFIX}{HOST}-{writer}-{path.name}")


@contextmanager
def _locked_draft(path: Path, make: Callable[[Path], int]) -> Iterator[Path]:
    """Make a draft beside a path and lock it until the block ends; then delete what remains."""
    draft, handle = _make_draft(path, make)
    try:
        yield draft
    finally:
        _delete(draft)
        os.close(handle)


def _make_draft(path: Path, make: Callable[[Path], int]) -> tuple[Path, int]:
    """Return a new draft and the handle that locks it.

    Until it is locked, another process may take it for an abandoned one; then a new one is made.

    Raises:
        OSError: no file can be created there, as in /proc
    """
    for _ in range(MAX_ATTEMPTS):
        draft = draft_path(path, uuid4().hex[:RANDOM_DIGITS])
        try:
            handle = make(draft)
        except (FileExistsError, FileNotFoundError):
            if not path.parent.is_dir():
                raise
            continue
        if _lock_draft(handle):
            return draft, handle
        os.close(handle)
    raise OSError("no file can be created there")


def _make_file(draft: Path) -> int:
    return os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)


def _make_private_folder(draft: Path) -> int:
    draft.mkdir(0o700)
    return os.open(draft, os.O_RDONLY)


def _lock_draft(handle: int) -> bool:
    """Lock a new draft; false if another process has taken it for an abandoned one."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a disk without locks: no other process can take it either
    return os.fstat(handle).st_nlink > 0


def _backdate(draft: Path) -> int:
    """Backdate an empty draft, so that any write changes its time; return it in nanoseconds."""
    an_hour_ago = time.time() - HOUR
    os.utime(draft, (an_hour_ago, an_hour_ago))
    return draft.stat().st_mtime_ns


def _write_to_disk(draft: Path) -> None:
    with draft.open("rb") as file:
        os.fsync(file.fileno())


def _remove_if_abandoned(draft: Path) -> None:
    """Delete a draft if no process holds its lock, and locks on its disk can be trusted."""
    with suppress(OSError):  # of another user, deleted just now, or on a disk without locks
        status = draft.lstat()
        host = HOST_OF_DRAFT.match(draft.name)
        is_foreign = host is not None and host[1] != HOST
        is_regular = S_ISREG(status.st_mode) or S_ISDIR(status.st_mode)
        if not is_regular or (is_foreign and time.time() - status.st_mtime < DAY):
            return
        handle = try_lock(draft)
        if handle is not None:
            _delete(draft)
            os.close(handle)


def _delete(draft: Path) -> None:
    """Delete a file, or a folder with what it holds."""
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        draft.unlink(missing_ok=True)
