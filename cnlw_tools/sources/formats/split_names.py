"""Names of splits: which words in other people's data mean train, validation or test."""

from collections.abc import Iterable
from pathlib import Path

WORDS_OF_SPLIT = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
SPLIT_OF_WORD = {word: split for split, words in WORDS_OF_SPLIT.items() for word in words}


def standard_splits(names: Iterable[str], place: Path) -> dict[str, str]:
    """Return the split that each of these names means, train first.

    A test set serves as the validation split where there is no validation set.

    Args:
        names: what the data call their splits
        place: where they were read; for the error messages

    Raises:
        ValueError: a name that means no split, two names for one split, or no training split
    """
    words = set(names)
    unknown = sorted(words - SPLIT_OF_WORD.keys())
    if unknown:
        choices = ", ".join(SPLIT_OF_WORD)
        raise ValueError(f"{place}: {unknown[0]!r} is not a split: rename it to one of {choices}")
    split_of_name = {word: split for word, split in SPLIT_OF_WORD.items() if word in words}
    splits = list(split_of_name.values())
    if "train" not in splits or len(set(splits)) < len(splits):
        raise ValueError(
            f"{place}: its splits are {', '.join(split_of_name)}: "
            "there must be a training split, and each split once"
        )
    if "validation" not in splits:
        for name, split in split_of_name.items():
            if split == "test":
                split_of_name[name] = "validation"
    return split_of_name
