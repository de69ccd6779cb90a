"""Which splits of a dataset are read."""

from pathlib import Path

import pytest

from cnlw_tools.sources.formats.split_choice import choose_splits

PLACE = Path("d")


@pytest.mark.parametrize(
    ("names", "choices", "expected"),
    [
        (["test", "train"], (), {"train": "train", "test": "validation"}),
        (["test", "train", "val"], (), {"train": "train", "val": "validation", "test": "test"}),
        (["Test", "TRAIN"], (), {"TRAIN": "train", "Test": "validation"}),
        (["test", "train", "val"], ("train", "val"), {"train": "train", "val": "validation"}),
        (["train", "test"], ("train",), {"train": "train"}),
        (["train", "test"], ("train", "test=test"), {"train": "train", "test": "test"}),
        (["a", "b"], ("b=train", "a=validation"), {"b": "train", "a": "validation"}),
        (["train", "more"], ("train", "more=train"), {"train": "train", "more": "train"}),
    ],
)
def test_choice(names, choices, expected):
    """Splits are read in the order train, validation, test; a choice may say what one is for."""
    splits = choose_splits(names, choices, PLACE)

    assert list(splits.items()) == list(expected.items())


@pytest.mark.parametrize(
    ("names", "choices", "message"),
    [
        (["train", "unsup"], (), "'unsup' is not a split: choose which of train, unsup .* --split"),
        (["train"], ("tran",), "unknown split of d 'tran'. Did you mean 'train'"),
        (["train"], ("train", "train"), "--split train is given twice"),
        (["train", "test"], ("train", "test=probe"), "'probe' is not a split"),
        (
            ["train", "test"],
            ("test",),
            "its splits are test, which is not allowed: there must be a training split",
        ),
        (
            ["train", "training"],
            (),
            "its splits are train, training, which is not allowed: .* no split may occur twice",
        ),
    ],
)
def test_wrong_choices(names, choices, message):
    """A name that is no split, or no training split, is an error that names the option."""
    with pytest.raises((LookupError, ValueError), match=message):
        choose_splits(names, choices, PLACE)
