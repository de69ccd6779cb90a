"""Training runs on a cluster, each in a process of its own on the machine of a worker.

    sweep      renews a lease in the folder of the runs (executor/lease.py)
    worker     starts a process for a run, and asks it to stop when the lease has ended
    process    trains (workers.train_run), and says what became of the run

When the lease ends, runs that train save their state, and the same command resumes them. A worker
locks the folder of its run. So a command that is started again while runs of a killed one still
train waits for these runs, and never trains a run twice at the same time.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, cast

from cnlw_tools.executor import ClusterExecutor
from cnlw_tools.executor.lease import Lease, LeaseWatch
from cnlw_tools.executor.signals import Interrupted, StopRequest
from cnlw_tools.files.locks import lock_folder
from cnlw_tools.study.expand import RunSpec
from cnlw_tools.study.workers import (
    Outcome,
    RunJob,
    SweepPaths,
    WatchRuns,
    train_run,
    watch_nothing,
)

POLL_SECONDS = 1.0  # how often a worker looks at the lease
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
    with StopRequest() as stop, Lease(paths.folder, stop) as lease:
        for outcome in executor.map(partial(train_remotely, lease.path), jobs):
            stop.signal = stop.signal or max(0, outcome.exit_code - 128)
            if outcome.state == "undone":
                yield replace(outcome, exit_code=128 + stop.signal)
            else:
                yield outcome
            watch({})
    if stop.signal:
        raise Interrupted(stop.signal)


def train_remotely(lease: Path, job: RunJob) -> Outcome:
    """Train one run in a process of its own, from a worker of a cluster.

    The worker may be no place to train in: a run that crashes would end it, memory of the GPU would
    stay taken, and only the main thread of a process hears of signals.

    Args:
        lease: ends when the sweep does
        job: what to train
    """
    watch = LeaseWatch(lease)
    with ExitStack() as stack, tempfile.TemporaryFile() as answer:
        if not _lock_run(job, watch, stack):
            return Outcome(job.run, "undone", {}, "not begun")
        code, was_stopped = _run_process(job, watch, answer)
        answer.seek(0)
        try:
            outcome: Outcome = pickle.load(answer)  # noqa: S301, our own
        except EOFError:
            if was_stopped:
                return Outcome(job.run, "stopped", {}, "stopped before it began to train")
            return Outcome(job.run, "failed", {}, DIED.format(code=code))
    return outcome


def _lock_run(job: RunJob, watch: LeaseWatch, stack: ExitStack) -> bool:
    """Lock the folder of a run as soon as no other worker trains it; return whether it is locked.

    Another worker may train it for a command that was killed, or because the cluster took that
    worker for dead.

    Args:
        job: what to train
        watch: of the lease; when it ends, nobody wants the run any more
        stack: unlocks the folder
    """
    folder = job.paths.run_folder(job.run)
    while not watch.has_ended():
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(BlockingIOError):
            stack.enter_context(lock_folder(folder, f"{folder}: another worker trains this run"))
            return True
        time.sleep(POLL_SECONDS)
    return False


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
