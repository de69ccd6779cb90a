"""What a run writes down, read again."""

import json
import math
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
    summarise_history,
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
RESULTS = RunResult(3, Summary(50.0, 60.5, 55), {"val_ilsvrc12_top1": Summary(1.0, 2.0, 1.5)}, 2)
LINES = [
    {"epoch": 1, "train_loss": 2.0, "seconds": 0.5, "peak_mb": 3},
    {"epoch": 2, "train_loss": 1.0, "seconds": 0.5, "peak_mb": 3},
]


@pytest.mark.parametrize(
    "config",
    [
        ASKED,
        replace(ASKED, level=None, weights="34", options={}),
        replace(
            ASKED,
            split="probe",
            architecture="56",
            code="78",
            marks_noise=("removed", "relabelled"),
        ),
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
        "reported_epochs": 2,
        "last": 50.0,
        "best": 60.5,
        "mean10": 55,
        "val_ilsvrc12_top1": {"last": 1.0, "best": 2.0, "mean10": 1.5},
    }


def test_metrics(tmp_path):
    """Lines come back as they were written."""
    (tmp_path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in LINES))

    assert read_metrics(tmp_path) == LINES


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("val_top1", math.nan, "a number"),
        ("train_loss", math.inf, "a number"),
        ("val_top5", 500.0, "a percentage"),
        ("val_ilsvrc12_top1", -1.0, "a percentage"),
    ],
)
def test_metrics_that_no_run_measures_are_an_error(tmp_path, name, value, reason):
    """They would make a mean of nan, or one above 100 %."""
    lines = [LINES[0], LINES[1] | {name: value}]
    (tmp_path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))

    with pytest.raises(ValueError, match=rf"line 2: {name} = {value:g}: it must be {reason}"):
        read_metrics(tmp_path)


def test_a_run_that_has_not_begun(tmp_path):
    """It has measured nothing and come to nothing."""
    assert (read_metrics(tmp_path), read_result(tmp_path)) == ([], None)


def test_summary_is_of_the_last_ten():
    """Last, best, and the mean of ten epochs, or of all that there are."""
    assert summarise([99.0, *range(10)]) == Summary(9, 99.0, 4.5)
    assert summarise([40.0, 50.0]) == Summary(50.0, 50.0, 45.0)


def line(epoch, top1):
    """The metrics of an epoch."""
    return {"epoch": epoch, "train_loss": 1.0, "val_top1": top1, "val_top5": 90.0}


@pytest.mark.parametrize(
    ("n_reported", "best", "tail"), [(14, 99.0, range(62, 72)), (12, 80.0, [*range(62, 72)])]
)
def test_the_result_of_a_run_is_of_the_epochs_that_are_reported(n_reported, best, tail):
    """A peak of an earlier stage is no best, and the mean is of the last ten of the last stage."""
    values = [50.0, 99.0, 80.0, *range(61, 72)]
    history = [line(i, v) for i, v in enumerate(values, 1)]

    assert summarise_history(history, n_reported) == RunResult(
        14, Summary(71, best, sum(tail) / 10), {}, n_reported
    )


def test_the_mean_of_a_short_last_stage_is_of_all_its_epochs():
    """Two of five."""
    history = [line(i, v) for i, v in enumerate([90.0, 90.0, 90.0, 40.0, 50.0], 1)]

    assert summarise_history(history, 2).validation == Summary(50.0, 50.0, 45.0)


def test_other_validation_splits_have_their_own_result():
    """By the name of the metric, of the same epochs."""
    history = [line(i, 40.0) | {"val_ilsvrc12_top1": v} for i, v in ((1, 90.0), (2, 30.0))]

    assert summarise_history(history, 1).others == {"val_ilsvrc12_top1": Summary(30.0, 30.0, 30.0)}


def test_a_result_of_an_older_version_is_of_all_epochs(tmp_path):
    """It did not write how many count."""
    (tmp_path / RESULT).write_text(
        json.dumps(result_to_json(replace(RESULTS, reported_epochs=None)))
    )

    assert "reported_epochs" not in (tmp_path / RESULT).read_text()
    assert read_result(tmp_path).n_reported == 3


@pytest.mark.parametrize("key", ["noise", "level", "pretrained"])
def test_older_version(tmp_path, key):
    """A run of a version that did not write a key is an error that says what to do."""
    older = asdict(ASKED)
    del older[key]
    (tmp_path / CONFIG).write_text(json.dumps(older))

    with pytest.raises(
        ValueError, match=rf"config\.json: '{key}' is missing: .* train the run again$"
    ):
        read_config(tmp_path)


def test_no_config(tmp_path):
    """A folder without its config is an error."""
    with pytest.raises(
        ValueError, match=r"config\.json: the file is missing: move the folder elsewhere"
    ):
        read_config(tmp_path)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("name", [CONFIG, RESULT, METRICS])
def test_not_json(tmp_path, name, raw):
    """What is no JSON is an error that names the file."""
    (tmp_path / name).write_bytes(raw + b"\n")
    read = {CONFIG: read_config, RESULT: read_result, METRICS: read_metrics}[name]

    with pytest.raises(
        ValueError, match=rf"{name}:? .*: move the folder elsewhere .*, or train the run again$"
    ):
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

    fuzz(json.loads(json.dumps(whole)), once, str(path))


@pytest.mark.parametrize(("n_epochs", "n_averaged"), [(1, 1), (3, 3), (10, 10), (30, 10)])
def test_a_result_in_a_line_names_the_epochs_of_its_mean(n_epochs, n_averaged):
    """There are ten at most, and no more than the last stage has."""
    result = {"epochs": 40, "reported_epochs": n_epochs}
    result |= {"last": 50.0, "best": 60.5, "mean10": 55.0}
    mean = f"mean of the last {n_averaged}: 55.00 %"

    assert format_result(result) == f"last 50.00 %  best 60.50 %  {mean}"
