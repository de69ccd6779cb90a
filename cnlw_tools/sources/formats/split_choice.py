"""Which splits of a dataset are read, and what each of them is for."""

from collections.abc import Collection, Sequence
from pathlib import Path

from cnlw_tools.registry import pick
from cnlw_tools.sources.formats.split_names import split_of_name, use_test_as_validation

SPLITS = ("train", "validation", "test")


def choose_splits(names: Collection[str], choices: Sequence[str], place: Path) -> dict[str, str]:
    """Return what each split of a dataset is for, train first.

    A test set serves as the validation split where there is no validation set, unless a choice
    says what it is for.

    Args:
        names: what the dataset calls its splits
        choices: those to read, each NAME or NAME=SPLIT. Default: all, which must be known words
        place: the dataset; for the error messages

    Raises:
        LookupError: there is no split of this name
        ValueError: a name that means no split, two names for one split, or no training split
    """
    splits: dict[str, str] = {}
    fixed_names = set()
    for choice in choices or names:
        name, _, split = choice.partition("=")
        pick(dict.fromkeys(names), name, f"split of {place}")
        if name in splits:
            raise ValueError(f"--split {name} is given twice: give it once")
        if split:
            fixed_names.add(name)
        splits[name] = split or split_of_name(name) or ""
        if splits[name] not in SPLITS:
            raise ValueError(
                f"{place}: {split or name!r} is not a split: choose which of "
                f"{', '.join(names)} to read with `cnlw import --split NAME` for each, "
                f"or with --split {name}=SPLIT, where SPLIT is one of {', '.join(SPLITS)}"
            )
    _check_splits(splits, fixed_names, place)
    splits = use_test_as_validation(splits, fixed_names)
    return dict(sorted(splits.items(), key=lambda item: SPLITS.index(item[1])))


def _check_splits(splits: dict[str, str], fixed_names: Collection[str], place: Path) -> None:
    """Check for a training split, and for one name a split unless a choice gives several."""
    free_splits = [split for name, split in splits.items() if name not in fixed_names]
    if "train" not in splits.values() or len(set(free_splits)) < len(free_splits):
        raise ValueError(
            f"{place}: its splits are {', '.join(splits)}, which is not allowed: there must be "
            "a training split, "
            "and no split may occur twice; choose with `cnlw import --split NAME=train`"
        )
