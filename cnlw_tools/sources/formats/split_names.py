"""What others call the splits of a dataset."""

from collections.abc import Iterable
from pathlib import Path

WORDS = {  # our name, and theirs
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
KNOWN = {word: ours for ours, words in WORDS.items() for word in words}


def splits(found: Iterable[str], where: Path) -> dict[str, str]:
    """Return our name of each split, in our order; a test set is the validation where there is no other.

    Raises:
        ValueError: a name of no split, two names of one split, or nothing to train on
    """
    names = set(found)
    if unknown := sorted(names - KNOWN.keys()):
        raise ValueError(f"{where}: {unknown[0]!r} is no split: call it one of {', '.join(KNOWN)}")
    named = {word: ours for word, ours in KNOWN.items() if word in names}
    ours = list(named.values())
    if "train" not in ours or len(set(ours)) < len(ours):
        raise ValueError(
            f"{where}: its splits are {', '.join(named)}: have one to train on, and each once"
        )
    return (
        named
        if "validation" in ours
        else {k: "validation" if v == "test" else v for k, v in named.items()}
    )
