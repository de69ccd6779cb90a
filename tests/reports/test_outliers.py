"""Inliers and outliers."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.reports import runs
from cnlw_tools.reports.outliers import (
    plot_outlier_recall,
    precision_recall,
    read_precision_recall,
)


def naive_points(inlier_scores, outlier_scores):
    """Recall and precision at every threshold, one after the other."""
    points = []
    for threshold in sorted({*inlier_scores, *outlier_scores}, reverse=True):
        right = sum(score >= threshold for score in inlier_scores)
        wrong = sum(score >= threshold for score in outlier_scores)
        points.append((right / len(inlier_scores), right / (right + wrong)))
    return points


def test_precision_over_recall_is_what_counting_gives():
    """Scores have one digit, so that many are equal."""
    scores = (np.random.default_rng(0).random((2, 40)) ** [[0.5], [1]]).round(1)
    curve = precision_recall(*scores)
    points = naive_points(*scores)

    assert np.allclose(np.transpose([curve.recall, curve.precision]), points)
    gained = np.diff([0, *(recall for recall, _ in points)])
    average = sum(g * precision for g, (_, precision) in zip(gained, points, strict=True))
    assert curve.average_precision == pytest.approx(average)


def test_scores_that_separate_them_are_all_right():
    """With equal scores the average precision is the share of inliers."""
    assert precision_recall(np.array([0.9, 0.8]), np.array([0.1])).average_precision == 1
    assert precision_recall(np.ones(1), np.ones(3)).average_precision == 0.25


def test_a_run_has_a_curve_where_there_is_a_class_of_outliers(tmp_path, run_maker, context_maker):
    """Scores are one less the probability of that class; other runs have no curve."""
    folder = run_maker(tmp_path / "a", [50.0])
    (run,) = runs.read_run_folders(tmp_path)
    assert read_precision_recall(run) is None

    split = ["validation", "validation", "test_outliers"]
    probability = pa.array([0.1, 0.6, 0.5], pa.float32())
    predictions = pa.table({"split": split, "p_outlier": probability})
    pq.write_table(predictions, folder / "predictions.parquet")
    average_precision = 0.5 + 0.5 * 2 / 3

    assert plot_outlier_recall(context_maker(tmp_path)).tables[0].rows == [
        ["toy", "blue_40", "vanilla", "2", "1", f"{100 * average_precision:.2f}"]
    ]


def test_predictions_that_cannot_be_read_are_a_problem(tmp_path, run_maker, context_maker):
    """The figure names the file and is drawn without them."""
    folder = run_maker(tmp_path / "a", [50.0])
    (folder / "predictions.parquet").write_bytes(b"torn")
    figure = plot_outlier_recall(context_maker(tmp_path))

    assert len(figure.problems) == 1
    assert "predictions.parquet cannot be read as Parquet" in figure.problems[0]
    assert figure.is_empty
