"""Names of splits: which words in other people's data mean train, validation or test."""

from collections.abc import Iterable
from pathlib import Path

SPLIT_OF_WORD = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def standard_splits(names: Iterable[str], place: Path) -> dict[str, str]:
    """Return the split that each of these names means, train first.

    A test set serves as the validation split where there is no validation set.

    Args:
        names: what the data call their splits
        place: where they were read; for the error messages

    Raises:
        ValueError: a name that means no split, two names for one split, or no training split
    """
    names_used = set(names)
    unknown = sorted(names_used - SPLIT_OF_WORD.keys())
    if unknown:
        choices = ", ".join(SPLIT_OF_WORD)
        raise ValueError(f"{place}: {unknown[0]!r} is not a split: rename it to one of {choices}")
    split_of_name: dict[str, str] = {}
    for word, split in SPLIT_OF_WORD.items():
        if word in names_used:
            split_of_name[word] = split
    splits = list(split_of_name.values())
    has_duplicates = len(set(splits)) < len(splits)
    if "train" not in splits or has_duplicates:
        raise ValueError(
            f"{place}: its splits are {', '.join(split_of_name)}: "
            "there must be a training split, and each split once"
        )
    if "validation" not in splits:
        for name, split in split_of_name.items():
            if split == "test":
                split_of_name[name] = "validation"
    return split_of_name
