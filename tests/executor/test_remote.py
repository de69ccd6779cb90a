"""Workers on other machines: who may do the work, and what a task finds there."""

from pathlib import Path
from types import SimpleNamespace

import PIL
import pytest

from cnlw_tools.executor import remote
from cnlw_tools.executor.remote import (
    Absence,
    RemoteTask,
    WorkerState,
    check_workers,
    describe_worker,
    marked_folder,
    program_versions,
)


def working_folder(_: int) -> Path:
    """The folder that a task runs in."""
    return Path.cwd()


def test_this_process_may_do_its_own_work(tmp_path, monkeypatch):
    """It has the versions and sees the folder; the mark in the folder goes again."""
    monkeypatch.chdir(tmp_path)
    with marked_folder(tmp_path) as mark:
        check_workers("dask", {"w1": describe_worker(mark)}, tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", ["cnlw_tools", "pillow", "pyarrow"])
def test_other_versions(program):
    """They decide the bytes of a build: each worker is named, with both versions."""
    ours = program_versions()
    other = WorkerState({**ours, program: "0.1"}, sees_folder=True)
    same = WorkerState(ours, sees_folder=True)

    with pytest.raises(OSError, match="install the same versions") as caught:
        check_workers("dask://h:1", {"w1": other, "w2": same, "w3": other}, Path.cwd())

    expected = f"dask://h:1: worker w1, w3 has {program} 0.1 instead of {ours[program]}: "
    assert str(caught.value).startswith(expected)


def test_no_package():
    """A worker that has not even this package says what it lacks."""
    error = ModuleNotFoundError("No module named 'cnlw_tools'")

    with pytest.raises(OSError, match=r"w1 cannot run cnlw_tools \(No module named .*: install"):
        check_workers("dask://h:1", {"w1": error}, Path.cwd())


def test_another_disk(tmp_path):
    """A worker that does not see the working folder could only write what nobody finds."""
    state = describe_worker(tmp_path / "missing")

    with pytest.raises(OSError, match=r"w1 does not see the files in /.*: start the command in"):
        check_workers("dask://h:1", {"w1": state}, Path.cwd())
    with pytest.raises(OSError, match=rf"files in {tmp_path}: use a folder that all machines"):
        check_workers("dask://h:1", {"w1": state}, tmp_path)


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    """It cannot be marked; the error says where to start the command."""
    gone = tmp_path / "gone"
    monkeypatch.setattr(remote.Path, "cwd", lambda: gone)

    with pytest.raises(OSError, match=rf"{gone} cannot be written.*: start the command"):
        marked_folder(gone).__enter__()


def test_a_task_runs_in_the_folder_of_the_command(tmp_path, monkeypatch):
    """So relative paths mean the same, wherever a worker was started."""
    monkeypatch.chdir(tmp_path)
    task = RemoteTask(working_folder)
    monkeypatch.chdir("/")

    assert task(0) == tmp_path
    assert Path.cwd() == Path("/")


def test_a_worker_that_joins_late(monkeypatch):
    """It was not there when all were compared, so its first task is refused."""
    task = RemoteTask(working_folder)
    monkeypatch.setattr(PIL, "__version__", "0.1")

    with pytest.raises(
        OSError, match=r"joined the cluster late has pillow 0\.1 instead of .*: install"
    ):
        task(0)


def test_workers_that_come_back(monkeypatch):
    """Only an absence that lasts ends the work: a worker that died is soon replaced."""
    seconds = iter([1000.0, 1119.0, 1120.0, 1121.0, 1240.0, 1242.0])
    n_workers = iter([0, 0, 1, 0, 0, 0])
    monkeypatch.setattr(remote, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    absence = Absence("dask", lambda: next(n_workers), "start some")
    for _ in range(5):
        absence.check()

    with pytest.raises(
        OSError, match="dask: the cluster had no worker for 120 seconds: start some, and run the"
    ):
        absence.check()
