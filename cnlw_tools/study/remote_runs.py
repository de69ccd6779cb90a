"""Training runs on a cluster, each in a process of its own on the machine of a worker.

    sweep      renews a lease: a file in the folder of the runs, which all machines see
    worker     starts a process for a run, and asks it to stop when the lease has ended
    process    trains (workers.train_run), and says what became of the run

The lease ends when the sweep is asked to stop, and when the sweep was killed and renews it no more.
Runs that train then save their state, and the same command resumes them.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Self, cast
from uuid import uuid4

from cnlw_tools.executor import ClusterExecutor
from cnlw_tools.executor.signals import Interrupted, StopRequest
from cnlw_tools.study.expand import RunSpec
from cnlw_tools.study.workers import (
    Outcome,
    RunJob,
    SweepPaths,
    WatchRuns,
    train_run,
    watch_nothing,
)

RENEW_SECONDS = 1.0
POLL_SECONDS = 1.0  # how often a worker looks at the lease
LEASE_SECONDS = 60.0  # without a renewal, after which a sweep counts as killed
LEASE_NAME = ".sweep-{}"
OLD_SECONDS = 24 * 3600  # after which the file of a killed sweep is deleted, whatever clocks say
CUDA_THREADS, CPU_THREADS = 0, 1  # of torch in a run; 0: torch's own choice
PROGRAM = "from cnlw_tools.study.remote_runs import serve_run; serve_run()"
DIED = (
    "its process died with exit code {code}: look into the output of the workers, and start fewer "
    "workers on each machine if memory ran out"
)


def choose_cluster_device(device: str, cluster: ClusterExecutor) -> str:
    """Return the device that runs train on: cpu, or cuda where each is given a GPU.

    Args:
        device: cpu, cuda or auto, which is cuda if the cluster offers GPUs
        cluster: trains the runs

    Raises:
        ValueError: no such device
        OSError: no worker offers a GPU
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device {device!r} is not allowed: give cpu, cuda or auto")
    if device == "cpu":
        return device
    if cluster.gpus:
        return "cuda"
    if device == "cuda":
        raise OSError(
            "device cuda: no worker of the cluster offers a GPU: start workers of Dask with "
            "`--resources GPU=1`, one for each GPU, or give --device cpu"
        )
    return "cpu"


def count_runs_at_once(device: str, cluster: ClusterExecutor) -> int:
    """Return how many runs train at once on a device of a cluster."""
    return cluster.gpus if device == "cuda" else cluster.workers


def train_on_cluster(
    runs: Sequence[RunSpec],
    paths: SweepPaths,
    cluster: ClusterExecutor,
    watch: WatchRuns = watch_nothing,
) -> Iterator[Outcome]:
    """Train runs on a cluster, as many at once as it can, and yield each outcome when it is known.

    On GPUs, a run asks the cluster for one GPU; on processors, it has one processor.

    Args:
        runs: that are not finished
        paths: where to read and write, on disks that all machines see; the device is cpu or cuda
        cluster: trains the runs
        watch: is told after each outcome that time has passed

    Raises:
        OSError: the cluster is gone, or its workers die
        Interrupted: a signal came; all outcomes have been yielded
    """
    if not runs:
        return
    on_gpus = paths.device == "cuda"
    executor = cluster.with_gpus() if on_gpus else cluster
    threads = CUDA_THREADS if on_gpus else CPU_THREADS
    jobs = [RunJob(run, paths, threads, gpu=None) for run in runs]
    with StopRequest() as stop, Lease(paths.out, stop) as lease:
        for outcome in executor.map(partial(train_remotely, lease.path), jobs):
            stop.signal = stop.signal or max(0, outcome.exit_code - 128)
            if outcome.state == "undone":
                yield replace(outcome, exit_code=128 + stop.signal)
            else:
                yield outcome
            watch({})
    if stop.signal:
        raise Interrupted(stop.signal)


class Lease:
    """A file by which workers know that the sweep still wants its runs: its text changes.

    Args:
        folder: of the runs
        stop: a request to end the lease
    """

    def __init__(self, folder: Path, stop: StopRequest) -> None:
        self.path = folder / LEASE_NAME.format(uuid4().hex)
        self.stop = stop
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        self._delete_old()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def _delete_old(self) -> None:
        """Delete the files of sweeps that were killed."""
        newest = self.path.stat().st_mtime
        for path in self.path.parent.glob(LEASE_NAME.format("*")):
            with suppress(FileNotFoundError):  # its sweep has just ended
                if newest - path.stat().st_mtime > OLD_SECONDS:
                    path.unlink()

    def _renew(self) -> None:
        """Write until the end comes, and then delete the file."""
        n_renewals = 0
        while not self.stop.signal and not self.ended.wait(RENEW_SECONDS):
            n_renewals += 1
            with suppress(OSError):  # a fault that lasts ends the lease
                self.path.write_text(str(n_renewals), encoding="ascii")
        self.path.unlink(missing_ok=True)


class LeaseWatch:
    """Sees from another machine whether a lease has ended.

    Args:
        path: of the lease
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = ""
        self.renewed = time.monotonic()

    def has_ended(self) -> bool:
        """Return whether the file is gone, or has not changed for too long."""
        text = self.text
        try:
            text = self.path.read_text(encoding="ascii")
        except FileNotFoundError:
            return True
        except OSError:  # a fault that lasts ends the lease
            pass
        now = time.monotonic()
        if text != self.text:
            self.text, self.renewed = text, now
        return now - self.renewed > LEASE_SECONDS


def train_remotely(lease: Path, job: RunJob) -> Outcome:
    """Train one run in a process of its own, from a worker of a cluster.

    The worker may be no place to train in: a run that crashes would end it, memory of the GPU would
    stay taken, and only the main thread of a process hears of signals.

    Args:
        lease: ends when the sweep does
        job: what to train
    """
    watch = LeaseWatch(lease)
    if watch.has_ended():
        return Outcome(job.run, "undone", {}, "not begun")
    with tempfile.TemporaryFile() as answer:
        code, was_stopped = _run_process(job, watch, answer)
        answer.seek(0)
        try:
            outcome: Outcome = pickle.load(answer)  # noqa: S301, our own
        except EOFError:
            if was_stopped:
                return Outcome(job.run, "stopped", {}, "stopped before it began to train")
            return Outcome(job.run, "failed", {}, DIED.format(code=code))
    return outcome


def _run_process(job: RunJob, watch: LeaseWatch, answer: IO[bytes]) -> tuple[int, bool]:
    """Run the process of a job; return its exit code, and whether it was asked to stop.

    Its standard input stays open as long as the worker lives.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", PROGRAM]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=answer, env=environment)
    stdin = cast(IO[bytes], process.stdin)
    was_stopped = False
    try:
        with suppress(BrokenPipeError):  # it is dead, as its exit code will say
            pickle.dump(job, stdin)
            stdin.flush()
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(POLL_SECONDS), was_stopped
            if not was_stopped and watch.has_ended():
                was_stopped = True
                process.terminate()
    finally:
        process.kill()
        process.wait()
        with suppress(BrokenPipeError):
            stdin.close()


def serve_run() -> None:
    """Train the run whose job comes from standard input, and write the outcome to standard output.

    This process ends when its standard input does. What training prints goes to standard error.
    """
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answer:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        job = pickle.load(sys.stdin.buffer)  # noqa: S301, our own
        threading.Thread(target=_end_with_input, daemon=True).start()
        pickle.dump(train_run(job), answer)


def _end_with_input() -> None:
    os.read(sys.stdin.fileno(), 1)  # not through Python's own buffer, whose lock it would hold
    os._exit(1)
