"""Inliers and outliers."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.report import runs
from cnlw_tools.report.context import Seen
from cnlw_tools.report.outliers import curve, recall, told
from cnlw_tools.report.study_file import Said
from cnlw_tools.report.trials import best, trials


def naive(inside, outside):
    """Precision and recall at every cut, one after the other."""
    points = []
    for cut in sorted({*inside, *outside}, reverse=True):
        right, wrong = sum(s >= cut for s in inside), sum(s >= cut for s in outside)
        points.append((right / len(inside), right / (right + wrong)))
    return points


def test_precision_over_recall_is_what_counting_gives():
    """Scores of one digit, so that many are equal."""
    inside, outside = (np.random.default_rng(0).random((2, 40)) ** [[0.5], [1]]).round(1)
    of = curve(inside, outside)
    points = naive(inside, outside)

    assert np.allclose(np.transpose([of.recall, of.precision]), points)
    gained = np.diff([0, *(r for r, _ in points)])
    assert of.average == pytest.approx(sum(g * p for g, (_, p) in zip(gained, points, strict=True)))


def test_scores_that_part_them_are_all_right():
    """And scores that are all alike come to the share of inliers."""
    assert curve(np.array([0.9, 0.8]), np.array([0.1])).average == 1
    assert curve(np.ones(1), np.ones(3)).average == 0.25


def test_a_run_tells_where_there_is_a_class_of_outliers(tmp_path, run_maker):
    """By one less its probability; nothing is told of others."""
    folder = run_maker(tmp_path / "a", [50.0])
    (run,) = found = runs.load(tmp_path)
    assert told(run) is None
    split, p = (
        ["validation", "validation", "test_outliers"],
        pa.array([0.1, 0.6, 0.5], pa.float32()),
    )
    pq.write_table(pa.table({"split": split, "p_outlier": p}), folder / "predictions.parquet")
    of = Seen(Said(), {run.name: run}, best(trials(runs.table(found))), {}, "last", {})

    assert recall(of).tables[0].rows == [
        ["toy", "blue_40", "vanilla", "2", "1", f"{100 * (0.5 + 0.5 * 2 / 3):.2f}"]
    ]
