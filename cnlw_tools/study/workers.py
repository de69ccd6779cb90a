"""Cells, trained: each in a process of its own, so that one that fails takes no other with it.

SIGTERM and Ctrl-C let the cells at work save where they are; the others do not begin.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from cnlw_tools.executor import local
from cnlw_tools.executor.signals import Stop
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.study.expand import Cell

if TYPE_CHECKING:  # to plan a sweep takes no torch
    from cnlw_tools.trainer import Trainer


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
    """What became of a cell."""

    cell: Cell
    state: str  # done | skipped | failed | stopped
    result: dict[str, Any]  # last, best, mean10; empty unless done or skipped
    why: str = ""
    code: int = 0  # exit code of a program that stopped so


@dataclass(frozen=True, slots=True)
class _Job:
    cell: Cell
    paths: SweepPaths
    threads: int  # of torch; 0: as many as it likes
    gpu: str | None  # which one to use, of those that can be seen


def train(cells: Sequence[Cell], paths: SweepPaths, jobs: int) -> Iterator[Outcome]:
    """Train cells, ``jobs`` at once, and yield what became of each, as it comes.

    Each has its share of the processors, and a GPU in turn.
    """
    from cnlw_tools.trainer import device as devices

    seats: SimpleQueue[int] = SimpleQueue()
    for seat in range(jobs):
        seats.put(seat)
    gpus = devices.visible_gpus() if jobs > 1 else []
    threads = 0 if jobs == 1 else max(1, local.cores() // jobs)

    def alone(cell: Cell) -> Outcome:
        seat = seats.get()
        job = _Job(cell, paths, threads, gpus[seat % len(gpus)] if gpus else None)
        try:
            with local.isolated(1) as executor:
                return next(executor.map(_cell, [job]))
        except OSError as error:  # the process died
            if stop.asked:
                return Outcome(
                    cell, "stopped", {}, "stopped before it began to train", 128 + stop.asked
                )
            return Outcome(cell, "failed", {}, str(error))
        finally:
            seats.put(seat)

    with Stop() as stop, ThreadPoolExecutor(jobs) as pool:
        try:
            yield from _outcomes([pool.submit(alone, cell) for cell in cells], stop)
        finally:
            pool.shutdown(cancel_futures=True)


def _outcomes(cells: Sequence[Future[Outcome]], stop: Stop) -> Iterator[Outcome]:
    """Yield what becomes of cells; once one has stopped, or we are asked to, the others stop or do not begin."""
    open_, told = set(cells), set[BaseProcess]()
    while open_:
        done, open_ = wait(
            open_, 0.5, FIRST_COMPLETED
        )  # or see, twice a second, whether a signal came
        for future in done:
            yield future.result()
            stop.asked = stop.asked or max(0, future.result().code - 128)
        if stop.asked:
            open_ -= {future for future in open_ if future.cancel()}
            for process in set(active_children()) - told:  # a second time would end it at once
                told.add(process)
                process.terminate()


def _cell(job: _Job) -> Outcome:
    """Train one cell, in this process."""
    from cnlw_tools.trainer import TrainingStopped
    from cnlw_tools.trainer import device as devices

    devices.limit_resources(job.gpu, job.threads)
    cell, paths = job.cell, job.paths
    try:
        return Outcome(cell, "done", _trainer(cell, paths, job.threads).fit())
    except TrainingStopped as stopped:
        return Outcome(cell, "stopped", {}, str(stopped), stopped.exit_code)
    except Exception as error:  # noqa: BLE001, whatever a method raises, the other cells go on
        return Outcome(cell, "failed", {}, f"{type(error).__name__}: {error}".splitlines()[0])


def _trainer(cell: Cell, paths: SweepPaths, workers: int) -> "Trainer":
    from cnlw_tools.trainer import Trainer

    return Trainer(
        paths.builds / cell.build,
        cell.config,
        method=cell.method,
        net=cell.net,
        preset=cell.preset,
        changes=cell.changes,
        options=cell.options,
        seed=cell.seed,
        device=paths.device,
        out=paths.out / cell.name,
        resume=True,
        root=paths.inputs.root,
        cache=paths.cache,
        pretrained=cell.pretrained,
        decode_threads=workers or None,
    )
