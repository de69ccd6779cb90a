"""A cluster of Dask on loopback; what holds for every executor is in test_contract.py."""

import time
from pathlib import Path

import pytest

from cnlw_tools.executor import dask as engine
from cnlw_tools.executor import futures, open_executor, remote
from tests.dask_clusters import address_of, in_process_cluster

pytest.importorskip("distributed", reason="needs the extra dask")


def test_nothing_is_left_in_the_cluster(dask):
    """After a run, the scheduler knows no task of it."""
    with open_executor(dask) as executor:
        results = executor.map(str, range(100))
        next(results)
        results.close()

        deadline = time.monotonic() + 60
        while any(executor.client.processing().values()):  # the task that was running ends first
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_versions_are_compared_before_the_work(dask, monkeypatch):
    """Workers with another Pillow get no task."""
    versions = {**remote.program_versions(), "pillow": "0.1"}
    monkeypatch.setattr(remote, "program_versions", lambda: versions)

    with pytest.raises(OSError, match=rf"{dask}: worker tcp://.* has pillow .* instead of 0\.1: "):
        open_executor(dask).__enter__()


def test_the_scheduler_is_compared_before_the_work(dask, monkeypatch):
    """A scheduler reads tasks, so it needs the same packages."""
    versions = {**remote.program_versions(), "pillow": "0.1"}
    monkeypatch.setattr("distributed.Client.run_on_scheduler", lambda *_: versions)

    with pytest.raises(OSError, match=r"the scheduler has pillow 0\.1 instead of .*: install the"):
        open_executor(dask).__enter__()


def test_a_scheduler_without_the_package(dask, monkeypatch):
    """One line instead of an error while it reads the first task."""
    monkeypatch.setattr("distributed.Client.run_on_scheduler", import_nothing)

    with pytest.raises(OSError, match=r"the scheduler cannot run cnlw_tools \(No module named"):
        open_executor(dask).__enter__()


def import_nothing(*_: object) -> None:
    """Fail as a scheduler in another environment does."""
    raise ModuleNotFoundError("No module named 'cnlw_tools'")


def test_the_folder_is_compared_before_the_work(dask, tmp_path, monkeypatch):
    """Workers that do not see the working folder get no task."""
    monkeypatch.setattr(engine, "describe_worker", describe_without_folder)

    with pytest.raises(OSError, match=rf"{dask}: worker tcp://.* does not see the files in /"):
        open_executor(dask).__enter__()


def describe_without_folder(mark: Path) -> remote.WorkerState:
    """Return the state of a worker on another disk."""
    return remote.describe_worker(Path("/missing", mark.name))


def test_nobody_answers(monkeypatch):
    """One line that says what to check."""
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 0.1)

    with pytest.raises(OSError, match=r"dask://127\.0\.0\.1:1: no scheduler of Dask answers"):
        open_executor("dask://127.0.0.1:1").__enter__()


def test_a_cluster_without_workers(monkeypatch):
    """One line that says how to start some."""
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 0.2)
    with (
        in_process_cluster(workers=0) as empty,
        pytest.raises(OSError, match="no workers: start them with `dask worker"),
    ):
        open_executor(address_of(empty)).__enter__()


def test_a_scheduler_that_ends(monkeypatch):
    """One line that says that it is gone."""
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 0.2)
    with in_process_cluster(workers=1) as cluster, open_executor(address_of(cluster)) as executor:
        results = executor.map(time.sleep, [0.05] * 100)
        next(results)
        cluster.close()

        with pytest.raises(OSError, match="is gone: start it, and run the same command again"):
            list(results)


def test_workers_that_go_and_do_not_return(monkeypatch):
    """The work does not wait without end: one line says how to start workers."""
    monkeypatch.setattr(futures, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(remote, "NO_WORKER_SECONDS", 0.2)
    with in_process_cluster(workers=1) as cluster, open_executor(address_of(cluster)) as executor:
        results = executor.map(time.sleep, [0.05] * 1000)
        next(results)
        cluster.scale(0)

        with pytest.raises(
            OSError, match=r"dask://.*: the cluster had no worker for 0\.2 seconds: start them with"
        ):
            list(results)


def test_workers_with_several_threads():
    """Readers of archives are not shared by threads, so one worker is one thread."""
    with (
        in_process_cluster(workers=1, threads=3) as crowded,
        pytest.raises(OSError, match=r"runs 3 tasks at once .*: start them with `dask worker"),
    ):
        open_executor(address_of(crowded)).__enter__()


def test_tasks_may_have_a_gpu_each():
    """They go to workers that own one, and wait for those where the others do not."""
    with (
        in_process_cluster(workers=2, gpus=1) as cluster,
        open_executor(address_of(cluster)) as executor,
    ):
        with_gpus = executor.with_gpus()

        assert (executor.gpus, with_gpus.workers) == (2, 2)
        assert sorted(with_gpus.map(abs, range(5))) == [*range(5)]


def test_a_cluster_without_gpus(dask):
    """Its workers say that they own none."""
    with open_executor(dask) as executor:
        assert executor.gpus == 0
