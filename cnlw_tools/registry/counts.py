"""Numbers of things in words: 1 error, 2 errors, 1,000 matrices."""

SIBILANTS = ("s", "x", "z", "ch", "sh")
IRREGULAR = {"matrix": "matrices"}


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
