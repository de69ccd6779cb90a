"""Outliers beside the clean examples: how many, with which labels, and how many are called so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.noise import DonorTooSmall, Items
from cnlw_tools.noise.outlier import expected_stats, outlier
from tests.noise.items import sized

COUNTS = st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(any)


def pool(count):
    """Images of one donor."""
    key = np.random.default_rng(1).integers(0, 2**64, count, np.uint64)
    return Items(np.zeros(count, int), key, {"donor": np.zeros(count, int)})


@given(COUNTS, st.floats(0, 2), st.floats(0, 1))
def test_counts(counts, ratio, labelled_share):
    """So many outliers, each once; a share bears the last class, the labels of the others are spread evenly."""
    classes = len(counts) + (labelled_share > 0)
    options = {"ratio": ratio, "known_share": labelled_share}
    n = sum(counts)
    draw = outlier(sized(counts), pool(500), 0, classes, **options)
    statistics = expected_stats(sized(counts), 0, classes, **options)
    n_outliers = int(ratio * n + 0.5)
    label_counts = np.bincount(draw.label[n:], minlength=classes)

    assert len(set(draw.pool[n:].tolist())) == len(draw.pool) - n == n_outliers
    assert label_counts[len(counts) :].tolist() == (
        [int(labelled_share * n_outliers + 0.5)] if labelled_share else []
    )
    assert np.ptp(label_counts[: len(counts)]) <= 1
    assert statistics.foreign_rate == pytest.approx(n_outliers / (n + n_outliers))
    assert statistics.rate == pytest.approx(
        (n_outliers - (label_counts[-1] if labelled_share else 0)) / (n + n_outliers)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"ratio": -0.1},
            "ratio = -0.1 is not allowed. It is the number of outliers for each",
        ),
        (
            {"known_share": 1.1},
            "known_share = 1.1 is not allowed. It is the share of the outliers",
        ),
    ],
)
def test_bad_options(options, message):
    """What cannot be is an error that says what can."""
    with pytest.raises(ValueError, match=message):
        outlier(sized([5, 5]), pool(50), 0, 3, **options)


def test_too_few():
    """An outlier is used once."""
    with pytest.raises(DonorTooSmall, match="has 9 images, but 10 are needed"):
        outlier(sized([10]), pool(9), 0, 1, ratio=1.0)
