"""Run folders as one table."""

import json

import pyarrow.compute as pc
import pytest

from cnlw_tools.dataset import tables
from cnlw_tools.reports import runs


def values(table, **selection):
    """The values of the rows with these values in other columns."""
    for column, value in selection.items():
        table = table.filter(pc.equal(table[column], value))
    return table["value"].to_pylist()


def write_run(folder, accuracies, ended=True, **changes):
    """Write a run folder."""
    folder.mkdir(parents=True)
    config = {
        "build": "builds/toy",
        "config": "blue_40",
        "noise": "blue",
        "level": 40,
        "method": "vanilla",
        "options": {},
        "net": "mlp1",
        "seed": 0,
    }
    config |= {"data": {}, "preset": {"lr": 0.1}, "versions": {}, "command": ["cnlw"]}
    config |= {"ranks": 1, "pretrained": False, "weights": None}
    (folder / "config.json").write_text(json.dumps(config | changes))
    lines = [{"epoch": i, "val_top1": v, "seconds": 1.0} for i, v in enumerate(accuracies, 1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if ended:
        result = {
            "epochs": len(lines),
            "last": accuracies[-1],
            "best": max(accuracies),
            "mean10": 60.0,
        }
        (folder / "result.json").write_text(json.dumps(result))


def test_a_row_is_a_number(tmp_path):
    """Metrics stand at their epochs, results at the last one."""
    write_run(tmp_path / "a" / "b", [70.0, 50.0])
    table = runs.make_runs_table(runs.read_run_folders(tmp_path))

    assert values(table, metric="val_top1") == [70, 50]
    assert [values(table, metric=m, epoch=2) for m in ("last", "best", "mean10", "drop")] == [
        [50],
        [70],
        [60],
        [20],
    ]
    assert set(table["run"].to_pylist()) == {"a/b"}
    assert set(table["dataset"].to_pylist()) == {"toy"}
    assert set(table["noise"].to_pylist()) == {"blue"}
    assert set(table["level"].to_pylist()) == {40}


def test_it_is_a_table_of_runs(tmp_path):
    """The table can be written and read back by the checked reader."""
    write_run(tmp_path / "a", [70.0])
    write_run(tmp_path / "b", [70.0])
    tables.write_parquet(
        runs.make_runs_table(runs.read_run_folders(tmp_path)), tmp_path / "runs.parquet"
    )

    assert len(tables.read_runs(tmp_path / "runs.parquet")) == 12


def test_a_run_that_has_not_ended_has_epochs_only(tmp_path):
    """A run without a finished epoch has no row."""
    write_run(tmp_path / "a", [70.0], ended=False)
    write_run(tmp_path / "b", [], ended=False)
    table = runs.make_runs_table(runs.read_run_folders(tmp_path))

    assert set(table["metric"].to_pylist()) == {"val_top1", "seconds"}
    assert set(table["run"].to_pylist()) == {"a"}


def test_what_differs_around_a_method_is_an_option(tmp_path):
    """Networks and presets are compared within a dataset."""
    write_run(tmp_path / "a", [1.0], net="mlp2", options={"alpha": 1})
    write_run(tmp_path / "b", [1.0], preset={"lr": 0.2})
    write_run(tmp_path / "c", [1.0], build="builds/other", preset={"lr": 0.3})
    table = runs.make_runs_table(runs.read_run_folders(tmp_path))
    options = dict(
        zip(table["run"].to_pylist(), map(json.loads, table["options"].to_pylist()), strict=True)
    )

    assert options == {
        "a": {"alpha": 1, "net": "mlp2", "preset.lr": 0.1},
        "b": {"net": "mlp1", "preset.lr": 0.2},
        "c": {},
    }


def test_no_run_is_an_error(tmp_path):
    """The error says how to make one."""
    with pytest.raises(FileNotFoundError, match=r"no run here.*cnlw train"):
        runs.read_run_folders(tmp_path)


@pytest.mark.parametrize("text", ["{", "{}", '{"build": "a"}'])
def test_what_is_no_run_is_named(tmp_path, text):
    """The error names the file, what is wrong, and the remedy."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text(text)

    with pytest.raises(
        ValueError, match=r"a/config\.json: .*: delete the folder, or train it again"
    ):
        runs.read_run_folders(tmp_path)
