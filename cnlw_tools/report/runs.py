"""Run folders as one tidy table: a row a run, epoch and metric (tables.RUNS).

Of a run that came to its end `last`, `best`, `mean10` and `drop` = best - last stand at its last epoch; of other images
of validation, whose `val_NAME_top1` it measured, `NAME_last`, `NAME_best` and `NAME_mean10` likewise. The column
`options` says, as JSON, the options of the method, and what else differs between the runs of a dataset: `net`,
`pretrained`, and values of the preset as `preset.lr`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from cnlw_tools.dataset.tables import RUNS
from cnlw_tools.recipe.run_files import (
    Metrics,
    RunConfig,
    RunResult,
    read_config,
    read_metrics,
    read_result,
    summarise,
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder."""

    folder: Path
    name: str  # below the folder that was read
    config: RunConfig
    history: list[Metrics]  # an epoch each
    result: RunResult | None  # none: it has not come to its end

    @property
    def build(self) -> Path:
        """The build it learned from."""
        return Path(self.config.build)

    @property
    def dataset(self) -> str:
        """The name of the folder of its build."""
        return self.build.resolve().name


def load(folder: Path) -> list[Run]:
    """Read every run below a folder, in the order of their names.

    Raises:
        FileNotFoundError: there is none
        ValueError: a file of a run cannot be read
    """
    found = [_load(path.parent, folder) for path in sorted(folder.rglob("config.json"))]
    if not found:
        raise FileNotFoundError(
            f"{folder}: no run here (no config.json below it): `cnlw train` or `cnlw sweep` makes some"
        )
    return found


def table(runs: Sequence[Run], labels: Mapping[str, str] = {}) -> pa.Table:
    """Return the runs as one tidy table; ``labels``: what to call the method of a run, by the run's name."""
    varied = {
        name: _varied([run for run in runs if run.dataset == name])
        for name in {run.dataset for run in runs}
    }
    rows = [row for run in runs for row in _rows(run, _options(run, varied[run.dataset]), labels)]
    return pa.Table.from_pylist(rows, RUNS)


def _load(folder: Path, above: Path) -> Run:
    name = folder.relative_to(above).as_posix()
    return Run(folder, name, read_config(folder), read_metrics(folder), read_result(folder))


def _options(run: Run, varied: set[str]) -> dict[str, Any]:
    """Return the options of a run, with what else differs between those of its dataset."""
    return {**run.config.options, **{k: v for k, v in _around(run).items() if k in varied}}


def _varied(runs: Sequence[Run]) -> set[str]:
    """Return what differs between runs: the network, or values of the preset."""
    first = _around(runs[0])
    return {k for run in runs for k, v in _around(run).items() if first.get(k) != v}


def _around(run: Run) -> dict[str, Any]:
    around = {"net": run.config.net, "pretrained": run.config.pretrained}
    return {**around, **{f"preset.{k}": v for k, v in run.config.preset.items()}}


def _rows(run: Run, options: dict[str, Any], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    about = {
        "run": run.name,
        "dataset": run.dataset,
        "config": run.config.config,
        "noise": run.config.noise,
        "level": run.config.level,
        "method": labels.get(run.name, run.config.method),
        "options": json.dumps(options, sort_keys=True),
        "seed": run.config.seed,
    }
    numbers = [
        (line["epoch"], k, v) for line in run.history for k, v in line.items() if k != "epoch"
    ]
    if run.result is not None:
        epochs, summary = run.result.epochs, run.result.validation
        numbers += [(epochs, name, value) for name, value in asdict(summary).items()]
        numbers += [(epochs, "drop", summary.best - summary.last)]
        numbers += _elsewhere(run.history)
    return [
        {**about, "epoch": epoch, "metric": metric, "value": value}
        for epoch, metric, value in numbers
    ]


def _elsewhere(history: Sequence[Mapping[str, Any]]) -> list[tuple[int, str, float]]:
    """Return what a run came to on other images of validation."""
    rows = []
    for key in history[-1] if history else ():
        if of := re.fullmatch("val_(.+)_top1", key):
            values = [line[key] for line in history]
            for metric, value in asdict(summarise(values)).items():
                rows.append((len(values), f"{of[1]}_{metric}", value))
    return rows
