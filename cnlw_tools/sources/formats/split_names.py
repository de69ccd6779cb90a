"""Names of splits: which words in other people's data mean train, validation or test."""

import re
from collections.abc import Collection, Iterable, Mapping
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
    "eval": "test",
    "evaluation": "test",
}
SPLIT_WORDS = list(SPLIT_OF_WORD)
SPLIT_NAME = re.compile(  # Train, TRAIN, training_set, Test Images
    rf"(?P<word>{'|'.join(SPLIT_WORDS)})([-_ ]?(set|data|split|images))?", re.IGNORECASE
)


def split_of_name(name: str) -> str | None:
    """Return the split that a name means, in capital or small letters; none if it means none."""
    word = _split_word(name)
    return SPLIT_OF_WORD[word] if word else None


def standard_splits(names: Iterable[str], place: Path) -> dict[str, str]:
    """Return the split that each of these names means, train first.

    A test set serves as the validation split where there is no validation set.

    Args:
        names: what the data call their splits
        place: where they were read; for the error messages

    Raises:
        ValueError: a name that means no split, two names for one split, or no training split
    """
    word_of_name = {}
    for name in sorted(set(names)):
        word = _split_word(name)
        if word is None:
            choices = ", ".join(SPLIT_WORDS)
            raise ValueError(f"{place}: {name!r} is not a split: rename it to one of {choices}")
        word_of_name[name] = word
    ordered_names = sorted(word_of_name, key=lambda name: SPLIT_WORDS.index(word_of_name[name]))
    splits = {name: SPLIT_OF_WORD[word_of_name[name]] for name in ordered_names}
    has_duplicates = len(set(splits.values())) < len(splits)
    if "train" not in splits.values() or has_duplicates:
        raise ValueError(
            f"{place}: its splits are {', '.join(splits)}, which is not allowed: "
            "there must be a training split, and no split may occur twice"
        )
    return use_test_as_validation(splits)


def use_test_as_validation(
    splits: Mapping[str, str], fixed_names: Collection[str] = ()
) -> dict[str, str]:
    """Return splits where a test set serves as validation, if there is no validation set.

    Args:
        splits: what each split of the data is for, by name
        fixed_names: of splits for which the user has said it
    """
    if "validation" in splits.values():
        return dict(splits)
    uses = {}
    for name, split in splits.items():
        serves = split == "test" and name not in fixed_names
        uses[name] = "validation" if serves else split
    return uses


def _split_word(name: str) -> str | None:
    """Return the key of SPLIT_OF_WORD that a name consists of; none if it consists of none."""
    match = SPLIT_NAME.fullmatch(name.strip())
    return match["word"].lower() if match else None
