"""Training runs, each in a process of its own, so that one that fails does not end the others.

On SIGTERM or Ctrl-C, runs that are training save their state, or end if they are about to, and the
others are left undone. A second signal ends the processes at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from cnlw_tools.card.remote import build_folder
from cnlw_tools.executor import limits, local, no_progress
from cnlw_tools.executor.signals import Interrupted, StopRequest
from cnlw_tools.files import scratch_folder
from cnlw_tools.files.mirror import Mirror
from cnlw_tools.files.storage import below, is_address
from cnlw_tools.files.untrusted import first_line
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.study.expand import RunSpec

if TYPE_CHECKING:  # to plan a sweep takes no torch
    from cnlw_tools.trainer import Trainer

POLL_SECONDS = 0.5  # how often a sweep checks whether a signal came


@dataclass(frozen=True, slots=True)
class SweepPaths:
    """Where a sweep reads and writes, the device that it trains on, and what it keeps."""

    out: Path | str  # of the runs, in a folder or at an address
    inputs: Inputs  # of its builds, and of presets
    builds: Path | str = Path("builds")  # likewise
    device: str = "auto"
    cache: Path | None = None  # of decoded pixels
    keep_best: bool = False  # keep the weights of the best epoch of each run

    @property
    def folder(self) -> Path:
        """The folder of the runs; of those at an address, its mirror."""
        return Mirror(self.out).folder if is_address(self.out) else Path(self.out)

    def run_folder(self, run: RunSpec) -> Path:
        """Return the folder of a run; of one at an address, its mirror."""
        place = below(self.out, run.name)
        return Mirror(place).folder if is_address(place) else Path(place)

    def build_folder(self, run: RunSpec) -> Path:
        """Return the folder of the build of a run; of one at an address, its mirror."""
        return build_folder(below(self.builds, run.build))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run."""

    run: RunSpec
    state: str  # done | skipped | failed | stopped | undone, which is stopped before it began
    result: dict[str, Any]  # last, best, mean10; empty unless done or skipped
    reason: str = ""  # why it failed or stopped
    exit_code: int = 0  # of a program that was stopped by the same signal


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is that trains now."""

    run: RunSpec
    stage: str  # decode, or the epoch
    done: int  # steps of the stage
    total: int


WatchRuns = Callable[[Mapping[int, RunProgress]], object]  # by slot

PROGRESS = np.dtype([("stage", "S32"), ("done", "i8"), ("total", "i8")])


def watch_nothing(progress: Mapping[int, RunProgress]) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class RunJob:
    """What the process of a run is told."""

    run: RunSpec
    paths: SweepPaths
    threads: int  # of torch; 0: torch's own choice
    gpu: str | None  # the one to use, of those that are visible
    board: Path | None = None  # file of PROGRESS, a row a slot
    slot: int = 0


@dataclass(slots=True)
class _Board:
    """A file in which the processes that train write how far they are, a row each."""

    path: Path
    jobs: int
    runs: dict[int, RunSpec] = field(default_factory=dict)  # that train now, by slot

    def __post_init__(self) -> None:
        self.path.write_bytes(bytes(self.jobs * PROGRESS.itemsize))

    def read(self) -> dict[int, RunProgress]:
        """Return how far each run is that has begun, by slot."""
        rows = np.fromfile(self.path, PROGRESS)
        progress = {}
        for slot, run in sorted(dict(self.runs).items()):
            row = rows[slot]
            stage = row["stage"].decode()
            if stage:
                progress[slot] = RunProgress(run, stage, int(row["done"]), int(row["total"]))
        return progress

    def clear(self, slot: int) -> None:
        """Forget the run of a slot."""
        self.runs.pop(slot, None)
        _write_progress(self.path, slot, "", 0, 0)


def _write_progress(board: Path, slot: int, stage: str, done: int, total: int) -> None:
    row = np.array([(stage.encode(), done, total)], PROGRESS)
    with board.open("r+b") as file:
        file.seek(slot * PROGRESS.itemsize)
        file.write(row.tobytes())


def train_runs(
    runs: Sequence[RunSpec],
    paths: SweepPaths,
    jobs: int,
    watch: WatchRuns = watch_nothing,
) -> Iterator[Outcome]:
    """Train runs, ``jobs`` of them at once, and yield the outcome of each when it is known.

    Each has its share of the processors, and a GPU in turn.

    Args:
        runs: that are not finished
        paths: where to read and write
        jobs: runs at once
        watch: is told every half a second how far the runs are that train

    Raises:
        Interrupted: a signal came; all outcomes have been yielded
    """
    if not runs:
        return
    with scratch_folder() as folder, StopRequest() as stop, ThreadPoolExecutor(jobs) as threads:
        pool = _RunPool(paths, jobs, _Board(folder / "progress", jobs), stop)
        futures = {threads.submit(pool.train, run): run for run in runs}
        try:
            yield from _outcomes(futures, stop, lambda: watch(pool.board.read()))
        except BaseException:  # a second signal, or the caller listens no more
            for future in futures:
                future.cancel()
            for process in active_children():
                process.kill()
            raise
    if stop.signal:
        raise Interrupted(stop.signal)


class _RunPool:
    """Trains runs in processes of their own, each with its share of this machine.

    Args:
        paths: where to read and write
        jobs: runs at once
        board: where they write how far they are
        stop: a signal to this process
    """

    def __init__(self, paths: SweepPaths, jobs: int, board: _Board, stop: StopRequest) -> None:
        from cnlw_tools.trainer import device as devices

        self.paths, self.board, self.stop = paths, board, stop
        self.gpus = devices.visible_gpus() if jobs > 1 else []
        self.threads = 0 if jobs == 1 else max(1, limits.cores() // jobs)
        self.slots: SimpleQueue[int] = SimpleQueue()
        for slot in range(jobs):
            self.slots.put(slot)

    def train(self, run: RunSpec) -> Outcome:
        """Train a run as soon as there is a slot for it."""
        slot = self.slots.get()
        gpu = self.gpus[slot % len(self.gpus)] if self.gpus else None
        job = RunJob(run, self.paths, self.threads, gpu, self.board.path, slot)
        self.board.runs[slot] = run
        try:
            with local.isolated(1) as executor:
                return next(executor.map(train_run, [job]))
        except OSError as error:  # the process died
            return _outcome_of_dead_process(run, error, self.stop)
        finally:
            self.board.clear(slot)
            self.slots.put(slot)


def _outcome_of_dead_process(run: RunSpec, error: OSError, stop: StopRequest) -> Outcome:
    if stop.signal:
        reason = "stopped before it began to train"
        return Outcome(run, "stopped", {}, reason, 128 + stop.signal)
    return Outcome(run, "failed", {}, str(error))


def _outcomes(
    runs: Mapping[Future[Outcome], RunSpec],
    stop: StopRequest,
    on_poll: Callable[[], object] = lambda: None,
) -> Iterator[Outcome]:
    """Yield outcomes as they come; after a signal, end the runs that train, and cancel the others.

    A run that was stopped by a signal counts as a signal to this process.

    Args:
        runs: by the future of their outcome
        stop: a signal to this process
        on_poll: is called every half a second
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
        on_poll()


