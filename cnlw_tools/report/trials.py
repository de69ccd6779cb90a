"""From runs to results. A trial is a method with its options on a config; its runs differ in nothing but the seed.

The best trial of a method on a config is the one whose mean of `rule` over seeds is the highest; of equals, the first
in the order of their options. (Jiang et al., 2020, table 2, report the peak of the trial with the highest peak:
`rule = "best"`.) Options named `apart` are no trials of one method but methods of their own; so are networks.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.recipe.recipe import name_without_level
from cnlw_tools.report.statistics import Spread, spread

CAME_TO = ("last", "best", "mean10", "drop")
CURVE = "val_top1"


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
    """Runs that differ in the seed alone, and what they came to."""

    dataset: str
    config: str
    noise: str
    level: int | None  # percent
    name: str  # of the method
    method: str  # the name, and the options that are apart
    apart: Mapping[str, Any]  # those
    options: Mapping[str, Any]  # all of them
    runs: tuple[str, ...]
    came_to: Mapping[str, Spread]  # by metric, over seeds; empty where no run has ended

    @property
    def family(self) -> str:
        """The config without its level."""
        return name_without_level(self.config, self.noise, self.level)

    @property
    def dataset_config(self) -> DatasetConfig:
        """The config with its dataset."""
        return DatasetConfig(self.dataset, self.config, self.family, self.level)


def natural(name: str) -> tuple[list[tuple[float, str]], str]:
    """Return what sorts names as people do: numbers in them by their size."""
    parts = enumerate(re.split(r"(\d+(?:\.\d+)?)", name))
    return [(float(part), "") if i % 2 else (-1, part) for i, part in parts], name


def trials(
    runs: pa.Table, apart: Collection[str] = (), labels: Collection[str] = ()
) -> list[Trial]:
    """Group a table of runs (tables.RUNS) into trials, in the order of dataset, config, method, options.

    A method whose name is one of ``labels`` was named by a study, which knows its network.
    """
    keys = ["dataset", "config", "method", "options"]
    columns = [*keys, "run", "noise", "level"]
    members = runs.select(columns).group_by(columns).aggregate([]).sort_by("run")
    ended = runs.filter(pc.match_substring_regex(runs["metric"], f"(^|_)({'|'.join(CAME_TO)})$"))
    values: dict[str, list[tuple[str, float]]] = {}
    for row in ended.to_pylist():
        values.setdefault(row["run"], []).append((row["metric"], row["value"]))
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in members.to_pylist():
        found.setdefault(tuple(row[k] for k in keys), []).append(row)
    return [
        _trial(found[key], values, {*apart} if key[2] in labels else {"net", *apart})
        for key in sorted(found, key=lambda key: [natural(part) for part in key])
    ]


def best(found: Sequence[Trial], rule: str = "last") -> list[Trial]:
    """Return the best trial of each method on each config; trials of which no run has ended take no part."""
    chosen: dict[tuple[str, str, str], Trial] = {}
    for trial in found:
        key = (trial.dataset, trial.config, trial.method)
        if rule not in trial.came_to:
            continue
        if key not in chosen or trial.came_to[rule].mean > chosen[key].came_to[rule].mean:
            chosen[key] = trial
    return list(chosen.values())


def curves(runs: pa.Table, metric: str = CURVE) -> dict[str, list[float]]:
    """Return the values of a metric, an epoch each, by run that came to its end."""
    ended = runs.filter(pc.equal(runs["metric"], CAME_TO[0]))["run"]
    rows = runs.filter(pc.and_(pc.equal(runs["metric"], metric), pc.is_in(runs["run"], ended)))
    rows = rows.sort_by([("run", "ascending"), ("epoch", "ascending")])
    found: dict[str, list[float]] = {}
    for name, value in zip(rows["run"].to_pylist(), rows["value"].to_pylist(), strict=True):
        found.setdefault(name, []).append(value)
    return found


def mean_curve(trial: Trial, found: Mapping[str, list[float]]) -> list[float]:
    """Return the mean over a trial's runs, that came to their end, for the epochs that all of them have."""
    there = [found[name] for name in trial.runs if name in found]
    return [sum(values) / len(values) for values in zip(*there, strict=False)]


def shown(options: Mapping[str, Any]) -> str:
    """Return options in a line."""
    return " ".join(f"{k.removeprefix('preset.')}={_word(v)}" for k, v in sorted(options.items()))


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _trial(
    members: Sequence[Mapping[str, Any]],
    values: Mapping[str, list[tuple[str, float]]],
    apart: Collection[str],
) -> Trial:
    first, names = members[0], [row["run"] for row in members]
    method = first["method"]
    options: dict[str, Any] = json.loads(first["options"])
    bare = {k.removeprefix("preset."): v for k, v in options.items()}
    own = {k: v for k, v in bare.items() if k in apart}
    by_metric: dict[str, list[float]] = {}
    for metric, value in (of for run in names for of in values.get(run, ())):
        by_metric.setdefault(metric, []).append(value)
    came_to = {metric: spread(some) for metric, some in by_metric.items()}
    return Trial(
        first["dataset"],
        first["config"],
        first["noise"],
        first["level"],
        method,
        f"{method} {shown(own)}".strip(),
        own,
        options,
        tuple(names),
        came_to,
    )
