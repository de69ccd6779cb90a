"""Results as files for the Hub: what stands in them is what the report says."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from cnlw_tools import __version__
from cnlw_tools.cli import main
from cnlw_tools.reports.hub_results import check_repository


def report(runs: Path, out: Path, *words: str):
    """Run the command."""
    return CliRunner().invoke(main, ["report", str(runs), "--out", str(out), *words])


@pytest.fixture(scope="module")
def hub(tmp_path_factory, study_maker) -> Path:
    """The folder of files for the Hub of two methods on four configs."""
    folder = tmp_path_factory.mktemp("hub")
    result = report(study_maker(folder / "runs"), folder / "out", "--hub", "lab/noise")
    assert result.exit_code == 0, result.output
    assert str(folder / "out" / "hub") in result.stdout.splitlines()
    return folder / "out" / "hub"


def test_each_config_is_a_task(hub):
    """eval.yaml has the keys that the Hub asks for, and a task with config and split for each."""
    benchmark = yaml.safe_load((hub / "eval.yaml").read_text("utf-8"))

    assert list(benchmark) == ["name", "description", "evaluation_framework", "tasks"]
    assert benchmark["tasks"] == [
        {"id": config, "config": config, "split": "validation"}
        for config in ("blue_00", "blue_40", "red_00", "red_40")
    ]


def test_each_method_has_a_file(hub):
    """A result is the mean over seeds of the selected trial; its note says what it is."""
    assert sorted(path.name for path in hub.iterdir()) == [
        "eval.yaml",
        "mixup.yaml",
        "vanilla.yaml",
    ]
    entries = yaml.safe_load((hub / "mixup.yaml").read_text("utf-8"))

    by_task = {entry["dataset"]["task_id"]: entry for entry in entries}
    entry = by_task["red_40"]  # seeds 0 and 1 of alpha = 8: 80 - 10 + seed + 8
    assert entry["value"] == 78.5
    assert entry["dataset"]["id"] == "lab/noise"
    assert len(entry["date"]) == len("2026-01-01")
    assert entry["notes"] == (
        "mixup, top-1 accuracy of the last epoch, mean of 2 seeds ± 6.35 (95 % t-interval), "
        f"cnlw_tools {__version__}"
    )


def test_the_library_of_the_hub_reads_them(hub):
    """huggingface_hub parses each result."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    for entry in yaml.safe_load((hub / "vanilla.yaml").read_text("utf-8")):
        parsed = EvalResultEntry(
            dataset_id=entry["dataset"]["id"],
            task_id=entry["dataset"]["task_id"],
            value=entry["value"],
            date=entry["date"],
            notes=entry["notes"],
        )
        assert eval_result_entries_to_yaml([parsed]) == [entry]


@pytest.mark.parametrize("name", ["noise", "a/b/c", "lab/no ise", "/x", ""])
def test_a_name_that_is_none(name):
    """A name that no repository can have is an error of one line."""
    with pytest.raises(ValueError, match="is not the name of a repository: give OWNER/NAME"):
        check_repository(name)


def test_runs_of_two_datasets(tmp_path, run_maker):
    """Runs of two datasets, or none that ended, are an error; no report is left incomplete."""
    run_maker(tmp_path / "runs" / "a", [50.0], build="builds/toy")
    run_maker(
        tmp_path / "runs" / "b",
        [50.0],
        build="builds/other",
        data={"train": "2" * 64, "validation": "3" * 64},
    )

    result = report(tmp_path / "runs", tmp_path / "out", "--hub", "lab/noise")

    assert result.exit_code == 1
    assert "about one dataset, but these are runs of other and toy" in result.stderr
