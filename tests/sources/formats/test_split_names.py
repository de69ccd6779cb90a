"""Names of splits in other people's data."""

from pathlib import Path

import pytest

from cnlw_tools.sources.formats.split_names import split_of_name, standard_splits


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("TRAIN", "train"),
        ("Training", "train"),
        ("training_set", "train"),
        ("Train Images", "train"),
        ("trainset", "train"),
        ("Val", "validation"),
        ("valid", "validation"),
        ("Validation-Data", "validation"),
        ("dev", "validation"),
        ("Testing", "test"),
        ("test_set", "test"),
        ("evaluation", "test"),
        ("trainer", None),
        ("rose", None),
        ("devset2", None),
        ("protest", None),
        ("set", None),
        ("", None),
    ],
)
def test_split_of_name(name, split):
    """A split is recognised in capital and small letters, with a word like set behind it."""
    assert split_of_name(name) == split


def test_standard_splits():
    """Names keep their spelling, train comes first, and a test set may serve for validation."""
    place = Path("D")

    assert standard_splits(["Test", "Training"], place) == {
        "Training": "train",
        "Test": "validation",
    }
    assert list(standard_splits(["TEST", "val", "train"], place)) == ["train", "val", "TEST"]
    with pytest.raises(
        ValueError,
        match=r"its splits are Train, train, which is not allowed: .* no split may occur twice",
    ):
        standard_splits(["train", "Train"], place)
    with pytest.raises(ValueError, match="D: 'fold1' is not a split: rename it to one of train"):
        standard_splits(["train", "fold1"], place)
