"""Where runs meet the truth."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from cnlw_tools.build.build import build
from cnlw_tools.build.ground_truth import load
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.report import runs
from cnlw_tools.report.context import Seen
from cnlw_tools.report.detection import detect, detection
from cnlw_tools.report.diagnostics import known, truths
from cnlw_tools.report.study_file import Said
from cnlw_tools.report.trials import best, trials
from cnlw_tools.trainer import data


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny):
    """A build of blue 40 and red 20."""
    folder = tmp_path_factory.mktemp("truth")
    root = tiny(folder / "root")
    for noise, level in (("blue", 40), ("red", 20)):
        said = {
            "dataset": "shapes",
            "noise": noise,
            "levels": [level],
            "size": 16,
            "shard_rows": 40,
            "probe": 2,
        }
        said |= {"options": {"top": 20}} if noise == "red" else {}
        build(recipe.parse_recipe(said, "test"), Inputs(root), folder / "shapes")
    return folder / "shapes"


@pytest.fixture
def told(built, tmp_path, run_maker):
    """A run on red 20 that gave all noisy examples no weight, and some of the clean ones."""
    held = load(built, "red_20_t20_probe2")
    weight = np.where(held.noisy | (np.arange(len(held.noisy)) % 10 == 0), 0.0, 1.0)
    folder = run_maker(
        tmp_path / "runs" / "a",
        [50.0],
        build=str(built),
        config="red_20_t20_probe2",
        data={"train": held.digest},
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


def seen(folder):
    """What a report knows of runs, and what it lacks."""
    found = runs.load(folder)
    there, lacking = truths((run.build, run.config.config) for run in found)
    return Seen(
        Said(), {run.name: run for run in found}, best(trials(runs.table(found))), {}, "last", there
    ), lacking


def test_rows_are_those_of_datasets(built):
    """The n-th noisy flag is the one of the n-th row that `datasets` reads."""
    read = load_dataset(
        str(built), "blue_40_probe2", split="train", cache_dir=str(built.parent / "cache")
    )

    assert load(built, "blue_40_probe2").noisy.tolist() == read["is_noisy"][:]


def test_the_digest_is_the_one_that_a_run_writes_down(built):
    """Of the same images and labels."""
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
    """Of random numbers."""
    draw = np.random.default_rng(0)
    loss, weight, noisy = draw.random(50), draw.random(50), draw.random(50) < 0.3

    assert detect(loss, weight, noisy)[:3] == pytest.approx(naive(loss, weight, noisy))


def test_what_was_not_drawn_does_not_count():
    """Nan in loss and weight."""
    loss, weight = np.array([1.0, np.nan, 0.0]), np.array([0.0, np.nan, 1.0])
    found = detect(loss, weight, np.array([True, True, False]))

    assert found == (1.0, 1.0, 1.0, 2)


def test_equal_losses_at_the_cut_count_by_their_share():
    """One of two is noisy, and there is room for one of them."""
    noisy = np.array([True, True, False, False])

    assert detect(np.array([3.0, 1.0, 1.0, 0.0]), np.ones(4), noisy).by_loss == 0.75


def test_weights_that_are_all_alike_mark_nothing():
    """Nothing can be said; nor of a set without noise."""
    found = detect(np.array([1.0, 0.0]), np.ones(2), np.array([True, False]))

    assert math.isnan(found.precision)
    assert math.isnan(found.recall)
    assert math.isnan(detect(np.ones(2), np.ones(2), np.zeros(2, bool)).by_loss)


def test_a_run_is_joined_by_row(told):
    """All that is noisy is found, and a tenth of what is clean with it."""
    (run,) = runs.load(told)
    held = load(run.build, "red_20_t20_probe2")
    found = detection(run, held)
    marked = held.noisy | (np.arange(len(held.noisy)) % 10 == 0)

    assert found.recall == 1
    assert found.precision == pytest.approx(held.noisy.sum() / marked.sum())


def test_a_build_that_is_another_is_not_joined(told):
    """It would be nonsense that looks like a result."""
    path = told / "a" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": {"train": "0"}}))
    (run,) = runs.load(told)

    with pytest.raises(ValueError, match="is not what it learned from any more"):
        detection(run, load(run.build, "red_20_t20_probe2"))


def test_what_builds_add(told):
    """A matrix, a gallery of each origin, a row of detection."""
    made, lacking = known(seen(told)[0])

    assert lacking == []
    assert [title for title, _ in made.matrices] == ["shapes: red_20_t20_probe2"]
    assert [title for title, _ in made.galleries] == [
        "shapes, red_20_t20_probe2, noisy images from web"
    ]
    assert made.detection[0].rows[0][:3] == ["shapes", "red_20_t20_probe2", "vanilla"]
    assert made.detection[0].rows[0][4] == "100.0"


def test_a_build_that_is_gone_is_said(tmp_path, run_maker):
    """The rest of the report is written even so."""
    run_maker(tmp_path / "a", [50.0])
    found, lacking = seen(tmp_path)
    made, _ = known(found)

    assert (made.matrices, made.galleries, made.detection) == ([], [], [])
    assert lacking[0].startswith(
        "blue_40: no matrix, gallery or noise detection: builds/toy: no build here"
    )
