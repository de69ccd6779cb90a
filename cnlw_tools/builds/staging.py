"""The folder of a build while it is built: one build at a time; renamed when it is complete.

Several processes may write shards of one build side by side (`cnlw build --shard`). They share the
lock of the folder, and leave the folder a draft; the build that writes the card has the lock alone.

The folder of an export is written aside and renamed in the same way, but never continued.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cnlw_tools.card.file_list import CROISSANT
from cnlw_tools.card.metadata import CARD, DRAFT_SUFFIX, is_build
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files import TEMPORARY_PREFIX, draft_path, remove_drafts, remove_drafts_below
from cnlw_tools.files.drafts import scratch_folder
from cnlw_tools.files.folders import list_names
from cnlw_tools.files.locks import LOCK_FILE, lock, lock_folder
from cnlw_tools.files.storage import RemoteFolder, is_address

RECORD_PREFIX = "shard-"  # of the files in which processes say what they wrote (work_shards.py)
RECORD = re.compile(rf"{RECORD_PREFIX}\d+-of-\d+\.json")
BUILD_FILES = {"data", "tables", CARD, CROISSANT, LOCK_FILE}
BUILD_PREFIXES = ("samples_", TEMPORARY_PREFIX)


def is_of_build(name: str) -> bool:
    """Return whether a file, by its name below a folder, is one that a build writes."""
    first = name.partition("/")[0]
    return first in BUILD_FILES or first.startswith(BUILD_PREFIXES) or is_record(name)


def is_record(name: str) -> bool:
    """Return whether a file of a build is one in which a process says what it wrote."""
    return RECORD.fullmatch(name) is not None


@contextmanager
def locked_folder(out: Path) -> Iterator[Path]:
    """Yield the folder to build in, locked for this process.

    A new folder is renamed to ``out`` when the block ends without an error.
    A build that is there is extended in place. What a killed build left is continued. After an
    error a new folder remains for the next build if it has complete files of images, and else is
    deleted.

    Raises:
        OSError: ``out`` is something other than a build, or another build is at work there
    """
    out = out.resolve()
    folder = _prepare_folder(out)
    with _lock(folder):
        try:
            _reject_finished(folder, out)
            remove_drafts_below(folder)
            yield folder
            if folder != out:
                folder.rename(out)
        except BaseException as error:
            if folder != out:
                _keep_or_delete(folder, error)
            raise


@contextmanager
def shared_folder(out: Path) -> Iterator[Path]:
    """Yield the folder to build in, together with other processes that write shards of it.

    A new folder remains a draft. After an error it is deleted if it has no complete file of images
    and nobody else is at work there.

    Raises:
        OSError: ``out`` is something other than a build, or a build writes its card there
    """
    out = out.resolve()
    folder = _prepare_folder(out)
    try:
        with _lock(folder, shared=True):
            _reject_finished(folder, out)
            remove_drafts_below(folder)
            yield folder
    except BaseException as error:
        with suppress(BlockingIOError):
            if folder != out:
                with _lock(folder):
                    _keep_or_delete(folder, error)
        raise


@contextmanager
def new_folder(out: Path | str, progress: Progress = no_progress) -> Iterator[Path]:
    """Yield an empty folder that is renamed to ``out`` when the block ends without an error.

    After an error the folder is deleted. If the process is killed, it remains beside ``out`` as a
    draft, which the next command that writes there deletes. At an address, the files are put after
    the block.

    Args:
        out: the folder, or the address
        progress: is told how many files were put at the address

    Raises:
        OSError: ``out`` is there already, cannot be made, or another process is writing it
    """
    if is_address(out):
        with _new_remote_folder(out, progress) as folder:
            yield folder
        return
    out = Path(out)
    reject_existing(out)
    out = out.resolve()
    draft = draft_path(out, "export")
    if out.parent.is_dir():
        remove_drafts(out.parent)
    _make_folder(draft, out)
    handle = _lock_draft(draft)
    try:
        _empty(draft)
        yield draft
        draft.rename(out)
    except BaseException:
        shutil.rmtree(draft)
        raise
    finally:
        os.close(handle)


@contextmanager
def _new_remote_folder(out: Path | str, progress: Progress) -> Iterator[Path]:
    """Yield an empty folder whose files are put at an address when the block ends.

    After an error nothing remains at the address. If the process is killed while it puts files,
    these remain there.

    Raises:
        OSError: something is there already, or the address cannot be written
    """
    reject_existing(out)
    remote = RemoteFolder(out)
    with scratch_folder() as folder:
        yield folder
        names = list_names(folder)
        n_put = 0
        try:
            for name in names:
                remote.put(folder / name, name)
                n_put += 1
                progress("upload", n_put, len(names))
        except BaseException:
            for name in names[:n_put]:
                remote.delete(name)
            raise


def reject_existing(out: Path | str, option: str = "--out") -> None:
    """Raise if there is something where a folder is to be written, or an address takes no files.

    Args:
        out: the folder, or the address
        option: in which the user named it

    Raises:
        FileExistsError: there is
        OSError: the address cannot be read or written
    """
    if is_address(out):
        remote = RemoteFolder(out)
        if remote.list_files():
            raise FileExistsError(
                f"{remote.address}: something else is at this address: use another {option}; if a "
                "command that was killed left it there, delete it"
            )
        remote.check_writable()
    elif Path(out).exists():
        raise FileExistsError(
            f"{Path(out).resolve()} exists already: use another {option}, or move it away"
        )


def _prepare_folder(out: Path) -> Path:
    """Return the build that is there, or the draft of a new one.

    Raises:
        OSError: something else is there, or no folder can be made
    """
    if is_build(out):
        return out
    if out == Path.cwd():
        raise FileExistsError(f"{out} is the current folder: name a folder below it")
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise FileExistsError(
            f"{out} is not a build: use another --out, or move the files there away"
        )
    draft = out.with_name(out.name + DRAFT_SUFFIX)
    if draft.exists() and not _is_draft(draft):
        raise FileExistsError(f"{draft} is not an unfinished build: move it away")
    _make_folder(draft, out)
    return draft


def _make_folder(draft: Path, out: Path) -> None:
    try:
        draft.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"{out} cannot be created ({error.strerror}): use another --out") from error


def _empty(folder: Path) -> None:
    """Delete all that a folder holds."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _is_draft(folder: Path) -> bool:
    """Does the folder hold nothing but what a build writes?"""
    if not folder.is_dir():
        return False
    names = [path.name for path in folder.iterdir()]
    return all(map(is_of_build, names))


