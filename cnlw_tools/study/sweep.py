"""A study, run: what is finished is skipped, what was killed goes on, what fails is reported and the rest goes on.

Builds that are missing are built first. The folder:

    study.json                     the study and its cells: what a report puts beside the runs
    CONFIG/METHOD_OPTIONS_sSEED/   a run (trainer/run.py)

A cell that is built alone leaves nothing there: the study says where its build lies.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnlw_tools.executor import EXECUTORS, Progress, no_progress
from cnlw_tools.recipe import preset
from cnlw_tools.recipe.run_files import read_config, read_metrics, read_result, result_to_json
from cnlw_tools.study.expand import Cell, build_missing, stands
from cnlw_tools.study.spec import Study
from cnlw_tools.study.study_file import StudyFile, write_study_file
from cnlw_tools.study.workers import Outcome, SweepPaths, train


def part(cells: Sequence[Cell], said: str) -> list[Cell]:
    """Return one machine's share of the cells: of ``2/5`` every fifth, from the second on.

    Raises:
        ValueError: no such share
    """
    which, _, of = said.partition("/")
    if not (which.isdecimal() and of.isdecimal() and 1 <= int(which) <= int(of)):
        raise ValueError(f"part {said!r}: write it as 2/5, the second of five")
    return list(cells[int(which) - 1 :: int(of)])


def result(cell: Cell, paths: SweepPaths) -> dict[str, Any] | None:
    """Return what a cell came to, nothing of one that is built alone, or none if it has not been run to its end.

    Raises:
        ValueError: the run that stands there is of other choices, or cannot be read
    """
    if not cell.method:
        return {} if stands(cell, paths.builds) else None
    folder = paths.out / cell.name
    found = read_result(folder)
    if found is None:
        return None
    config = read_config(folder)
    for key, value in _wanted(cell, paths).items():
        before = getattr(config, key)
        if before != value:
            differs = f"the run there has {key} = {before!r}, and the study now says {value!r}"
            raise ValueError(f"{folder}: {differs}: give another --out")
    return result_to_json(found)


def remaining(cells: Sequence[Cell], paths: SweepPaths) -> float | None:
    """Return the seconds that the cells still take, one after the other, going by those that ran; none: nothing did.

    An epoch takes what epochs of the same method and network took, else what all took, on average.
    """
    took: dict[Any, list[float]] = {}
    left = 0.0
    todo = []
    for cell in (cell for cell in cells if cell.method):
        seconds = _seconds(paths.out / cell.name)
        for key in ((cell.method, cell.net), None):
            took.setdefault(key, []).extend(seconds)
        if not (paths.out / cell.name / "result.json").is_file():
            todo.append((cell, max(0, _preset(cell, paths).epochs - len(seconds))))
    if todo and not took[None]:
        return None
    for cell, epochs in todo:
        like = took[cell.method, cell.net] or took[None]
        left += epochs * sum(like) / len(like)
    return left


def run(
    cells: Sequence[Cell],
    paths: SweepPaths,
    jobs: int = 1,
    workers: int | None = 1,
    progress: Progress = no_progress,
) -> Iterator[Outcome]:
    """Run the cells that are left and yield what became of each, as it comes.

    Args:
        cells: of a study, all of them or a part
        paths: where to read and write
        jobs: cells at once, each with its share of the processors, and a GPU in turn
        workers: processes that build; none: as many as there are processors
        progress: is told how builds come along

    Raises:
        OSError: the folder cannot be written
    """
    todo = []
    for cell in cells:
        try:
            found = result(cell, paths)
        except ValueError as error:
            yield Outcome(cell, "failed", {}, str(error))
            continue
        if found is None:
            todo.append(cell)
        else:
            yield Outcome(cell, "skipped", found)
    with EXECUTORS["local"](workers) as executor:
        broken = build_missing(todo, paths.builds, paths.inputs, executor, progress)
    sound = []
    for cell in todo:
        if why := broken.get((cell.build, cell.config)):
            yield Outcome(cell, "failed", {}, why)
        elif cell.method:
            sound.append(cell)
        else:
            yield Outcome(cell, "done", {})
    yield from train(sound, paths, jobs)


def note(study: Study, cells: Sequence[Cell], name: str, scale: str, paths: SweepPaths) -> None:
    """Write down the study and all its cells, for the report."""
    command = tuple(sys.argv)
    study_file = StudyFile(name, scale, study, tuple(cells), str(paths.builds), command)
    write_study_file(paths.out, study_file)


def _wanted(cell: Cell, paths: SweepPaths) -> dict[str, Any]:
    """Return what the cell's config.json has to say."""
    how = _preset(cell, paths)
    options = {**preset.method_options(how, cell.method, cell.level), **cell.options}
    asked = {
        "config": cell.config,
        "method": cell.method,
        "options": options,
        "net": how.net,
        "seed": cell.seed,
    }
    asked["pretrained"] = cell.pretrained
    said: dict[str, Any] = json.loads(json.dumps({**asked, "preset": preset.recorded_preset(how)}))
    return said


def _preset(cell: Cell, paths: SweepPaths) -> preset.Preset:
    how = preset.read_preset(cell.preset, paths.inputs.root)
    how = preset.change_preset(how, cell.changes, "the changes of the study")
    return replace(how, net=cell.net) if cell.net else how


def _seconds(folder: Path) -> list[float]:
    """Return what the epochs of a run took."""
    return [metrics["seconds"] for metrics in read_metrics(folder)]
