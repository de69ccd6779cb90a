"""A lock is held by one process at a time, and ends with it."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys

import pytest

from cnlw_tools import files
from cnlw_tools.files import locks

HOLDER = """
import sys
from pathlib import Path
from cnlw_tools.files.locks import wait_for_lock
with wait_for_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.readline()
    (Path(sys.argv[1]) / "done").touch()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of a folder until it gets a line."""
    env = {**os.environ, "PYTHONPATH": str(files.default_root())}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, env=env, **pipes) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_a_locked_folder_is_busy(tmp_path, holder):
    """The error is what the caller says."""
    with pytest.raises(BlockingIOError, match="come again"):
        locks.lock(tmp_path, "come again")


def test_a_lock_ends_with_its_process(tmp_path, holder):
    """The lock of a killed process is free."""
    holder.kill()
    holder.wait()

    os.close(locks.lock(tmp_path, "busy"))
    assert [] == [*tmp_path.iterdir()]


def test_waiting(tmp_path, holder):
    """Who waits for a lock goes on when the other process is done."""
    holder.stdin.write("\n")
    holder.stdin.flush()

    with locks.wait_for_lock(tmp_path):
        assert (tmp_path / "done").exists()


def test_a_renamed_folder_is_busy(tmp_path, monkeypatch):
    """A folder that another process renames while it is being locked counts as locked."""
    folder = tmp_path / "x"
    folder.mkdir()

    def rename(handle, operation):
        folder.rename(tmp_path / "y")

    monkeypatch.setattr(fcntl, "flock", rename)

    assert locks.try_lock(folder) is None


def test_a_disk_without_locks(tmp_path, monkeypatch):
    """The error names the folder and the remedy."""

    def refuse(handle, operation):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)

    with pytest.raises(OSError, match=r"cannot be locked \(not supported\): use a folder on"):
        locks.lock(tmp_path, "busy")


def names(folder):
    """Return the names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_locked_by_a_file_in_it(tmp_path):
    """Network disks show such a lock to other hosts; the file is gone afterwards."""
    with locks.lock_folder(tmp_path, "busy"):
        assert [locks.LOCK_FILE] == names(tmp_path)
        with pytest.raises(BlockingIOError, match="busy"), locks.lock_folder(tmp_path, "busy"):
            pass
    assert [] == names(tmp_path)


def test_a_lock_is_shared_by_those_that_share_it(tmp_path):
    """The last one deletes the file; who wants the folder alone has to wait."""
    with locks.lock_folder(tmp_path, "busy", shared=True):
        with locks.lock_folder(tmp_path, "busy", shared=True):
            pass
        assert [locks.LOCK_FILE] == names(tmp_path)
        with pytest.raises(BlockingIOError, match="busy"), locks.lock_folder(tmp_path, "busy"):
            pass
    assert [] == names(tmp_path)


def test_the_file_of_a_killed_process_is_used_again(tmp_path):
    """It is there, but nobody locks it."""
    (tmp_path / locks.LOCK_FILE).touch()

    with locks.lock_folder(tmp_path, "busy"):
        pass
    assert [] == names(tmp_path)


def test_a_locked_folder_may_be_renamed_or_deleted(tmp_path):
    """The file is deleted wherever the folder is."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with locks.lock_folder(tmp_path / "a", "busy"), locks.lock_folder(tmp_path / "b", "busy"):
        (tmp_path / "a").rename(tmp_path / "c")
        shutil.rmtree(tmp_path / "b")

    assert ["c"] == names(tmp_path)
    assert [] == names(tmp_path / "c")


def test_a_file_that_is_deleted_while_it_is_being_locked(tmp_path, monkeypatch):
    """Another one is made and locked."""
    lock_now = fcntl.flock
    deleted = []

    def delete(handle, operation):
        if not deleted:
            (tmp_path / locks.LOCK_FILE).unlink()
            deleted.append(handle)
        lock_now(handle, operation)

    monkeypatch.setattr(fcntl, "flock", delete)
    with locks.lock_folder(tmp_path, "busy"):
        assert [locks.LOCK_FILE] == names(tmp_path)
    assert deleted


def test_a_folder_on_a_disk_without_locks(tmp_path, monkeypatch):
    """It can be shared, but nobody can have it alone."""

    def refuse(handle, operation):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locks.lock_folder(tmp_path, "busy", shared=True):
        pass
    with (
        pytest.raises(OSError, match=r"cannot be locked \(not supported\): use a folder on"),
        locks.lock_folder(tmp_path, "busy"),
    ):
        pass
