"""Run folders as one tidy table: a row for each run, epoch and metric (tables.RUNS).

The results of a run that has ended, `last`, `best`, `mean10` and `drop` = best - last, stand at its
last epoch; so do `NAME_last`, `NAME_best` and `NAME_mean10` of other validation images, whose
`val_NAME_top1` it measured, and `reported_epochs`, the number of last epochs that these are over.
They are computed from the epochs by the function that the trainer uses. The column `options` holds,
as JSON, the options of the method, and what else differs between the runs of a dataset
(`trial_key.settings`): `net`, `pretrained`, `weights`, `ranks`, `split`, and values of the preset
as `preset.lr`; and digests: `data`, if runs of one config learned from different data, and `code`,
if methods or networks of the user share a name.
"""

import json
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from cnlw_tools.card.remote import build_folder, local_build
from cnlw_tools.dataset.tables import RUNS
from cnlw_tools.executor import SERIAL, Executor
from cnlw_tools.files.untrusted import error_line
from cnlw_tools.recipe.run_files import (
    CHECKPOINT,
    CONFIG,
    METRICS,
    PREDICTIONS,
    REMEDY,
    RESULT,
    Metrics,
    RunConfig,
    RunResult,
    read_config,
    read_metrics,
    read_result,
    summarise_history,
)
from cnlw_tools.reports.trial_key import DIGITS, data_digest, name_datasets, run_digest, settings

RUNS_PER_TASK = 32
RUN_SIGNS = {CONFIG, METRICS, RESULT, CHECKPOINT, PREDICTIONS}  # a folder of one is one of a run
NO_TEXT = ("Cc", "Cs")  # Unicode's categories of control characters, and of bytes not in UTF-8
MetricValue = tuple[int, str, float]  # epoch, metric, value


