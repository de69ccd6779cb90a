"""Run folders made by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.reports import runs
from cnlw_tools.reports.context import ReportContext
from cnlw_tools.reports.study_file import StudyRecord
from cnlw_tools.reports.trials import best_trials, epoch_curves, group_trials
from cnlw_tools.study.expand import RunSpec


def make_run(folder: Path, accuracies: list[float], **changes) -> Path:
    """Write the folder of a run with these accuracies on validation, and changes of its config."""
    folder.mkdir(parents=True)
    ended = changes.pop("ended", True)
    reported_epochs = changes.pop("reported_epochs", len(accuracies))
    noise, *words = changes.get("config", "blue_40").split("_")
    config = {
        "build": "builds/toy",
        "config": "blue_40",
        "noise": noise,
        "level": int(words[0]) if words and words[0].isdigit() else None,
        "data": {"train": "0" * 64, "validation": "1" * 64},
        "method": "vanilla",
        "options": {},
        "net": "mlp1",
        "seed": 0,
        "preset": {"epochs": 3, "lr": 0.1},
        "ranks": 1,
        "pretrained": False,
        "weights": None,
        "versions": {"cnlw_tools": "0.1"},
        "command": ["cnlw", "train"],
    }
    (folder / "config.json").write_text(json.dumps(config | changes))
    lines = [
        {"epoch": i, "train_loss": 2.0 / i, "val_top1": v, "val_top5": 90.0, "seconds": 2.0}
        for i, v in enumerate(accuracies, 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if ended:
        reported = accuracies[-reported_epochs:]
        tail = reported[-10:]
        result = {
            "epochs": len(lines),
            "reported_epochs": reported_epochs,
            "last": tail[-1],
            "best": max(reported),
            "mean10": sum(tail) / len(tail),
        }
        (folder / "result.json").write_text(json.dumps(result))
    return folder


@pytest.fixture
def run_maker() -> Callable[..., Path]:
    """Make a run folder."""
    return make_run


def make_spec(config: str, method: str, **changes) -> RunSpec:
    """Return a planned run on blue noise, with changes of its fields."""
    fields = {
        "build": "toy",
        "recipe": Recipe("toy", "blue"),
        "level": int(config.split("_")[1]),
        "label": "",
        "options": {},
        "net": None,
        "seed": 0,
        "preset": "toy",
        "changes": {},
        "pretrained": False,
        "name": f"{config}/{method}_s0",
    }
    return RunSpec(config=config, method=method, **fields | changes)


@pytest.fixture(scope="session")
def spec_maker() -> Callable[..., RunSpec]:
    """Make a planned run."""
    return make_spec


def make_context(folder: Path, record: StudyRecord = StudyRecord(), truths=None) -> ReportContext:  # noqa: B008
    """Return all that figures may use of the runs of a folder."""
    run_folders = runs.read_run_folders(folder)
    table = runs.make_runs_table(run_folders)
    variant_options = {record.study.x_axis, record.study.y_axis}
    return ReportContext(
        study_record=record,
        runs={run.name: run for run in run_folders},
        trials=best_trials(group_trials(table, variant_options)),
        curves=epoch_curves(table),
        select_by="last",
        truths=truths or {},
    )


@pytest.fixture(scope="session")
def context_maker() -> Callable[..., ReportContext]:
    """Read the runs of a folder for figures."""
    return make_context


def make_study(folder: Path) -> Path:
    """Write runs of two methods, one with two trials, on two levels of two colours, two seeds.

    One of the runs has not ended.
    """
    for noise, slope in (("blue", 0.5), ("red", 0.25)):
        for level in (0, 40):
            for seed in (0, 1):
                top = 80 - slope * level + seed
                common = {"config": f"{noise}_{level:02d}", "seed": seed}
                config_folder = folder / f"{noise}_{level:02d}"
                make_run(
                    config_folder / f"vanilla_s{seed}",
                    [top - 10, top, top - slope * level / 2],
                    **common,
                )
                for alpha in (1, 8):
                    mixup = {"method": "mixup", "options": {"alpha": alpha}}
                    make_run(
                        config_folder / f"mixup_alpha-{alpha}_s{seed}",
                        [top - 10, top, top + alpha],
                        **common,
                        **mixup,
                    )
    make_run(folder / "blue_40" / "vanilla_s2", [30.0], config="blue_40", seed=2, ended=False)
    return folder


@pytest.fixture
def study(tmp_path) -> Path:
    """The folder of those runs."""
    return make_study(tmp_path / "runs")


@pytest.fixture(scope="module")
def study_maker() -> Callable[[Path], Path]:
    """Write those runs elsewhere."""
    return make_study
