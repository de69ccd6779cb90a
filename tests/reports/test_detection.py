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
from cnlw_tools.reports.detection import ExampleRecords, detect_noise, measure_detection
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
        built, "red_20_t20_probe2", data.Resizing(), built.parent / "pixels", 1
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


def detect(loss, weight, noisy, mark="down_weighted", own=None):
    """How well these records detect noise."""
    nowhere = np.full(len(loss), np.nan)
    own = nowhere if own is None else np.array(own)
    records = ExampleRecords(np.array(loss), np.array(weight), own, np.array(noisy, bool))
    return measure_detection(records, mark)


def test_detection_is_what_counting_gives():
    """Losses and weights are random numbers."""
    draw = np.random.default_rng(0)
    loss, weight, noisy = draw.random(50), draw.random(50), draw.random(50) < 0.3

    assert detect(loss, weight, noisy)[:3] == pytest.approx(naive(loss, weight, noisy))


def test_what_was_never_seen_does_not_count():
    """Such examples have nan as loss and weight: they are neither marked nor missed."""
    result = detect([1.0, np.nan, 0.0], [0.0, np.nan, 1.0], [True, True, False])

    assert result == (1.0, 1.0, 1.0, 2)


@pytest.mark.parametrize("mark", ["removed", "down_weighted"])
def test_what_was_removed_counts_without_a_loss(mark):
    """Of two removed examples one is noisy, and of two noisy ones one is removed."""
    result = detect([np.nan, np.nan, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0], [1, 0, 1, 0], mark)

    assert result[:2] == (0.5, 0.5)
    assert math.isnan(result.loss_precision)
    assert result.n_examples == 4


def test_what_is_relabelled_is_marked_whatever_it_weighs():
    """Two examples learn another label, and one of them is noisy; one was never seen."""
    result = detect(
        [1.0, 2.0, 3.0, np.nan],
        [0.5, 0.5, 1.0, np.nan],
        [1, 0, 0, 1],
        "relabelled",
        [0.0, 0.0, 1.0, np.nan],
    )

    assert result[:2] == (0.5, 1.0)


def test_a_weight_above_zero_is_not_removed():
    """A fifth of the full weight is little, and yet the example is learned."""
    assert detect([1.0, 2.0], [0.2, 1.0], [1, 0], "down_weighted")[:2] == (1, 1)
    assert math.isnan(detect([1.0, 2.0], [0.2, 1.0], [1, 0], "removed").precision)


def test_an_unknown_mark_is_an_error():
    """The error lists those that there are."""
    with pytest.raises(ValueError, match="declare removed, down_weighted or relabelled"):
        detect([1.0], [1.0], [1], "pruned")


def test_equal_losses_at_the_threshold_count_by_their_share():
    """One of two is noisy, and there is room for one of them."""
    assert detect([3.0, 1.0, 1.0, 0.0], np.ones(4), [1, 1, 0, 0]).loss_precision == 0.75


def test_where_all_are_noisy_all_losses_are_hits():
    """As many are marked as are noisy, and these are all."""
    assert detect([2.0, 1.0], [1.0, 0.0], [True, True]) == (1.0, 0.5, 1.0, 2)


def test_equal_weights_mark_nothing():
    """Precision and recall are undefined, as by loss for a set without noise."""
    result = detect([1.0, 0.0], np.ones(2), [True, False])

    assert math.isnan(result.precision)
    assert math.isnan(result.recall)
    assert math.isnan(detect(np.ones(2), np.ones(2), [False, False]).loss_precision)


def test_a_run_is_joined_by_row(runs_folder):
    """All noisy examples are marked, and a tenth of the clean ones."""
    (run,) = runs.read_run_folders(runs_folder)
    truth = load(run.build, "red_20_t20_probe2")
    result = detect_noise(run, truth)["down_weighted"]
    marked = truth.noisy | (np.arange(len(truth.noisy)) % 10 == 0)

    assert result.recall == 1
    assert result.precision == pytest.approx(truth.noisy.sum() / marked.sum())


def test_a_build_that_has_changed_is_not_joined(runs_folder):
    """The result would look right and mean nothing."""
    path = runs_folder / "a" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": {"train": "0"}}))
    (run,) = runs.read_run_folders(runs_folder)

    with pytest.raises(ValueError, match="has changed since the run learned from it"):
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
    assert row[3] == "weight below half the mean"
    assert row[5] == "100.0"


def test_a_missing_build_is_a_problem_that_is_reported(tmp_path, run_maker, context_maker):
    """The rest of the report is written even so."""
    run_maker(tmp_path / "a", [50.0])
    context, problems = report_context(tmp_path, context_maker)
    diagnostics = make_diagnostics(context)

    assert (diagnostics.matrices, diagnostics.galleries, diagnostics.detection) == ([], [], [])
    assert problems[0].startswith(
        "blue_40: no matrix, gallery or noise detection: builds/toy: no build here"
    )


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"row": [0, 10**9]}, "it names rows 0 to 1000000000, but the build has 180 examples"),
        ({"row": [-1, 3]}, "it names rows -1 to 3, but the build has 180 examples"),
        ({"row": [0.5, 1.0]}, "a number in the column row is not a whole number"),
        ({"row": [0, None]}, "a number in the column row is not a whole number"),
        ({"x": [0, 1]}, "there is no column row"),
        (None, "this is a folder, not a file"),
    ],
)
def test_records_of_no_example_are_a_problem_and_do_not_end_the_report(
    runs_folder, context_maker, columns, reason
):
    """The file is named."""
    path = runs_folder / "a" / "examples.parquet" / "epoch-0001.parquet"
    path.unlink()
    if columns:
        ones = np.ones(2, np.float32)
        pq.write_table(pa.table({**columns, "loss": ones, "weight": ones}), path)
    else:
        path.mkdir()
    context, _ = report_context(runs_folder, context_maker)
    (problem,) = make_diagnostics(context).problems

    assert problem.startswith(f"{path}: {reason}")