def train_run(job: RunJob) -> Outcome:
    """Train one run, in this process."""
    from cnlw_tools.trainer import TrainingStopped
    from cnlw_tools.trainer import device as devices

    devices.limit_resources(job.gpu, job.threads)
    progress = no_progress if job.board is None else partial(_write_progress, job.board, job.slot)
    try:
        return Outcome(job.run, "done", _make_trainer(job).fit(progress))
    except TrainingStopped as stopped:
        return Outcome(job.run, "stopped", {}, str(stopped), stopped.exit_code)
    except Exception as error:  # noqa: BLE001, whatever a method raises, the other runs go on
        return Outcome(job.run, "failed", {}, f"{type(error).__name__}: {first_line(error)}")


def _make_trainer(job: RunJob) -> "Trainer":
    from cnlw_tools.trainer import Trainer

    run, paths = job.run, job.paths
    return Trainer(
        below(paths.builds, run.build),
        run.config,
        method=run.method,
        net=run.net,
        preset=run.preset,
        changes=run.changes,
        options=run.options,
        seed=run.seed,
        device=paths.device,
        out=below(paths.out, run.name),
        resume=True,
        root=paths.inputs.root,
        cache=paths.cache,
        keep_best=paths.keep_best,
        pretrained=run.pretrained,
        decode_threads=job.threads or None,
    )
