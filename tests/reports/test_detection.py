"""How well runs detect noisy examples: runs joined with the truth of their build."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from cnlw_tools.builds.build import build
from cnlw_tools.builds.ground_truth import load
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.reports import runs
from cnlw_tools.reports.detection import detect_noise, measure_detection
from cnlw_tools.reports.diagnostics import load_truths, make_diagnostics
from cnlw_tools.trainer import data


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny):
    """A build of blue 40 and red 20."""
    folder = tmp_path_factory.mktemp("truth")
    root = tiny(folder / "root")
    for noise, level in (("blue", 40), ("red", 20)):
        keys = {"dataset": "shapes", "noise": noise, "levels": [level], "size": 16}
        keys |= {"shard_rows": 40, "probe": 2}
        if noise == "red":
            keys["options"] = {"top": 20}
        build(recipe.parse_recipe(keys, "test"), Inputs(root), folder / "shapes")
    return folder / "shapes"


@pytest.fixture
def runs_folder(built, tmp_path, run_maker):
    """A run on red 20 that gave all noisy examples no weight, and some of the clean ones."""
    truth = load(built, "red_20_t20_probe2")
    weight = np.where(truth.noisy | (np.arange(len(truth.noisy)) % 10 == 0), 0.0, 1.0)
    folder = run_maker(
        tmp_path / "runs" / "a",
        [50.0],
        build=str(built),
        config="red_20_t20_probe2",
        data={"train": truth.digest},
    )
    (folder / "examples.parquet").mkdir()
    columns = {
        "epoch": np.ones(len(weight), np.int32),
        "row": np.arange(len(weight)),
        "loss": 1 - weight,
        "weight": weight,
    }
    pq.write_table(pa.table(columns), folder / "examples.parquet" / "epoch-0001.parquet")
    return tmp_path / "runs"


def report_context(folder, context_maker):
    """Return all that figures may use of some runs, and what is wrong with their builds."""
    run_folders = runs.read_run_folders(folder)
    truths, problems = load_truths((run.build, run.config.config) for run in run_folders)
    return context_maker(folder, truths=truths), problems


def test_rows_are_those_of_datasets(built):
    """The n-th noisy flag belongs to the n-th row that `datasets` reads."""
    read = load_dataset(
        str(built), "blue_40_probe2", split="train", cache_dir=str(built.parent / "cache")
    )

    assert load(built, "blue_40_probe2").noisy.tolist() == read["is_noisy"][:]


def test_the_digest_is_the_one_that_a_run_writes_down(built):
    """Both digests are of the same images and labels."""
    splits = data.load_splits(
        built, "red_20_t20_probe2", data.ImageSize(), built.parent / "pixels", 1
    )

    assert load(built, "red_20_t20_probe2").digest == splits["train"].digest
    assert load(built, "blue_40_probe2").digest != splits["train"].digest


def naive(loss, weight, noisy):
    """Precision and recall by weight, then by loss, one example after the other; losses differ."""
    mean = sum(weight) / len(weight)
    marked = [i for i, w in enumerate(weight) if w < mean / 2]
    caught = sum(bool(noisy[i]) for i in marked)
    highest = sorted(range(len(loss)), key=lambda i: -loss[i])[: sum(noisy)]
    return (
        caught / len(marked),
        caught / sum(noisy),
        sum(bool(noisy[i]) for i in highest) / len(highest),
    )


def test_detection_is_what_counting_gives():
    """Losses and weights are random numbers."""
    draw = np.random.default_rng(0)
    loss, weight, noisy = draw.random(50), draw.random(50), draw.random(50) < 0.3

    assert measure_detection(loss, weight, noisy)[:3] == pytest.approx(naive(loss, weight, noisy))


def test_what_was_not_drawn_does_not_count():
    """Such examples have nan as loss and weight."""
    loss, weight = np.array([1.0, np.nan, 0.0]), np.array([0.0, np.nan, 1.0])
    result = measure_detection(loss, weight, np.array([True, True, False]))

    assert result == (1.0, 1.0, 1.0, 2)


def test_equal_losses_at_the_threshold_count_by_their_share():
    """One of two is noisy, and there is room for one of them."""
    noisy = np.array([True, True, False, False])

    assert (
        measure_detection(np.array([3.0, 1.0, 1.0, 0.0]), np.ones(4), noisy).loss_precision == 0.75
    )


def test_equal_weights_mark_nothing():
    """Precision and recall are undefined, as by loss for a set without noise."""
    result = measure_detection(np.array([1.0, 0.0]), np.ones(2), np.array([True, False]))

    assert math.isnan(result.weight_precision)
    assert math.isnan(result.weight_recall)
    assert math.isnan(measure_detection(np.ones(2), np.ones(2), np.zeros(2, bool)).loss_precision)


def test_a_run_is_joined_by_row(runs_folder):
    """All noisy examples are marked, and a tenth of the clean ones."""
    (run,) = runs.read_run_folders(runs_folder)
    truth = load(run.build, "red_20_t20_probe2")
    result = detect_noise(run, truth)
    marked = truth.noisy | (np.arange(len(truth.noisy)) % 10 == 0)

    assert result.weight_recall == 1
    assert result.weight_precision == pytest.approx(truth.noisy.sum() / marked.sum())


def test_a_build_that_has_changed_is_not_joined(runs_folder):
    """The result would look right and mean nothing."""
    path = runs_folder / "a" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": {"train": "0"}}))
    (run,) = runs.read_run_folders(runs_folder)

    with pytest.raises(ValueError, match="is not what it learned from any more"):
        detect_noise(run, load(run.build, "red_20_t20_probe2"))


def test_what_builds_add(runs_folder, context_maker):
    """A matrix, a gallery of each origin, a row of detection."""
    context, _ = report_context(runs_folder, context_maker)
    diagnostics = make_diagnostics(context)

    assert diagnostics.problems == []
    assert [title for title, _ in diagnostics.matrices] == ["shapes: red_20_t20_probe2"]
    assert [title for title, _ in diagnostics.galleries] == [
        "shapes, red_20_t20_probe2, noisy images from web"
    ]
    (row,) = diagnostics.detection[0].rows
    assert row[:3] == ["shapes", "red_20_t20_probe2", "vanilla"]
    assert row[4] == "100.0"


def test_a_missing_build_is_a_problem_that_is_reported(tmp_path, run_maker, context_maker):
    """The rest of the report is written even so."""
    run_maker(tmp_path / "a", [50.0])
    context, problems = report_context(tmp_path, context_maker)
    diagnostics = make_diagnostics(context)

    assert (diagnostics.matrices, diagnostics.galleries, diagnostics.detection) == ([], [], [])
    assert problems[0].startswith(
        "blue_40: no matrix, gallery or noise detection: builds/toy: no build here"
    )
