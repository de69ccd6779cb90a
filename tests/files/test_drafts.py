"""Drafts of killed processes are deleted by the next one that writes there; others are not."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from cnlw_tools import files
from cnlw_tools.files import drafts

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(files.default_root())}
WRITER = """
import sys
from pathlib import Path
from cnlw_tools import files
with files.atomic_write(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    print(draft.name, flush=True)
    sys.stdin.readline()
    draft.write_text("whole")
"""
SCRATCH = """
import sys
from cnlw_tools import files
with files.scratch_folder() as folder:
    (folder / "sub").mkdir()
    (folder / "sub" / "x").touch()
    print(folder, flush=True)
    sys.stdin.readline()
"""
MANY_WRITES = """
import sys
from pathlib import Path
from cnlw_tools import files
for number in range(300):
    with files.atomic_write(Path(sys.argv[1])) as draft:
        draft.write_text(sys.argv[2])
"""


def start(program, *arguments):
    """Start a Python program; return the process and its first line of output."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def stop(process):
    """Kill a process."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def names(folder):
    """Return the names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def write(path):
    """Write a file."""
    with files.atomic_write(path) as draft:
        draft.write_text("other")


def test_the_draft_of_a_killed_process_is_deleted_by_the_next_write(tmp_path):
    """Another file in the same folder will do."""
    process, draft = start(WRITER, tmp_path / "x")
    stop(process)
    assert [draft] == names(tmp_path)

    write(tmp_path / "y")

    assert ["y"] == names(tmp_path)


def test_the_draft_of_a_living_process_stays(tmp_path):
    """Its file is complete in the end."""
    process, draft = start(WRITER, tmp_path / "x")

    write(tmp_path / "y")
    files.remove_drafts_below(tmp_path.parent)

    assert [draft, "y"] == names(tmp_path)
    process.communicate("\n")
    assert "whole" == (tmp_path / "x").read_text()
    assert ["x", "y"] == names(tmp_path)


def test_a_draft_that_nobody_writes_is_deleted(tmp_path):
    """Its name does not matter: nobody holds its lock."""
    abandoned = drafts.draft_path(tmp_path / "x", "0123456789ab")
    abandoned.touch()

    write(tmp_path / "y")

    assert ["y"] == names(tmp_path)


@pytest.mark.parametrize(("age", "stays"), [(0, True), (drafts.DAY + 60, False)])
def test_a_draft_of_another_host_stays_for_a_day(tmp_path, age, stays):
    """Locks may not be seen from another host."""
    foreign = tmp_path / f"{files.TEMPORARY_PREFIX}00000000-1-0-x"
    foreign.touch()
    os.utime(foreign, (0, time.time() - age))

    write(tmp_path / "y")

    assert stays == foreign.exists()


def test_drafts_of_one_file_have_different_names(tmp_path):
    """Containers may share the name of their host and the number of their process."""
    with files.atomic_write(tmp_path / "x") as first, files.atomic_write(tmp_path / "x") as second:
        first.touch()
        second.touch()

        assert first.name != second.name
        assert first.name.startswith(f"{files.TEMPORARY_PREFIX}{drafts.HOST}-")


def test_a_link_is_no_draft(tmp_path):
    """Neither the link nor what it points to is deleted."""
    target = tmp_path / "mine"
    target.touch()
    link = tmp_path / "sub" / f"{files.TEMPORARY_PREFIX}1-x"
    link.parent.mkdir()
    link.symlink_to(target)

    write(link.parent / "y")

    assert link.is_symlink()
    assert target.exists()


def test_scratch_folders_of_killed_processes_are_deleted(tmp_path, monkeypatch):
    """The next scratch folder takes them away, and not that of a living process."""
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, abandoned = start(SCRATCH)
    stop(killed)
    living, busy = start(SCRATCH)
    assert not Path(abandoned).exists()

    with files.scratch_folder() as folder:
        assert sorted([Path(busy), folder]) == sorted(tmp_path.iterdir())

    assert [Path(busy)] == [*tmp_path.iterdir()]
    living.communicate("\n")
    assert [] == [*tmp_path.iterdir()]


def test_a_file_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    """Whenever the power fails, there is the old file or the new one, and either is whole."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    forced = []

    def record(handle):
        forced.append((os.fstat(handle).st_size, path.read_text()))

    monkeypatch.setattr(os, "fsync", record)
    with files.atomic_write(path) as draft:
        draft.write_text("whole")

    assert forced == [(len("whole"), "old")]
    assert path.read_text() == "whole"


def test_many_writers_in_one_folder(tmp_path):
    """No writer takes the new draft of another for an abandoned one."""
    path = tmp_path / "x"
    arguments = [sys.executable, "-c", MANY_WRITES, str(path)]
    processes = [subprocess.Popen([*arguments, str(number)], env=ENVIRONMENT) for number in "123"]

    assert [0, 0, 0] == [process.wait() for process in processes]
    assert ["x"] == names(tmp_path)


def test_a_disk_without_locks(tmp_path, monkeypatch):
    """Files are written, and no draft is deleted, as nobody can tell whose it is."""
    draft = tmp_path / f"{files.TEMPORARY_PREFIX}1-x"
    draft.touch()

    def refuse(handle, operation):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    write(tmp_path / "y")

    assert [draft.name, "y"] == names(tmp_path)


def test_an_error_without_a_text_is_named_by_its_kind(tmp_path):
    """Some libraries raise an OSError that says nothing."""
    with pytest.raises(OSError, match=r"a\.txt cannot be written \(OSError\)"):  # noqa: SIM117
        with files.atomic_write(tmp_path / "a.txt"):
            raise OSError


def fail_to_write(path: Path) -> None:
    with drafts.atomic_write(path) as draft:
        raise PermissionError(errno.EACCES, "Permission denied", str(draft))


def test_the_reason_names_no_draft(tmp_path):
    """The error of the system names the draft, which nobody has heard of."""
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match=r"a\.txt cannot be written \(Permission denied\): free"):
        fail_to_write(path)


def test_a_folder_in_which_no_file_can_be_created(tmp_path, monkeypatch):
    """In /proc, a folder that exists refuses a new file as if it were missing: that is an error."""

    def refuse(draft: Path) -> int:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(draft))

    monkeypatch.setattr(drafts, "_make_file", refuse)
    with pytest.raises(OSError, match=r"a\.txt cannot be written \(no file can be created there"):
        write(tmp_path / "a.txt")


def test_a_place_is_tried_before_long_work(tmp_path):
    """A new folder is made and left empty; a file in its place is an error."""
    drafts.check_writable(tmp_path / "a" / "b")
    (tmp_path / "file").touch()

    assert [] == names(tmp_path / "a" / "b")
    with pytest.raises(OSError, match=r"file cannot be written \(File exists\): give another"):
        drafts.check_writable(tmp_path / "file")
