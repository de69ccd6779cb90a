"""Runs on a cluster, with other programs in place of training; test_sweep.py trains one."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnlw_tools import files
from cnlw_tools.executor import SERIAL
from cnlw_tools.executor import lease as lease_file
from cnlw_tools.executor.signals import Interrupted
from cnlw_tools.files.locks import lock_folder
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.study import remote_runs
from cnlw_tools.study.expand import RunSpec, expand_study
from cnlw_tools.study.remote_runs import (
    choose_cluster_device,
    count_runs_at_once,
    train_on_cluster,
    train_remotely,
)
from cnlw_tools.study.spec import parse_study
from cnlw_tools.study.workers import Outcome, RunJob, SweepPaths

ANSWER = """
import sys
from cnlw_tools.study import remote_runs
from cnlw_tools.study.workers import Outcome
def train_run(job):
    print("a method may print")
    return Outcome(job.run, "done", {"last": 50.0, "threads": job.threads})
remote_runs.train_run = train_run
remote_runs.serve_run()
"""
CRASH = "import os; os._exit(3)"
SLEEP = "import time; time.sleep(600)"
WORK = """
import time
from cnlw_tools.study import remote_runs
def train_run(job):
    print("at work", file=__import__("sys").stderr, flush=True)
    time.sleep(600)
remote_runs.train_run = train_run
remote_runs.serve_run()
"""


class FakeCluster:
    """Runs tasks in this process, and notes whether they asked for GPUs."""

    def __init__(self, gpus: int = 0, workers: int = 8) -> None:
        self.gpus, self.workers = gpus, workers
        self.asked_for_gpus = False

    def map(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Yield the results in order."""
        return SERIAL.map(task, items)

    def with_gpus(self) -> "FakeCluster":
        """Return an executor whose tasks have a GPU each."""
        self.asked_for_gpus = True
        return self


@pytest.fixture
def runs() -> list[RunSpec]:
    """Two runs of a study."""
    study = {
        "dataset": "shapes",
        "configs": [{"noise": "blue", "levels": [40]}],
        "methods": [{"name": "vanilla"}],
        "seeds": [0, 1],
    }
    return expand_study(parse_study(study, "test"), files.default_root())


@pytest.fixture
def paths(tmp_path) -> SweepPaths:
    """Where they read and write."""
    return SweepPaths(tmp_path, Inputs(files.default_root()), device="cpu")


@pytest.fixture
def train(runs, paths, tmp_path, monkeypatch) -> Callable[[str], Outcome]:
    """Train a run by another program, under a lease that nobody renews."""
    monkeypatch.setattr(remote_runs, "POLL_SECONDS", 0.05)
    lease = tmp_path / "lease"
    lease.write_text("1")

    def call(program: str) -> Outcome:
        monkeypatch.setattr(remote_runs, "PROGRAM", program)
        return train_remotely(lease, RunJob(runs[0], paths, 3, None))

    return call


def test_the_outcome_comes_from_another_process(train, runs):
    """It gets the job, and what it prints is no part of the outcome."""
    outcome = train(ANSWER)

    assert outcome == Outcome(runs[0], "done", {"last": 50.0, "threads": 3})


def test_a_process_that_dies_is_a_failed_run(train):
    """The reason says how it ended, and what to look at."""
    outcome = train(CRASH)

    assert outcome.state == "failed"
    assert outcome.reason.startswith("its process died with exit code 3: look into the output")


def test_a_run_stops_when_nobody_renews_the_lease(train, monkeypatch):
    """The sweep was killed, so its run ends before it begins to train."""
    monkeypatch.setattr(lease_file, "LEASE_SECONDS", 0.2)
    outcome = train(SLEEP)

    assert (outcome.state, outcome.reason) == ("stopped", "stopped before it began to train")


def test_a_run_does_not_begin_without_a_lease(runs, paths, tmp_path):
    """Tasks that wait in the cluster when a sweep ends come to nothing."""
    outcome = train_remotely(tmp_path / "gone", RunJob(runs[0], paths, 1, None))

    assert outcome == Outcome(runs[0], "undone", {}, "not begun")


