"""Run folders as one table."""

import json
import pickle

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

    assert len(tables.read_runs(tmp_path / "runs.parquet")) == 14


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
        ValueError,
        match=r"a/config\.json:? .*: move the folder elsewhere .*, or train the run again",
    ):
        runs.read_run_folders(tmp_path)


def odd_folders(folder):
    """Write what may lie below a folder of runs beside them; return the name of each and why."""
    write_run(folder / "no_metrics", [70.0])
    (folder / "no_metrics" / "metrics.jsonl").write_text("")
    write_run(folder / "other_metrics", [70.0])
    lines = [{"epoch": i, "val_top1": 30.0, "seconds": 1.0} for i in (1, 2)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "other_metrics" / "metrics.jsonl").write_text(text)
    write_run(folder / "same_length", [70.0])
    (folder / "same_length" / "metrics.jsonl").write_text(text.splitlines()[1].replace("2", "1"))
    write_run(folder / "half", [70.0])
    (folder / "half" / "config.json").unlink()
    write_run(folder / "torn", [70.0])
    (folder / "torn" / "metrics.jsonl").write_text('{"epoch": 1, "val_t')
    write_run(folder / "is_folder", [70.0])
    (folder / "is_folder" / "result.json").unlink()
    (folder / "is_folder" / "metrics.jsonl").unlink()
    (folder / "is_folder" / "metrics.jsonl").mkdir()
    write_run(folder / "bytes", [70.0])
    (folder / "bytes" / "config.json").write_bytes(b"\xff\xfe\0\0")
    write_run(folder / "splits_differ", [70.0, 60.0])
    lines = [{"epoch": i, "val_top1": 60.0, "seconds": 1.0} for i in (1, 2)]
    lines[1]["val_b_top1"] = 50.0
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "splits_differ" / "metrics.jsonl").write_text(text)
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text('{"architectures": ["ViT"], "hidden_size": 768}')
    for name in ("checkpoint.pt", "predictions.parquet"):
        (folder / name.split(".")[0]).mkdir()
        (folder / name.split(".")[0] / name).write_bytes(b"")
    return {
        "bytes": "config.json cannot be read as text in UTF-8",
        "checkpoint": "config.json: the file is missing",
        "half": "config.json: the file is missing",
        "is_folder": "metrics.jsonl: this is a folder, not a file",
        "model": "config.json: ",
        "no_metrics": "result.json: it ends with 70 % after 1 epochs, and metrics.jsonl with nothing",
        "other_metrics": "result.json: it ends with 70 % after 1 epochs, and metrics.jsonl with 30 %",
        "predictions": "config.json: the file is missing",
        "same_length": "result.json: it ends with 70 % after 1 epochs, and metrics.jsonl with 30 %",
        "splits_differ": "metrics.jsonl: epoch 1 lacks accuracies that the last epoch has",
        "torn": "metrics.jsonl: line 1 cannot be read as JSON",
    }


def test_odd_folders_are_passed_over_with_a_line_each(tmp_path):
    """Foreign, torn and half-deleted ones, and results of other epochs; the runs are all read."""
    reasons = odd_folders(tmp_path)
    write_run(tmp_path / "a", [70.0])
    write_run(tmp_path / "z" / "z", [50.0], ended=False)
    (tmp_path / "notes.txt").write_text("mine")
    problems = []
    read = runs.read_run_folders(tmp_path, problems.append)

    assert [run.name for run in read] == ["a", "z/z"]
    assert len(problems) == len(reasons)
    for problem, (name, reason) in zip(problems, reasons.items(), strict=True):
        assert problem.startswith(f"skipped: {tmp_path / name}/{reason}"), problem
        assert "\n" not in problem


def test_a_folder_whose_name_no_page_can_hold_is_passed_over(tmp_path):
    """Its bytes are no UTF-8, or break a line."""
    write_run(tmp_path / "a", [70.0])
    for name in ("b\udcff", "c\nd"):
        write_run(tmp_path / name, [70.0])
    problems = []

    assert len(runs.read_run_folders(tmp_path, problems.append)) == 1
    assert problems == [
        f"skipped: {name}: this name has unusual characters: rename the folder"
        for name in ("'b\\udcff'", "'c\\nd'")
    ]


def test_a_folder_that_cannot_be_listed_is_passed_over(tmp_path, monkeypatch):
    """The line names it."""
    write_run(tmp_path / "a", [70.0])
    (tmp_path / "closed").mkdir()
    walk = runs.os.walk

    def deny(folder, onerror):
        onerror(PermissionError(13, "Permission denied", str(folder / "closed")))
        yield from walk(folder)

    monkeypatch.setattr(runs.os, "walk", deny)
    problems = []

    assert len(runs.read_run_folders(tmp_path, problems.append)) == 1
    (problem,) = problems
    assert problem == (f"skipped: {tmp_path}/closed: Permission denied: check its permissions")


class Backwards:
    """Runs tasks from the last to the first, and sends all through pickles, as a cluster does."""

    workers = 2

    def map(self, task, items):
        """Yield the results."""
        for item in reversed(items):
            yield pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(task))(item)))


def test_runs_may_be_read_by_a_cluster(tmp_path, monkeypatch):
    """They are in the order of their names all the same, and so is what cannot be read."""
    monkeypatch.setattr(runs, "RUNS_PER_TASK", 2)
    for i in range(7):
        write_run(tmp_path / f"run_{i}", [10.0, 20.0], seed=i)
    for i in (2, 4):
        (tmp_path / f"run_{i}" / "config.json").write_text("{")
    here, there = [], []

    expected = runs.read_run_folders(tmp_path, here.append)
    assert runs.read_run_folders(tmp_path, there.append, executor=Backwards()) == expected
    assert len(expected) == 5
    assert there == here
    assert ["run_2" in here[0], "run_4" in here[1]] == [True, True]
