"""What a plan holds, in numbers."""

import numpy as np
import pyarrow as pa
import pytest

from cnlw_tools.dataset.tables import PLAN
from cnlw_tools.plans import statistics
from cnlw_tools.plans.statistics import describe_invertibility, realised_stats


def row(label, clean_label, origin="base", split="train"):
    """A row of a plan."""
    return {
        "image_id": "x",
        "label": label,
        "clean_label": clean_label,
        "origin": origin,
        "replaces": None,
        "is_noisy": label != clean_label,
        "split": split,
    }


@pytest.mark.parametrize("block_rows", [1 << 18, 2])
def test_by_hand(monkeypatch, block_rows):
    """Rates are of train; the matrix leaves out foreign images, those of a known class too."""
    monkeypatch.setattr(statistics, "BLOCK_ROWS", block_rows)
    rows = [
        row(0, 0),
        row(0, 0),
        row(1, 0),
        row(1, 1),
        row(1, None, "web"),
        row(1, 2, "donor"),
        row(0, 2, split="validation"),
    ]
    stats = realised_stats(pa.Table.from_pylist(rows, PLAN), 3)

    assert stats.rate == 3 / 6
    assert stats.foreign_rate == pytest.approx(2 / 6)
    assert np.array_equal(stats.matrix, [[2 / 3, 1 / 3, 0], [0, 1, 0], [0, 0, 0]])
    assert stats.n_clean.tolist() == [2, 1, 0]


def test_a_matrix_that_cannot_be_inverted_says_so():
    """Of a regular one, determinant and condition number are enough."""
    assert describe_invertibility(np.diag([1, 0.5])) == "determinant 0.5, condition number 2"
    assert describe_invertibility(np.full((2, 2), 0.5)).endswith(
        ": singular, it cannot be inverted"
    )


def test_many_classes_are_not_inverted():
    """Singular values of thousands of classes would take minutes, so the line says that."""
    assert describe_invertibility(np.eye(2001)).endswith("not computed for 2,001 classes")
