"""The files that a run writes and others read: config.json, metrics.jsonl and result.json.

config.json has the settings of the run. Each line of metrics.jsonl has the measurements of an
epoch. result.json summarises a finished run: its top-1 accuracy on the validation set in percent.

For a method in stages, only the last network is reported: `best` and `mean10` are taken over the
epochs whose predictions came from it. `reported_epochs` is the number of these epochs; they are the
last ones.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from cnlw_tools.files.texts import parse_json, read_text
from cnlw_tools.recipe.recipe import HIGHEST_LEVEL
from cnlw_tools.recipe.strict import Check, between, read_dataclass, read_value

CONFIG, METRICS, RESULT = "config.json", "metrics.jsonl", "result.json"
REMEDY = "move the folder elsewhere if it is not a run of `cnlw train`, or train the run again"
# What `cnlw train` writes into the folder of a run (trainer/run.py), as patterns of paths below it.
CHECKPOINT, PREDICTIONS = "checkpoint.pt", "predictions.parquet"
BEST_WEIGHTS, NETWORK_INPUT = "best.pt", "network_input.json"
RUN_FILES = (
    CONFIG,
    NETWORK_INPUT,
    BEST_WEIGHTS,
    CHECKPOINT,
    METRICS,
    RESULT,
    PREDICTIONS,
    "examples.parquet/epoch-[0-9]*.parquet",
    "*/epoch-[0-9]*.npy",
    "tensorboard/events.out.tfevents.*",
)
INT32, INT64 = (1 << 31) - 1, (1 << 63) - 1  # what the columns of `tables.RUNS` hold
ROUNDING = 0.01  # by which the sum over several processes may exceed 100 %
TAIL = 10  # epochs whose mean counts
RECORDED_LATER = (
    "split",
    "architecture",
    "marks_noise",
    "copied_from",
    "keep_best",
    "code",
    "is_staged",
)  # fields that older runs lack
COMMAND = Check(bool, "a list of strings, the program first")
Metrics = Mapping[str, float]  # of one epoch, by name; `epoch` counts from 1


@dataclass(frozen=True, slots=True)
class RunConfig:
    """The settings of a run."""

    build: str  # the folder of the build
    config: str  # the name of the config in the build
    noise: str  # the noise of the config, according to the card
    # the level of the noise, in percent
    level: int | None = field(metadata={"check": between(0, HIGHEST_LEVEL)})
    data: Mapping[str, str]  # the digest of the images and labels of each split
    method: str  # the name of the method
    options: Mapping[str, Any]  # the options of the method
    net: str  # the name of the network
    seed: int = field(metadata={"check": between(0, INT64)})  # the seed of the run
    preset: Mapping[str, Any]  # the keys of the preset that are not in this table: lr, views ...
    ranks: int  # the number of processes
    pretrained: bool  # whether training began with weights learned on ImageNet
    weights: str | None  # digest of the file with the initial weights of the network
    versions: Mapping[str, str]  # versions of this package and of the libraries
    command: tuple[str, ...] = field(metadata={"check": COMMAND})  # the command line
    # Older versions did not record the following fields; in their runs they are None.
    split: str | None = None  # the name of the split on which the network was trained
    architecture: str | None = None  # digest of the layers of a user's network
    # how the method classifies labels as wrong: removed, down_weighted, relabelled
    marks_noise: tuple[str, ...] | None = None
    # if the results were copied from an identical run of the sweep: the name of that run
    copied_from: str | None = None
    keep_best: bool | None = None  # whether the run keeps the weights of its best epoch
    code: str | None = None  # digest of the code of a user's method or network
    is_staged: bool | None = None  # whether the method trains in stages


@dataclass(frozen=True, slots=True)
class Summary:
    """The top-1 accuracy of a run on one split, in percent."""

    last: float  # after the last epoch
    best: float  # the highest of all reported epochs
    mean10: float  # the mean of the last ten reported epochs, or of all if there are fewer


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run."""

    epochs: int = field(metadata={"check": between(1, INT32)})
    validation: Summary
    others: Mapping[str, Summary] = field(default_factory=dict)  # by metric: val_ilsvrc12_top1 ...
    # The number of last epochs over which `best` and `mean10` are taken: `Method.reported_epochs`.
    # Older versions did not write it, and took all epochs.
    reported_epochs: int | None = field(default=None, metadata={"check": between(1, INT32)})

    @property
    def n_reported(self) -> int:
        """The number of last epochs over which `best` and `mean10` are taken."""
        return self.reported_epochs or self.epochs


