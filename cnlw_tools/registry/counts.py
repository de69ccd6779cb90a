"""Numbers, lists and long values in words: 1 error; a, b and 3 more; [[1.0, 0.0-e253f9."""

from collections.abc import Sequence
from hashlib import sha256

SIBILANTS = ("s", "x", "z", "ch", "sh")
IRREGULAR = {"matrix": "matrices", "epoch": "epochs"}
MAX_WORDS = 6  # that a list names
MAX_VALUE = 60  # characters of a value among others: a matrix would have hundreds
DIGEST_LENGTH = 6


def count_things(n: int, noun: str) -> str:
    """Return a number and the noun, in the plural unless the number is 1.

    The last word of the noun is the one that changes: ``near duplicate``.
    """
    return f"{n:,} {noun if n == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return the plural of a noun, or of the last word of several."""
    words, space, last = noun.rpartition(" ")
    if last in IRREGULAR:
        ending = IRREGULAR[last]
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        ending = last.removesuffix("y") + "ies"
    elif last.endswith(SIBILANTS):
        ending = f"{last}es"
    else:
        ending = f"{last}s"
    return f"{words}{space}{ending}"


def join_words(words: Sequence[str], max_words: int = MAX_WORDS) -> str:
    """Return ``a, b and c``; of more words the first ones and a number, ``a, b, c and 3 more``."""
    if len(words) > max_words or len(words) < 2:
        return list_first(words, max_words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def list_first(words: Sequence[str], max_words: int = MAX_WORDS) -> str:
    """Return ``a, b, c``; of more words the first ones and a number, ``a, b, c and 3 more``."""
    text = ", ".join(words[:max_words])
    n_left = len(words) - max_words
    return f"{text} and {n_left:,} more" if n_left > 0 else text


def shorten(text: str, max_length: int = MAX_VALUE) -> str:
    """Return a text; if it is longer than ``max_length``, its beginning and a digest of it all."""
    if len(text) <= max_length:
        return text
    digest = sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
    beginning = text[: max_length - DIGEST_LENGTH - 1]
    return f"{beginning}-{digest}"
