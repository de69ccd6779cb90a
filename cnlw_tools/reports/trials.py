"""From runs to results: trials, and the best trial of each method.

A trial is a method with its options on a config; its runs differ in nothing but the seed
(reports/trial_key.py). If a seed has two runs with different numbers, or the runs are of unlike
length, there is no mean of them: `Trial.problem` says so, and the trial has no results. The best
trial of a method on a config is the one with the highest mean of `select_by` over seeds; of
equals, the first in the order of their options. (Jiang et al., 2020, table 2, report the peak of
the trial with the highest peak: `select_by = "best"`.) Some options make a variant: a method of its
own, and no further trial of one method. Networks always do.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.files.texts import parse_json
from cnlw_tools.recipe.recipe import name_without_level
from cnlw_tools.registry.counts import shorten
from cnlw_tools.reports.statistics import MeanInterval, mean_interval
from cnlw_tools.reports.trial_key import PRESET_PREFIX

RESULT_METRICS = ("last", "best", "mean10", "drop")
REPORTED_EPOCHS = "reported_epochs"  # the number of last epochs that `best` and `mean10` are over
VALIDATION_ACCURACY = "val_top1"
# Settings that always make a variant: a result under the name of the method alone has none of them.
# So do options of methods that decide which network is reported.
VARIANT_SETTINGS = ("code", "data", "ranks", "split", "weights", "predict")

Curves = Mapping[str, list[float]]  # name of a run -> values by epoch


class DatasetConfig(NamedTuple):
    """A config of a dataset: one level of one kind of noise."""

    dataset: str
    name: str
    family: str  # the name without the level
    level: int | None  # percent


class PlannedRun(NamedTuple):
    """A method that is to learn from a config, whatever its options and seeds."""

    config: DatasetConfig
    method: str


@dataclass(frozen=True, slots=True)
class Trial:
    """Runs that differ in the seed alone, and their results."""

    dataset: str
    config: str
    noise: str
    level: int | None  # percent
    method_name: str
    method: str  # the name with the options that make a variant
    variant: Mapping[str, Any]  # the options that make a variant
    options: Mapping[str, Any]  # all options
    run_names: tuple[str, ...]
    # By metric, over seeds; empty if no run has ended, or if there is a problem.
    results: Mapping[str, MeanInterval]
    n_epochs: int | None = None  # of the runs that have ended
    # The last epochs that best and mean10 are over; fewer than all of a method in stages.
    n_reported: int | None = None
    problem: str = ""  # a sentence: why the runs are not averaged

    @property
    def family(self) -> str:
        """The name of the config without its level."""
        return name_without_level(self.config, self.noise, self.level)

    @property
    def n_earlier(self) -> int:
        """The epochs of earlier stages, whose network is not the one that is reported."""
        if self.n_epochs is None or self.n_reported is None:
            return 0
        return self.n_epochs - self.n_reported

    @property
    def dataset_config(self) -> DatasetConfig:
        """The config with its dataset."""
        return DatasetConfig(self.dataset, self.config, self.family, self.level)


def natural_sort_key(name: str) -> tuple[list[tuple[float, str]], str]:
    """Return a key that sorts names as people do: numbers in them by their size."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)  # text and numbers in turn
    key = []
    for i, part in enumerate(parts):
        is_number = i % 2 == 1
        key.append((float(part), "") if is_number else (-1.0, part))
    return key, name


def group_trials(
    runs: pa.Table,
    variant_options: Collection[str] = (),
    labels: Collection[str] = (),
) -> list[Trial]:
    """Group runs into trials, in the order of dataset, config, method, options.

    Args:
        runs: of the RUNS schema, with noise and level
        variant_options: options that make a variant
        labels: names that a study gave to methods; these imply a network, so it makes no variant
    """
    key_columns = ["dataset", "config", "method", "options"]
    columns = [*key_columns, "run", "seed", "noise", "level"]
    distinct_runs = runs.select(columns).group_by(columns).aggregate([]).sort_by("run")
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in distinct_runs.to_pylist():
        key = tuple(row[column] for column in key_columns)
        groups.setdefault(key, []).append(row)

    results = _results_by_run(runs)
    trials = []
    for key in sorted(groups, key=lambda key: [natural_sort_key(part) for part in key]):
        method = key[2]
        variant_keys = {*variant_options, *VARIANT_SETTINGS}
        if method not in labels:
            variant_keys.add("net")
        trials.append(_make_trial(groups[key], results, variant_keys))
    return trials


def best_trials(trials: Sequence[Trial], select_by: str = "last") -> list[Trial]:
    """Return the best trial of each method on each config, of those with a run that has ended.

    Args:
        trials: of any methods and configs
        select_by: the metric whose mean counts
    """
    best: dict[tuple[str, str, str], Trial] = {}
    for trial in trials:
        if select_by not in trial.results:
            continue
        key = (trial.dataset, trial.config, trial.method)
        if key not in best or trial.results[select_by].mean > best[key].results[select_by].mean:
            best[key] = trial
    return list(best.values())