def test_a_run_that_another_worker_trains_is_waited_for(train, runs, paths):
    """A killed sweep may have left it; a run is never trained twice at the same time."""
    folder = paths.run_folder(runs[0])
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(1) as thread, lock_folder(folder, ""):
        outcome = thread.submit(train, ANSWER)
        with pytest.raises(TimeoutError):
            outcome.result(timeout=0.2)
    assert outcome.result().state == "done"


def test_a_lease_may_end_while_a_run_is_waited_for(runs, paths, tmp_path):
    """The run is left undone, and nothing is trained."""
    folder = paths.run_folder(runs[0])
    folder.mkdir(parents=True)
    lease = tmp_path / "lease"
    lease.write_text("1")
    with ThreadPoolExecutor(1) as thread, lock_folder(folder, ""):
        outcome = thread.submit(train_remotely, lease, RunJob(runs[0], paths, 1, None))
        lease.unlink()

        assert outcome.result() == Outcome(runs[0], "undone", {}, "not begun")


def test_a_process_ends_with_its_worker(runs, paths):
    """A worker that is killed leaves no training behind."""
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", WORK], stdin=pipe, stdout=pipe, stderr=pipe, env=environment
    ) as process:
        pickle.dump(RunJob(runs[0], paths, 1, None), process.stdin)
        process.stdin.flush()
        assert process.stderr.readline() == b"at work\n"

        process.stdin.close()

        assert process.wait(10) == 1


@pytest.mark.parametrize(
    ("device", "gpus", "expected", "at_once"),
    [("auto", 0, "cpu", 8), ("auto", 2, "cuda", 2), ("cpu", 2, "cpu", 8), ("cuda", 2, "cuda", 2)],
)
def test_runs_train_on_gpus_where_there_are_some(device, gpus, expected, at_once):
    """As many at once as there are GPUs, or workers."""
    cluster = FakeCluster(gpus)

    assert choose_cluster_device(device, cluster) == expected
    assert count_runs_at_once(expected, cluster) == at_once


def test_a_device_that_cannot_be_had():
    """The error says how a worker offers a GPU, or which devices there are."""
    with pytest.raises(OSError, match=r"no worker of the cluster offers a GPU: start .* GPU=1"):
        choose_cluster_device("cuda", FakeCluster())
    with pytest.raises(ValueError, match="device 'tpu' is not allowed: give cpu, cuda or auto"):
        choose_cluster_device("tpu", FakeCluster())


@pytest.mark.parametrize(("device", "threads"), [("cuda", 0), ("cpu", 1)])
def test_a_run_asks_for_a_gpu_or_has_one_processor(runs, paths, monkeypatch, device, threads):
    """On a GPU torch chooses the number of threads."""
    cluster = FakeCluster(gpus=2)
    monkeypatch.setattr(
        remote_runs,
        "train_remotely",
        lambda _, job: Outcome(job.run, "done", {"threads": job.threads}),
    )
    outcomes = [*train_on_cluster(runs, replace(paths, device=device), cluster)]

    assert [outcome.result for outcome in outcomes] == [{"threads": threads}] * 2
    assert cluster.asked_for_gpus == (device == "cuda")


def test_a_signal_ends_the_runs_of_a_sweep(runs, paths, monkeypatch):
    """Runs at work are stopped, the others left undone, and the caller hears of the signal."""

    def train_remotely(lease: Path, job: RunJob) -> Outcome:
        if job.run is runs[0]:
            signal.raise_signal(signal.SIGTERM)
            return Outcome(job.run, "stopped", {}, "saved", 143)
        return Outcome(job.run, "undone", {}, "not begun")

    monkeypatch.setattr(remote_runs, "train_remotely", train_remotely)
    results = train_on_cluster(runs, paths, FakeCluster())
    outcomes = [next(results), next(results)]
    with pytest.raises(Interrupted) as interrupt:
        next(results)

    assert interrupt.value.exit_code == 143
    assert [(o.state, o.exit_code) for o in outcomes] == [("stopped", 143), ("undone", 143)]
