"""A study, run: each cell in a process of its own, so that one that fails takes no other with it.

A cell whose result stands is skipped, one that was killed goes on, one that fails is reported and the rest goes on.
SIGTERM and Ctrl-C let the cells at work save where they are. Builds that are missing are built first. The folder:

    study.json                     the study and its cells: what a report puts beside the runs
    CONFIG/METHOD_OPTIONS_sSEED/   a run (trainer/run.py)
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from multiprocessing import active_children
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from cnlw_tools import engine, files
from cnlw_tools.cells import Cell, built
from cnlw_tools.stop import Stop
from cnlw_tools.study import Study
from cnlw_tools.trainer import Stopped, Trainer, preset
from cnlw_tools.trainer import device as devices

STUDY = "study.json"
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sweep reads and writes."""

    out: Path
    builds: Path = Path("builds")
    root: Path | None = None  # of manifests/, annotations/, pipelines/; none: the package's own
    data_dir: Path | None = None
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
    place: Place
    threads: int  # of torch; 0: as many as it likes
    gpu: str | None  # which one to use, of those that can be seen


def part(cells: Sequence[Cell], said: str) -> list[Cell]:
    """Return one machine's share of the cells: of ``2/5`` every fifth, from the second on.

    Raises:
        ValueError: no such share
    """
    which, _, of = said.partition("/")
    if not (which.isdecimal() and of.isdecimal() and 1 <= int(which) <= int(of)):
        raise ValueError(f"part {said!r}: write it as 2/5, the second of five")
    return list(cells[int(which) - 1 :: int(of)])


def result(cell: Cell, place: Place) -> dict[str, Any] | None:
    """Return what a cell came to, or none if it has not been run to its end.

    Raises:
        ValueError: the run that stands there is of other choices, or cannot be read
    """
    folder = place.out / cell.name
    if not (folder / "result.json").is_file():
        return None
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: the run cannot be read ({error}): delete it, and it is run again") from error
    for key, value in _wanted(cell, place).items():
        if said.get(key) != value:
            differs = f"the run there has {key} = {said.get(key)!r}, and the study now says {value!r}"
            raise ValueError(f"{folder}: {differs}: give another --out")
    return found


def remaining(cells: Sequence[Cell], place: Place) -> float | None:
    """Return the seconds that the cells still take, one after the other, going by those that ran; none: nothing did.

    An epoch takes what epochs of the same method and network took, else what all took, on average.
    """
    took: dict[Any, list[float]] = {}
    left = 0.0
    todo = []
    for cell in cells:
        seconds = _seconds(place.out / cell.name)
        for key in ((cell.method, cell.net), None):
            took.setdefault(key, []).extend(seconds)
        if not (place.out / cell.name / "result.json").is_file():
            todo.append((cell, max(0, _preset(cell, place).epochs - len(seconds))))
    if todo and not took[None]:
        return None
    for cell, epochs in todo:
        like = took[cell.method, cell.net] or took[None]
        left += epochs * sum(like) / len(like)
    return left


def run(cells: Sequence[Cell], place: Place, jobs: int = 1, tell: Tell = lambda *_: None) -> Iterator[Outcome]:
    """Run the cells that are left and yield what became of each, as it comes.

    Args:
        cells: of a study, all of them or a part
        place: where to read and write
        jobs: cells at once, each with its share of the processors, and a GPU in turn
        tell: is told how builds come along

    Raises:
        OSError: the folder cannot be written
    """
    todo = []
    for cell in cells:
        try:
            found = result(cell, place)
        except ValueError as error:
            yield Outcome(cell, "failed", {}, str(error))
            continue
        if found is None:
            todo.append(cell)
        else:
            yield Outcome(cell, "skipped", found)
    broken = built(todo, place.builds, place.root or files.root(), place.data_dir, tell)
    yield from (Outcome(cell, "failed", {}, broken[cell.config]) for cell in todo if cell.config in broken)
    yield from _train([cell for cell in todo if cell.config not in broken], place, jobs)


def note(study: Study, cells: Sequence[Cell], name: str, scale: str, place: Place) -> None:
    """Write down the study and all its cells, for the report."""
    said = {
        "name": name,
        "scale": scale,
        "study": asdict(study),
        "cells": [{**asdict(cell), "recipe": asdict(cell.recipe)} for cell in cells],
        "command": sys.argv,
    }
    with files.aside(place.out / STUDY) as draft:
        draft.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def _train(cells: Sequence[Cell], place: Place, jobs: int) -> Iterator[Outcome]:
    """Train cells, each in a process of its own, so many at once."""
    seats: SimpleQueue[int] = SimpleQueue()
    for seat in range(jobs):
        seats.put(seat)
    gpus = devices.gpus() if jobs > 1 else []
    threads = 0 if jobs == 1 else max(1, engine.cores() // jobs)

    def alone(cell: Cell) -> Outcome:
        seat = seats.get()
        gpu = gpus[seat % len(gpus)] if gpus else None
        try:
            return next(engine.run(_cell, [_Job(cell, place, threads, gpu)], 1, apart=True))
        except OSError as error:  # the process died
            if stop.asked:
                return Outcome(cell, "stopped", {}, "stopped before it began to train", 128 + stop.asked)
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
    open_, told = set(cells), set[Any]()
    while open_:
        done, open_ = wait(open_, 0.5, FIRST_COMPLETED)  # or see, twice a second, whether a signal came
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
    devices.confine(job.gpu, job.threads)
    cell, place = job.cell, job.place
    try:
        return Outcome(cell, "done", _trainer(cell, place, job.threads).fit())
    except Stopped as stopped:
        return Outcome(cell, "stopped", {}, str(stopped), stopped.code)
    except Exception as error:  # noqa: BLE001, whatever a method raises, the other cells go on
        return Outcome(cell, "failed", {}, f"{type(error).__name__}: {error}".splitlines()[0])


def _trainer(cell: Cell, place: Place, workers: int) -> Trainer:
    return Trainer(
        place.builds / cell.build,
        cell.config,
        method=cell.method,
        net=cell.net,
        plan=cell.preset,
        changes=cell.changes,
        options=cell.options,
        seed=cell.seed,
        device=place.device,
        out=place.out / cell.name,
        resume=True,
        root=place.root,
        cache=place.cache,
        workers=workers or None,
    )


def _wanted(cell: Cell, place: Place) -> dict[str, Any]:
    """Return what the cell's config.json has to say."""
    how = _preset(cell, place)
    options = {**preset.options(how, cell.method, cell.level), **cell.options}
    asked = {"config": cell.config, "method": cell.method, "options": options, "net": how.net, "seed": cell.seed}
    said: dict[str, Any] = json.loads(json.dumps({**asked, "preset": preset.said(how)}))
    return said


def _preset(cell: Cell, place: Place) -> preset.Preset:
    how = preset.load(cell.preset, place.root or files.root())
    how = preset.changed(how, cell.changes, "the changes of the study")
    return replace(how, net=cell.net) if cell.net else how


def _seconds(folder: Path) -> list[float]:
    """Return what the epochs of a run took."""
    path = folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line)["seconds"] for line in lines]