def to_json_types(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with the types that they have after they were written as JSON and read."""
    as_read: dict[str, Any] = json.loads(json.dumps(values))
    return as_read


def summarise(values: Sequence[float]) -> Summary:
    """Return the last, the best and the mean of the last ten values, one for each epoch."""
    tail = values[-TAIL:]
    return Summary(values[-1], max(values), sum(tail) / len(tail))


def summarise_history(history: Sequence[Metrics], reported_epochs: int) -> RunResult:
    """Return the results of a run on each validation split.

    Args:
        history: the metrics of every epoch
        reported_epochs: the number of last epochs that count
    """
    summaries = {}
    for name in history[-1]:
        if "top1" in name:
            accuracies = [metrics[name] for metrics in history]
            summaries[name] = summarise(accuracies[-reported_epochs:])
    validation = summaries.pop("val_top1")
    return RunResult(len(history), validation, summaries, reported_epochs)


def find_best_epoch(history: Sequence[Metrics], n_epochs: int, reported_epochs: int) -> int | None:
    """Return the epoch with the highest top-1 on validation so far, the first of equals.

    Args:
        history: the metrics of the epochs so far
        n_epochs: of the whole run
        reported_epochs: the number of last epochs that count; None is returned before the first
    """
    reported = history[n_epochs - reported_epochs :]
    if not reported:
        return None
    return int(max(reported, key=lambda metrics: metrics["val_top1"])["epoch"])


def result_to_json(result: RunResult) -> dict[str, Any]:
    """Return what result.json holds: the numbers of validation itself stand at the top."""
    contents: dict[str, Any] = {"epochs": result.epochs}
    if result.reported_epochs is not None:
        contents["reported_epochs"] = result.reported_epochs
    contents |= asdict(result.validation)
    for name, summary in result.others.items():
        contents[name] = asdict(summary)
    return contents


def find_run_files(folder: Path) -> list[Path]:
    """Return the files in a folder that a run writes: there are none if no run began in it."""
    paths: list[Path] = []
    for pattern in RUN_FILES:
        paths += sorted(folder.glob(pattern))
    return paths


def is_run_file(name: str) -> bool:
    """Return whether a path below the folder of a run, with `/`, is that of a file of the run."""
    parts = name.split("/")
    for pattern in RUN_FILES:
        patterns = pattern.split("/")
        if len(patterns) == len(parts) and all(map(fnmatchcase, parts, patterns)):
            return True
    return False


def format_result(result: Mapping[str, Any]) -> str:
    """Return the numbers of result.json in a line, with the epochs that the mean is over."""
    n_epochs = min(result.get("reported_epochs", result["epochs"]), TAIL)
    mean = f"mean of the last {n_epochs}: {result['mean10']:.2f} %"
    return f"last {result['last']:.2f} %  best {result['best']:.2f} %  {mean}"


def read_config(folder: Path) -> RunConfig:
    """Read what was asked of a run.

    Raises:
        ValueError: config.json is missing, or not what `cnlw train` writes
    """
    path = folder / CONFIG
    return read_dataclass(RunConfig, _read_json(path), str(path), REMEDY)


def read_result(folder: Path) -> RunResult | None:
    """Read what a run came to; none of one that has not come to its end.

    Raises:
        ValueError: result.json is not what `cnlw train` writes
    """
    path = folder / RESULT
    if not path.exists():
        return None
    raw = read_value(dict[str, Any], _read_json(path), str(path), REMEDY)
    epochs = raw.pop("epochs", None)
    reported_epochs = raw.pop("reported_epochs", None)
    validation = {}
    for metric in fields(Summary):
        if metric.name in raw:
            validation[metric.name] = raw.pop(metric.name)
    nested = {"epochs": epochs, "validation": validation, "others": raw}
    nested["reported_epochs"] = reported_epochs
    return read_dataclass(RunResult, nested, str(path), REMEDY)


def read_metrics(folder: Path) -> list[Metrics]:
    """Read what a run measured in each epoch; the list is empty for a run that has not begun.

    Raises:
        ValueError: metrics.jsonl is not what `cnlw train` writes
    """
    path = folder / METRICS
    if not path.exists():
        return []
    history: list[Metrics] = []
    for number, text in enumerate(_read_text(path).splitlines(), 1):
        source = f"{path}: line {number}"
        metrics = read_value(dict[str, float], parse_json(text, source, REMEDY), source, REMEDY)
        if metrics.get("epoch") != number or "seconds" not in metrics:
            raise ValueError(
                f"{source}: it must have the keys epoch = {number} and seconds: {REMEDY}"
            )
        _check_values(metrics, source)
        history.append(metrics)
    return history


def _check_values(metrics: Metrics, source: str) -> None:
    """Raise if a value is not a number that a run measures: training ends where there is none."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise ValueError(f"{source}: {name} = {value}: it must be a number: {REMEDY}")
        is_accuracy = name.endswith(("_top1", "_top5"))
        if is_accuracy and not 0 <= value <= 100 + ROUNDING:
            raise ValueError(f"{source}: {name} = {value:g}: it must be a percentage: {REMEDY}")


def _read_json(path: Path) -> Any:
    return parse_json(_read_text(path), str(path), REMEDY)


def _read_text(path: Path) -> str:
    try:
        return read_text(path, remedy=REMEDY)
    except FileNotFoundError:
        raise ValueError(f"{path}: the file is missing: {REMEDY}") from None