def refuse_problem(problem: str) -> NoReturn:
    """Raise the problem as an error.

    Raises:
        ValueError: always
    """
    raise ValueError(problem)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run as it lies in its folder."""

    folder: Path
    name: str  # path below the folder of all runs
    config: RunConfig
    history: list[Metrics]  # by epoch
    result: RunResult | None  # None: it has not ended
    dataset: str = ""  # see `trial_key.name_datasets`

    @property
    def build(self) -> Path:
        """The folder of the build that it learned from; of an address, its mirror."""
        return build_folder(self.config.build)

    def copy_build(self) -> Path:
        """Return the folder of the build; of one at an address, what the run used is copied.

        Raises:
            ValueError, LookupError, OSError: there is no such build, or it has no such config
        """
        return local_build(self.config.build, self.config.config)

    @property
    def depth(self) -> int:
        """The number of folders that it lies in, below that of all runs."""
        return self.name.count("/")


def read_run_folders(
    folder: Path,
    on_problem: Callable[[str], object] = refuse_problem,
    study_builds: Collection[Path] = (),
    executor: Executor = SERIAL,
) -> list[RunFolder]:
    """Read every run below a folder, in the order of their names.

    Args:
        folder: of runs, at any depth
        on_problem: is told why something is skipped; by default that is an error
        study_builds: builds of a study, by their resolved paths: see `trial_key.name_datasets`
        executor: where files are read

    Raises:
        FileNotFoundError: there is none
        ValueError: something cannot be read, and `on_problem` is the default
    """
    paths = _find_folders(folder, on_problem)
    blocks = [paths[i : i + RUNS_PER_TASK] for i in range(0, len(paths), RUNS_PER_TASK)]
    results: dict[Path, RunFolder | str] = {}
    for block in executor.map(partial(_read_block, folder), blocks):
        results.update(block)
    run_folders = []
    for path in paths:
        result = results[path]
        if isinstance(result, str):
            on_problem(f"skipped: {result}")
        else:
            run_folders.append(result)
    if not run_folders:
        raise FileNotFoundError(
            f"{folder}: there is no run here (no readable config.json below it): "
            "make one with `cnlw train` or `cnlw sweep`"
        )
    names = name_datasets([run.config for run in run_folders], study_builds)
    return [replace(run, dataset=names[run.config.build]) for run in run_folders]


def drop_copies(
    run_folders: Sequence[RunFolder], study_runs: Collection[str] = ()
) -> tuple[list[RunFolder], list[str]]:
    """Return each run once, and a sentence about every copy.

    A copy was asked for the same, with the same seed, and measured the same in every epoch. The
    original is the run of a study, or else the one in the fewest folders.

    Args:
        run_folders: in the order of their names
        study_runs: names of runs that a study asks for, which are not copies of each other
    """
    originals: dict[str, str] = {}
    sentences = []
    copies = set()
    for run in sorted(run_folders, key=lambda run: (run.name not in study_runs, run.depth)):
        digest = run_digest(run.config, run.history, run.result and asdict(run.result))
        original = originals.setdefault(f"{run.dataset} {digest}", run.name)
        if original != run.name and run.name not in study_runs:
            copies.add(run.name)
            sentences.append(f"{run.name}: a copy of {original}, so it does not count")
    return [run for run in run_folders if run.name not in copies], sentences


def describe_single_stages(run_folders: Sequence[RunFolder]) -> list[str]:
    """Return a sentence about each run of one epoch whose method trains in stages."""
    sentences = []
    for run in run_folders:
        if run.config.is_staged and run.result is not None and run.result.epochs == 1:
            sentences.append(
                f"{run.name}: one epoch is one stage of {run.config.method}: "
                "the result is not that of the method"
            )
    return sentences


def _find_folders(folder: Path, on_problem: Callable[[str], object]) -> list[Path]:
    """Return the folders that hold a file of a run, in order."""

    def pass_over(error: OSError) -> None:
        on_problem(f"skipped: {error.filename}: {error.strerror}: check its permissions")

    paths = []
    for parent, folder_names, file_names in os.walk(folder, onerror=pass_over):
        if not RUN_SIGNS.isdisjoint([*folder_names, *file_names]):
            paths.append(Path(parent))
    return sorted(paths)


def make_runs_table(run_folders: Sequence[RunFolder], labels: Mapping[str, str] = {}) -> pa.Table:
    """Return runs as one tidy table.

    Args:
        run_folders: of any datasets
        labels: name of a run -> what to call its method
    """
    settings_by_run = _differing_settings(run_folders)
    rows = []
    for run in run_folders:
        description = _describe_run(run, settings_by_run[run.name])
        description["method"] = labels.get(run.name, run.config.method)
        for epoch, metric, value in _metric_values(run):
            rows.append({**description, "epoch": epoch, "metric": metric, "value": value})
    return pa.Table.from_pylist(rows, RUNS)


def _read_block(folder: Path, paths: Sequence[Path]) -> dict[Path, RunFolder | str]:
    """Return runs by their paths, or why one cannot be read."""
    results: dict[Path, RunFolder | str] = {}
    for path in paths:
        try:
            results[path] = _read_run_folder(path, path.relative_to(folder).as_posix())
        except (ValueError, OSError) as error:
            results[path] = error_line(error)
    return results


def _read_run_folder(folder: Path, name: str) -> RunFolder:
    if any(unicodedata.category(letter) in NO_TEXT for letter in name):
        raise ValueError(f"{name!a}: this name has unusual characters: rename the folder")
    run = RunFolder(folder, name, read_config(folder), read_metrics(folder), read_result(folder))
    if run.result is not None:
        _check_result(folder, run.history, run.result)
    return run


def _check_result(folder: Path, history: Sequence[Metrics], result: RunResult) -> None:
    """Raise if a result is not that of the epochs beside it: another run has left it."""
    accuracies = {name for name in history[-1] if "top1" in name} if history else set()
    for metrics in history:
        if not accuracies <= metrics.keys():
            raise ValueError(
                f"{folder / METRICS}: epoch {metrics['epoch']:g} lacks accuracies that the "
                "last epoch has: "
                f"{REMEDY}"
            )
    if result.n_reported > result.epochs:
        raise ValueError(
            f"{folder / RESULT}: reported_epochs = {result.n_reported} of {result.epochs}: {REMEDY}"
        )
    last = history[-1].get("val_top1") if history else None
    if len(history) != result.epochs or last != result.validation.last:
        raise ValueError(
            f"{folder / RESULT}: it ends with {result.validation.last:g} % after {result.epochs} "
            f"epochs, and {METRICS} with {'nothing' if last is None else f'{last:g} %'} after "
            f"{len(history)}: {REMEDY}"
        )


def _differing_settings(run_folders: Sequence[RunFolder]) -> dict[str, dict[str, Any]]:
    """Return what is not alike in all runs of a dataset, by the name of the run."""
    settings_by_dataset: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for run in run_folders:
        settings_by_dataset[run.dataset][run.name] = settings(run.config)
    differing = {}
    for settings_by_run in settings_by_dataset.values():
        varied = _varied_names(list(settings_by_run.values()))
        for name, values in settings_by_run.items():
            differing[name] = {key: value for key, value in values.items() if key in varied}

    digests: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for run in run_folders:
        config = run.config
        split = config.split or "train"
        digests["data", run.dataset, config.config, split][run.name] = data_digest(config)
        code = config.code or "unrecorded"
        digests["code", run.dataset, config.method, config.net][run.name] = code
    for (kind, *_), digest_by_run in digests.items():
        if len(set(digest_by_run.values())) > 1:
            for name, digest in digest_by_run.items():
                differing[name][kind] = digest[:DIGITS]
    return differing


def _varied_names(all_settings: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of settings that are not alike in all runs, or not there."""
    first = all_settings[0]
    varied = set()
    for values in all_settings:
        for name in {*first, *values}:
            if first.get(name) != values.get(name):
                varied.add(name)
    return varied


def _describe_run(run: RunFolder, differing_settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table says about a run in each of its rows."""
    return {
        "run": run.name,
        "dataset": run.dataset,
        "config": run.config.config,
        "noise": run.config.noise,
        "level": run.config.level,
        "options": json.dumps({**run.config.options, **differing_settings}, sort_keys=True),
        "seed": run.config.seed,
    }


def _metric_values(run: RunFolder) -> list[MetricValue]:
    """Return all numbers of a run."""
    values: list[MetricValue] = []
    for metrics in run.history:
        epoch = int(metrics["epoch"])
        values += [(epoch, name, value) for name, value in metrics.items() if name != "epoch"]
    if run.result is not None:
        result = summarise_history(run.history, run.result.n_reported)
        values += _result_values(result)
    return values


def _result_values(result: RunResult) -> list[MetricValue]:
    """Return the results of a run that has ended, those on other validation images by their name.

    They stand at its last epoch.
    """
    summary = result.validation
    values = asdict(summary)
    values["drop"] = summary.best - summary.last
    values["reported_epochs"] = result.n_reported
    for name, other_summary in result.others.items():
        match = re.fullmatch("val_(.+)_top1", name)
        if match is not None:
            for metric, value in asdict(other_summary).items():
                values[f"{match[1]}_{metric}"] = value
    return [(result.epochs, name, value) for name, value in values.items()]
