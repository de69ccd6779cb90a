"""Results as files for the Hugging Face Hub, which shows them beside models and in leaderboards.

eval.yaml               for the repository of the dataset: each config is a task
METHOD_1.yaml ...       for the folder .eval_results/ of the repository of a model: one result for
                        each config, the mean over seeds in percent

The Hub calls a result of a config the value of a task.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnlw_tools import __version__, files
from cnlw_tools.files.yaml_text import dump_yaml
from cnlw_tools.registry.counts import count_things
from cnlw_tools.reports.statistics import MeanInterval
from cnlw_tools.reports.trials import Trial

FRAMEWORK = "cnlw-tools"  # the Hub has to know this name before it accepts eval.yaml
SPLIT = "validation"  # on which `cnlw train` measures
REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
METRIC_WORDS = {  # how the accuracy of a run was chosen
    "last": "of the last epoch",
    "best": "of the best epoch",
    "mean10": "over the last ten epochs",
}


def check_repository(name: str) -> None:
    """Check that a name can be that of a repository.

    Raises:
        ValueError: it is not OWNER/NAME
    """
    if not REPOSITORY.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a repository: give OWNER/NAME")


def write_hub_results(
    out: Path, repository: str, trials: Sequence[Trial], metric: str, date: str
) -> None:
    """Write eval.yaml, and a file of results for each method.

    Args:
        out: the folder to write to
        repository: OWNER/NAME of the dataset on the Hub
        trials: the selected trial of each method and config
        metric: last, best or mean10
        date: of the newest run, as ISO 8601; empty: unknown

    Raises:
        ValueError: the trials are of several datasets, or none of them has a result
    """
    finished = [trial for trial in trials if metric in trial.results]
    datasets = sorted({trial.dataset for trial in finished})
    if len(datasets) != 1:
        dataset_names = " and ".join(datasets) or "none that ended"
        raise ValueError(
            f"{repository}: files for the Hub are about one dataset, but these are runs of "
            f"{dataset_names}: "
            "report the runs of one dataset"
        )
    configs = list(dict.fromkeys(trial.config for trial in finished))
    _write_yaml(out / "eval.yaml", _benchmark(datasets[0], configs))
    by_method: dict[str, list[Trial]] = {}
    for trial in finished:
        by_method.setdefault(trial.method, []).append(trial)
    for method, method_trials in by_method.items():
        entries = [_result(repository, trial, metric, date) for trial in method_trials]
        _write_yaml(out / f"{_file_name(method)}.yaml", entries)


def _benchmark(dataset: str, configs: Sequence[str]) -> dict[str, Any]:
    """Return eval.yaml: what is measured, and the config and split of each task."""
    return {
        "name": f"{dataset}, controlled label noise",
        "description": (
            "Top-1 accuracy in percent of an image classifier on clean images, after training on "
            "labels of which a known share is wrong."
        ),
        "evaluation_framework": FRAMEWORK,
        "tasks": [{"id": config, "config": config, "split": SPLIT} for config in configs],
    }


def _result(repository: str, trial: Trial, metric: str, date: str) -> dict[str, Any]:
    """Return one result of a model: a mean over seeds, with a note that says what it is."""
    result = trial.results[metric]
    entry: dict[str, Any] = {
        "dataset": {"id": repository, "task_id": trial.config},
        "value": round(result.mean, 2),
    }
    if date:
        entry["date"] = date
    entry["notes"] = (
        f"{trial.method}, top-1 accuracy {METRIC_WORDS[metric]}, {_describe_spread(result)}, "
        f"cnlw_tools {__version__}"
    )
    return entry


def _describe_spread(result: MeanInterval) -> str:
    """Return over how many seeds a mean is, with its 95 % t-interval if there are several."""
    seeds = count_things(result.n, "seed")
    if result.n == 1:
        return seeds
    return f"mean of {seeds} ± {result.half_width:.2f} (95 % t-interval)"


def _file_name(method: str) -> str:
    """Return the name of a method's file, with an underscore for other signs."""
    return re.sub(r"[^A-Za-z0-9_.=-]+", "_", method).strip("_")


def _write_yaml(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_write(path) as draft:
        draft.write_text(dump_yaml(value), encoding="utf-8")
