"""What a run writes down, read again."""

import json
from dataclasses import asdict, replace

import pytest

from cnlw_tools.recipe.run_files import (
    CONFIG,
    METRICS,
    RESULT,
    RunConfig,
    RunResult,
    Summary,
    format_result,
    read_config,
    read_metrics,
    read_result,
    result_to_json,
    summarise,
)

ASKED = RunConfig(
    build="builds/toy",
    config="blue_40",
    noise="blue",
    level=40,
    data={"train": "12"},
    method="mixup",
    options={"alpha": 8, "ends": [0, 1]},
    net="mlp1",
    seed=0,
    preset={"lr": 0.1, "views": {"standard": ["crop"]}},
    ranks=1,
    pretrained=False,
    weights=None,
    versions={"cnlw_tools": "0"},
    command=("cnlw", "train"),
)
RESULTS = RunResult(3, Summary(50.0, 60.5, 55), {"val_ilsvrc12_top1": Summary(1.0, 2.0, 1.5)})
LINES = [
    {"epoch": 1, "train_loss": 2.0, "seconds": 0.5, "peak_mb": 3},
    {"epoch": 2, "train_loss": 1.0, "seconds": 0.5, "peak_mb": 3},
]


@pytest.mark.parametrize(
    "config",
    [
        ASKED,
        replace(ASKED, level=None, weights="34", options={}),
        replace(ASKED, split="probe", architecture="56", marks_noise=("removed", "relabelled")),
        replace(ASKED, marks_noise=()),
    ],
)
def test_config(tmp_path, config):
    """What was asked comes back."""
    (tmp_path / CONFIG).write_text(json.dumps(asdict(config)))

    assert read_config(tmp_path) == config


def test_result(tmp_path):
    """What a run came to comes back; numbers of validation itself stand at the top of the file."""
    (tmp_path / RESULT).write_text(json.dumps(result_to_json(RESULTS)))

    assert read_result(tmp_path) == RESULTS
    assert result_to_json(RESULTS) == {
        "epochs": 3,
        "last": 50.0,
        "best": 60.5,
        "mean10": 55,
        "val_ilsvrc12_top1": {"last": 1.0, "best": 2.0, "mean10": 1.5},
    }


def test_metrics(tmp_path):
    """Lines come back as they were written."""
    (tmp_path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in LINES))

    assert read_metrics(tmp_path) == LINES


def test_a_run_that_has_not_begun(tmp_path):
    """It has measured nothing and come to nothing."""
    assert (read_metrics(tmp_path), read_result(tmp_path)) == ([], None)


def test_summary_is_of_the_last_ten():
    """Last, best, and the mean of ten epochs, or of all that there are."""
    assert summarise([99.0, *range(10)]) == Summary(9, 99.0, 4.5)
    assert summarise([40.0, 50.0]) == Summary(50.0, 50.0, 45.0)


@pytest.mark.parametrize("key", ["noise", "level", "pretrained"])
def test_older_version(tmp_path, key):
    """A run of a version that did not write a key is an error that says what to do."""
    older = asdict(ASKED)
    del older[key]
    (tmp_path / CONFIG).write_text(json.dumps(older))

    with pytest.raises(ValueError, match=rf"config\.json: '{key}' is missing: .* train it again$"):
        read_config(tmp_path)


def test_no_config(tmp_path):
    """A folder without its config is an error."""
    with pytest.raises(ValueError, match=r"config\.json: the file is missing: move it elsewhere"):
        read_config(tmp_path)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("name", [CONFIG, RESULT, METRICS])
def test_not_json(tmp_path, name, raw):
    """What is no JSON is an error that names the file."""
    (tmp_path / name).write_bytes(raw + b"\n")
    read = {CONFIG: read_config, RESULT: read_result, METRICS: read_metrics}[name]

    with pytest.raises(ValueError, match=rf"{name}: .*: move it elsewhere .*, or train it again$"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "whole", "read"),
    [
        (CONFIG, asdict(ASKED), read_config),
        (RESULT, result_to_json(RESULTS), read_result),
        (METRICS, LINES, read_metrics),
    ],
)
def test_any_node(tmp_path, fuzz, name, whole, read):
    """Any JSON in place of any node is read or an error that names the file."""
    path = tmp_path / name

    def once(raw):
        lines = raw if name == METRICS and isinstance(raw, list) else [raw]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        read(tmp_path)

    fuzz(json.loads(json.dumps(whole)), once, f"{path}: ")


@pytest.mark.parametrize(("n_epochs", "n_averaged"), [(1, 1), (3, 3), (10, 10), (30, 10)])
def test_a_result_in_a_line_names_the_epochs_of_its_mean(n_epochs, n_averaged):
    """There are ten at most."""
    result = {"epochs": n_epochs, "last": 50.0, "best": 60.5, "mean10": 55.0}
    mean = f"mean of the last {n_averaged}: 55.00 %"

    assert format_result(result) == f"last 50.00 %  best 60.50 %  {mean}"
