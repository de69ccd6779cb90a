"""A sweep: all runs of a study. Runs that are finished are skipped, and killed ones are resumed.

Missing builds are made first. A run that fails is reported, and the others go on. The folder:

    study.json                     the study and its runs: what a report puts beside the results
    CONFIG/METHOD_OPTIONS_sSEED/   a run (trainer/run.py)

A config that is built alone has no folder here: the study says where its build lies.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnlw_tools.executor import EXECUTORS, Progress, no_progress
from cnlw_tools.recipe.preset import (
    Preset,
    change_preset,
    method_options,
    read_preset,
    recorded_preset,
)
from cnlw_tools.recipe.run_files import read_config, read_metrics, read_result, result_to_json
from cnlw_tools.study.expand import RunSpec, build_missing, is_built
from cnlw_tools.study.spec import Study
from cnlw_tools.study.study_file import StudyFile, write_study_file
from cnlw_tools.study.workers import Outcome, SweepPaths, train_runs
from cnlw_tools.trainer.image_sides import adapt_to_build


def select_shard(runs: Sequence[RunSpec], shard: str) -> list[RunSpec]:
    """Return the runs of one of several machines: for ``2/5`` every fifth, from the second on.

    Raises:
        ValueError: there is no such shard
    """
    index, _, count = shard.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise ValueError(f"shard {shard!r}: write it as 2/5, the second of five")
    return list(runs[int(index) - 1 :: int(count)])


def find_result(run: RunSpec, paths: SweepPaths) -> dict[str, Any] | None:
    """Return the result of a run, which is empty for a build alone; none if it is not finished.

    Raises:
        ValueError: the run in its folder made other choices, or cannot be read
    """
    if not run.method:
        return {} if is_built(run, paths.builds) else None
    folder = paths.out / run.name
    result = read_result(folder)
    if result is None:
        return None
    config = read_config(folder)
    for key, value in _expected_config(run, paths).items():
        old_value = getattr(config, key)
        if old_value != value:
            raise ValueError(
                f"{folder}: the run there has {key} = {old_value!r}, and the study now has "
                f"{value!r}: use another --out"
            )
    return result_to_json(result)


def estimate_seconds(runs: Sequence[RunSpec], paths: SweepPaths) -> float | None:
    """Return how long the unfinished runs will take, one after the other; none if no epoch has run.

    An epoch takes as long as those of the same method and network did on average, or as all did.
    """
    all_seconds: list[float] = []
    seconds_by_kind: dict[tuple[str, str | None], list[float]] = {}
    epochs_left: list[tuple[RunSpec, int]] = []
    for run in runs:
        if not run.method:
            continue
        folder = paths.out / run.name
        seconds = _epoch_seconds(folder)
        all_seconds += seconds
        seconds_by_kind.setdefault((run.method, run.net), []).extend(seconds)
        if not (folder / "result.json").is_file():
            epochs = _run_preset(run, paths).epochs
            epochs_left.append((run, max(0, epochs - len(seconds))))
    if epochs_left and not all_seconds:
        return None
    total = 0.0
    for run, epochs in epochs_left:
        seconds = seconds_by_kind[run.method, run.net] or all_seconds
        total += epochs * sum(seconds) / len(seconds)
    return total


def run_sweep(
    runs: Sequence[RunSpec],
    paths: SweepPaths,
    jobs: int = 1,
    workers: int | None = 1,
    progress: Progress = no_progress,
) -> Iterator[Outcome]:
    """Make all runs that are not finished; yield the outcome of each when it is known.

    Args:
        runs: of a study, all of them or a part
        paths: where to read and write
        jobs: runs at once, each with its share of the processors, and a GPU in turn
        workers: processes that build; none: one for each processor
        progress: is told how builds proceed

    Raises:
        OSError: the folder cannot be written
    """
    unfinished = []
    for run in runs:
        try:
            result = find_result(run, paths)
        except ValueError as error:
            yield Outcome(run, "failed", {}, str(error))
            continue
        if result is None:
            unfinished.append(run)
        else:
            yield Outcome(run, "skipped", result)

    with EXECUTORS["local"](workers) as executor:
        errors = build_missing(unfinished, paths.builds, paths.inputs, executor, progress)
    trainable = []
    for run in unfinished:
        message = errors.get((run.build, run.config))
        if message is not None:
            yield Outcome(run, "failed", {}, message)
        elif run.method:
            trainable.append(run)
        else:
            yield Outcome(run, "done", {})
    yield from train_runs(trainable, paths, jobs)


def record_study(
    study: Study, runs: Sequence[RunSpec], name: str, scale: str, paths: SweepPaths
) -> None:
    """Write the study and all its runs into the folder, for the report."""
    command = tuple(sys.argv)
    study_file = StudyFile(name, scale, study, tuple(runs), str(paths.builds), command)
    write_study_file(paths.out, study_file)


def _expected_config(run: RunSpec, paths: SweepPaths) -> dict[str, Any]:
    """Return what config.json of a run has to say."""
    preset = _run_preset(run, paths)
    config = {
        "config": run.config,
        "method": run.method,
        "options": {**method_options(preset, run.method, run.level), **run.options},
        "net": preset.net,
        "seed": run.seed,
        "pretrained": run.pretrained,
        "preset": recorded_preset(preset),
    }
    as_read: dict[str, Any] = json.loads(json.dumps(config))
    return as_read


def _run_preset(run: RunSpec, paths: SweepPaths) -> Preset:
    """Return how a run is trained."""
    named = read_preset(run.preset, paths.inputs.root)
    preset = change_preset(named, run.changes, "the changes of the study")
    if named.adapt and is_built(run, paths.builds):
        preset = adapt_to_build(named, run.changes, paths.builds / run.build, run.config)
    return replace(preset, net=run.net) if run.net else preset


def _epoch_seconds(folder: Path) -> list[float]:
    """Return how long each epoch of a run took."""
    return [metrics["seconds"] for metrics in read_metrics(folder)]