def epoch_curves(runs: pa.Table, metric: str = VALIDATION_ACCURACY) -> dict[str, list[float]]:
    """Return the values of a metric by epoch, for each run that has ended."""
    ended_runs = runs.filter(pc.equal(runs["metric"], RESULT_METRICS[0]))["run"]
    is_metric = pc.equal(runs["metric"], metric)
    has_ended = pc.is_in(runs["run"], ended_runs)
    rows = runs.filter(pc.and_(is_metric, has_ended))
    rows = rows.sort_by([("run", "ascending"), ("epoch", "ascending")])
    curves: dict[str, list[float]] = {}
    for name, value in zip(rows["run"].to_pylist(), rows["value"].to_pylist(), strict=True):
        curves.setdefault(name, []).append(value)
    return curves


def mean_curve(trial: Trial, curves: Curves) -> list[float]:
    """Return the mean over the runs of a trial that have ended, for the epochs that all have.

    Earlier stages are a part of it: the first `trial.n_earlier` values.
    """
    run_curves = [curves[name] for name in trial.run_names if name in curves]
    return [sum(values) / len(values) for values in zip(*run_curves, strict=False)]


def format_options(options: Mapping[str, Any]) -> str:
    """Return options as text, ``alpha=8 per=batch``, sorted; a long value, a matrix say, is cut."""
    words = []
    for name, value in sorted(options.items()):
        text = value if isinstance(value, str) else json.dumps(value)
        words.append(f"{name.removeprefix(PRESET_PREFIX)}={shorten(text)}")
    return " ".join(words)


class RunResults(NamedTuple):
    """What a run that has ended came to."""

    n_epochs: int
    values: dict[str, float]  # by metric

    @property
    def n_reported(self) -> int:
        """The last epochs that best and mean10 are over."""
        return int(self.values.get(REPORTED_EPOCHS, self.n_epochs))


def _results_by_run(runs: pa.Table) -> dict[str, RunResults]:
    """Return the results of each run that has ended, by its name."""
    pattern = f"(^|_)({'|'.join((*RESULT_METRICS, REPORTED_EPOCHS))})$"
    rows = runs.filter(pc.match_substring_regex(runs["metric"], pattern))
    results: dict[str, RunResults] = {}
    for row in rows.to_pylist():
        run_results = results.setdefault(row["run"], RunResults(row["epoch"], {}))
        run_results.values[row["metric"]] = row["value"]
    return results


def _make_trial(
    rows: Sequence[Mapping[str, Any]],
    results: Mapping[str, RunResults],
    variant_keys: Collection[str],
) -> Trial:
    """Return the trial of some runs.

    Args:
        rows: a row a run, alike but for the seed
        results: of `_results_by_run`
        variant_keys: options that make a variant, without the prefix of the preset
    """
    first = rows[0]
    options: dict[str, Any] = parse_json(first["options"], "options of a run")
    variant = {}
    for name, value in options.items():
        short_name = name.removeprefix(PRESET_PREFIX)
        if short_name in variant_keys:
            variant[short_name] = value
    ended_rows = [row for row in rows if row["run"] in results]
    problem = _find_problem(ended_rows, results)
    averages = {} if problem else _average(ended_rows, results)
    lengths = {results[row["run"]].n_epochs for row in ended_rows}
    reported = {results[row["run"]].n_reported for row in ended_rows}
    method = f"{first['method']} {format_options(variant)}".strip()
    if problem:
        problem = f"{first['dataset']}, {first['config']}, {method}: {problem}"
    return Trial(
        dataset=first["dataset"],
        config=first["config"],
        noise=first["noise"],
        level=first["level"],
        method_name=first["method"],
        method=method,
        variant=variant,
        options=options,
        run_names=tuple(row["run"] for row in rows),
        results=averages,
        n_epochs=lengths.pop() if len(lengths) == 1 else None,
        n_reported=reported.pop() if len(reported) == 1 else None,
        problem=problem,
    )


def _average(
    rows: Sequence[Mapping[str, Any]], results: Mapping[str, RunResults]
) -> dict[str, MeanInterval]:
    """Return the mean of each metric over runs."""
    values: dict[str, list[float]] = {}
    for row in rows:
        for metric, value in results[row["run"]].values.items():
            values.setdefault(metric, []).append(value)
    return {metric: mean_interval(numbers) for metric, numbers in values.items()}


def _find_problem(rows: Sequence[Mapping[str, Any]], results: Mapping[str, RunResults]) -> str:
    """Return why runs that have ended must not be averaged; empty if they may be."""
    runs_by_seed: dict[int, list[str]] = {}
    for row in rows:
        runs_by_seed.setdefault(row["seed"], []).append(row["run"])
    reasons = []
    for seed, names in sorted(runs_by_seed.items()):
        if len(names) > 1:
            listed = ", ".join(names)
            reasons.append(f"seed {seed} has {len(names)} runs with different numbers ({listed})")
    lengths = [f"{row['run']} has {results[row['run']].n_epochs}" for row in rows]
    if len({results[row["run"]].n_epochs for row in rows}) > 1:
        reasons.append(f"the runs differ in their number of epochs ({', '.join(lengths)})")
    elif len({results[row["run"]].n_reported for row in rows}) > 1:
        spans = [f"of {row['run']} the last {results[row['run']].n_reported}" for row in rows]
        reasons.append(f"best and mean are over different epochs ({', '.join(spans)})")
    if not reasons:
        return ""
    return f"{'; '.join(reasons)}: not averaged. Keep one run of each seed, all of one length"
