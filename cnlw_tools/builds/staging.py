"""The folder of a build while it is built: one build at a time; renamed when it is complete."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnlw_tools.card.metadata import CARD, is_build
from cnlw_tools.files import TEMPORARY_PREFIX, remove_leftovers

DRAFT_SUFFIX = ".partial"  # the name of a new build ends with it until the build is complete
BUILD_FILES = {"data", "tables", CARD}
BUILD_PREFIXES = ("samples_", TEMPORARY_PREFIX)


@contextmanager
def locked_folder(out: Path) -> Iterator[Path]:
    """Yield the folder to build in, locked for this process.

    A new folder is renamed to ``out`` when the block ends without an error.
    A build that is there is extended in place. What a killed build left is continued. After an
    error a new folder remains if it has complete shards, for the next build, and else is deleted.

    Raises:
        OSError: ``out`` is something else than a build, or another build is at work there
    """
    out = out.resolve()
    folder = _prepare_folder(out)
    lock = _lock(folder)
    try:
        if folder != out and is_build(out):
            raise BlockingIOError(
                f"{out}: another build finished here just now: run the same command again"
            )
        remove_leftovers(folder)
        yield folder
        if folder != out:
            folder.rename(out)
    except BaseException as error:
        if folder != out:
            _keep_or_delete(folder, error)
        raise
    finally:
        os.close(lock)


def _prepare_folder(out: Path) -> Path:
    """Return the build that is there, or the draft of a new one.

    Raises:
        OSError: something else is there, or no folder can be made
    """
    if is_build(out):
        return out
    if out == Path.cwd():
        raise FileExistsError(f"{out}: is the current folder: name a folder below it")
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise FileExistsError(
            f"{out}: is not a build: use another --out, or move what is there away"
        )
    draft = out.with_name(out.name + DRAFT_SUFFIX)
    if draft.exists() and not _is_draft(draft):
        raise FileExistsError(f"{draft}: is not an unfinished build: move it away")
    try:
        draft.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"{out}: cannot be made ({error.strerror}): use another --out") from error
    return draft


def _is_draft(folder: Path) -> bool:
    """Does the folder hold nothing but what a build writes?"""
    if not folder.is_dir():
        return False
    names = [path.name for path in folder.iterdir()]
    return all(name in BUILD_FILES or name.startswith(BUILD_PREFIXES) for name in names)


def _keep_or_delete(draft: Path, error: BaseException) -> None:
    """Keep a draft that has complete shards, and say so; delete any other."""
    if any(draft.glob("data/*.parquet")):
        error.add_note(f"What is done is kept in {draft}; the same command continues from there")
    else:
        shutil.rmtree(draft)


def _lock(folder: Path) -> int:
    """Lock the folder itself, which leaves no lock file behind; the lock ends with the process.

    Raises:
        BlockingIOError: another build is at work there
    """
    busy = f"{folder}: another build is at work here: wait for it, or use another --out"
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        raise BlockingIOError(busy) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino == folder.stat().st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass  # another build has the lock, or has just renamed the folder
    os.close(handle)
    raise BlockingIOError(busy)
