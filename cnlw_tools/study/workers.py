"""Training runs, each in a process of its own, so that one that fails does not end the others.

On SIGTERM or Ctrl-C, runs that are training save their state, or end if they are about to, and the
others are left undone.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from cnlw_tools.executor import limits, local
from cnlw_tools.executor.signals import StopRequest
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.study.expand import RunSpec

if TYPE_CHECKING:  # to plan a sweep takes no torch
    from cnlw_tools.trainer import Trainer

POLL_SECONDS = 0.5  # how often a sweep checks whether a signal came


@dataclass(frozen=True, slots=True)
class SweepPaths:
    """Where a sweep reads and writes, and the device that it trains on."""

    out: Path
    inputs: Inputs  # of its builds, and of presets
    builds: Path = Path("builds")
    device: str = "auto"
    cache: Path | None = None  # of decoded pixels


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run."""

    run: RunSpec
    state: str  # done | skipped | failed | stopped | undone, which is stopped before it began
    result: dict[str, Any]  # last, best, mean10; empty unless done or skipped
    reason: str = ""  # why it failed or stopped
    exit_code: int = 0  # of a program that was stopped by the same signal


@dataclass(frozen=True, slots=True)
class _Job:
    run: RunSpec
    paths: SweepPaths
    threads: int  # of torch; 0: torch's own choice
    gpu: str | None  # the one to use, of those that are visible


def train_runs(runs: Sequence[RunSpec], paths: SweepPaths, jobs: int) -> Iterator[Outcome]:
    """Train runs, ``jobs`` of them at once, and yield the outcome of each when it is known.

    Each has its share of the processors, and a GPU in turn.
    """
    from cnlw_tools.trainer import device as devices

    slots: SimpleQueue[int] = SimpleQueue()
    for slot in range(jobs):
        slots.put(slot)
    gpus = devices.visible_gpus() if jobs > 1 else []
    threads = 0 if jobs == 1 else max(1, limits.cores() // jobs)

    def train_in_process(run: RunSpec) -> Outcome:
        slot = slots.get()
        job = _Job(run, paths, threads, gpus[slot % len(gpus)] if gpus else None)
        try:
            with local.isolated(1) as executor:
                return next(executor.map(_train, [job]))
        except OSError as error:  # the process died
            return _outcome_of_dead_process(run, error, stop)
        finally:
            slots.put(slot)

    with StopRequest() as stop, ThreadPoolExecutor(jobs) as pool:
        try:
            yield from _outcomes({pool.submit(train_in_process, run): run for run in runs}, stop)
        finally:
            pool.shutdown(cancel_futures=True)


def _outcome_of_dead_process(run: RunSpec, error: OSError, stop: StopRequest) -> Outcome:
    if stop.signal:
        reason = "stopped before it began to train"
        return Outcome(run, "stopped", {}, reason, 128 + stop.signal)
    return Outcome(run, "failed", {}, str(error))


def _outcomes(runs: Mapping[Future[Outcome], RunSpec], stop: StopRequest) -> Iterator[Outcome]:
    """Yield outcomes as they come; after a signal, end the runs that train, and cancel the others.

    A run that was stopped by a signal counts as a signal to this process.

    Args:
        runs: by the future of their outcome
        stop: a signal to this process
    """
    pending = set(runs)
    terminated: set[BaseProcess] = set()
    while pending:
        finished, pending = wait(pending, POLL_SECONDS, FIRST_COMPLETED)
        for future in finished:
            outcome = future.result()
            yield outcome
            stop.signal = stop.signal or max(0, outcome.exit_code - 128)
        if stop.signal:
            cancelled = [future for future in runs if future in pending and future.cancel()]
            pending -= set(cancelled)
            for future in cancelled:
                yield Outcome(runs[future], "undone", {}, "not begun", 128 + stop.signal)
            # Each process once: a second signal would end it before it has saved its state.
            for process in set(active_children()) - terminated:
                terminated.add(process)
                process.terminate()


def _train(job: _Job) -> Outcome:
    """Train one run, in this process."""
    from cnlw_tools.trainer import TrainingStopped
    from cnlw_tools.trainer import device as devices

    devices.limit_resources(job.gpu, job.threads)
    try:
        return Outcome(job.run, "done", _make_trainer(job).fit())
    except TrainingStopped as stopped:
        return Outcome(job.run, "stopped", {}, str(stopped), stopped.exit_code)
    except Exception as error:  # noqa: BLE001, whatever a method raises, the other runs go on
        message = f"{type(error).__name__}: {error}"
        return Outcome(job.run, "failed", {}, message.splitlines()[0])


def _make_trainer(job: _Job) -> "Trainer":
    from cnlw_tools.trainer import Trainer

    run, paths = job.run, job.paths
    return Trainer(
        paths.builds / run.build,
        run.config,
        method=run.method,
        net=run.net,
        preset=run.preset,
        changes=run.changes,
        options=run.options,
        seed=run.seed,
        device=paths.device,
        out=paths.out / run.name,
        resume=True,
        root=paths.inputs.root,
        cache=paths.cache,
        pretrained=run.pretrained,
        decode_threads=job.threads or None,
    )