def _keep_or_delete(draft: Path, error: BaseException) -> None:
    """Keep a draft that has complete files of images, and say so; delete any other."""
    names = [path.name for path in draft.glob("data/*")]
    if not all(name.startswith(TEMPORARY_PREFIX) for name in names):
        error.add_note(f"The finished part is in {draft}; the same command continues from there")
    else:
        shutil.rmtree(draft)


def _reject_finished(folder: Path, out: Path) -> None:
    """Raise if another build took its name between the look at ``out`` and the lock of its draft.

    Raises:
        BlockingIOError: there is a draft and a build
    """
    if folder != out and is_build(out):
        raise BlockingIOError(
            f"{out}: another build has just finished here: run the same command again"
        )


@contextmanager
def _lock(folder: Path, shared: bool = False) -> Iterator[None]:
    """Lock the folder of a build during the block.

    Raises:
        BlockingIOError: another process is at work there
    """
    message = f"{folder}: another build is at work here: wait for it, or use another --out"
    with ExitStack() as stack:
        try:
            stack.enter_context(lock_folder(folder, message, shared))
        except FileNotFoundError:
            raise BlockingIOError(message) from None  # it has just renamed the folder
        yield


def _lock_draft(draft: Path) -> int:
    """Lock the draft of an export.

    Raises:
        BlockingIOError: another process is at work there
    """
    message = f"{draft}: another export is at work here: wait for it, or use another --out"
    try:
        return lock(draft, message)
    except FileNotFoundError:
        raise BlockingIOError(message) from None  # it has just renamed the folder
