"""The folder of a build while it is being built: one build at a time, and a name only when it is whole."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnlw_tools.card.metadata import CARD, is_build
from cnlw_tools.files import TEMPORARY_PREFIX, remove_leftovers

DRAFT = ".partial"  # behind the name of a new build until it is whole
OURS = {"data", "tables", CARD}


@contextmanager
def claim(out: Path) -> Iterator[Path]:
    """Give the folder to build in, for this process alone; a new one bears its name when the block ends well.

    A build that stands is built in as it is. What a killed build left is taken over. An error leaves whole
    shards for the next run, and nothing where there is none yet.

    Raises:
        OSError: ``out`` is or holds something else, or another build is at work there
    """
    out = out.resolve()
    folder = _folder(out)
    lock = _lock(folder)
    try:
        if folder != out and is_build(out):
            raise BlockingIOError(
                f"{out}: another build finished here this moment: run the same command again"
            )
        remove_leftovers(folder)
        yield folder
        if folder != out:
            folder.rename(out)
    except BaseException as error:
        if folder != out and any(folder.glob("data/*.parquet")):
            error.add_note(f"What is done stands in {folder}; the same command goes on from there")
        elif folder != out:
            shutil.rmtree(folder)
        raise
    finally:
        os.close(lock)


def _folder(out: Path) -> Path:
    """Return the standing build, or the draft of a new one."""
    if is_build(out):
        return out
    if out == Path.cwd():
        raise FileExistsError(f"{out}: is the current folder: name a folder below it")
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise FileExistsError(
            f"{out}: holds something that is no build: give another --out, or move it away"
        )
    draft = out.with_name(out.name + DRAFT)
    if draft.exists() and not (draft.is_dir() and all(_ours(p.name) for p in draft.iterdir())):
        raise FileExistsError(f"{draft}: holds something that is no unfinished build: move it away")
    try:
        draft.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"{out}: cannot be made ({error.strerror}): give another --out") from error
    return draft


def _ours(name: str) -> bool:
    return name in OURS or name.startswith(("samples_", TEMPORARY_PREFIX))


def _lock(folder: Path) -> int:
    """Lock the folder itself, which leaves no file behind; the lock ends with the process."""
    busy = f"{folder}: another build is at work here: wait for it, or give another --out"
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        raise BlockingIOError(busy) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino == folder.stat().st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass  # held by another build, or renamed by it a moment ago
    os.close(handle)
    raise BlockingIOError(busy)
