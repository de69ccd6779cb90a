"""Names of classes, and which of them are one name that was written in two ways.

Tables that people merge have a class with other blanks, with signs that nobody sees, or as 1, 01
and 1.0. These would be several classes without a word, so they are an error. Capital letters are
none: `a` and `A` are two letters, and `cnlw import` says which names differ in them alone.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,99}(\.0*)?")
INVISIBLE = "Cf"  # the Unicode category of signs that only format the text around them


def reject_twins(names: Iterable[str], place: Path) -> None:
    """Check that no two classes have one name.

    Args:
        names: of the classes
        place: where they were read; for the error message

    Raises:
        ValueError: two names differ in blanks, in signs that nobody sees, or as 1 and 01
    """
    by_form: dict[str, str] = {}
    for name in names:
        twin = by_form.setdefault(_plain_form(name), name)
        if twin != name:
            raise ValueError(
                f"{place}: the classes {twin!a} and {name!a} are one name, written in "
                "two ways: write it in one, or call one of them otherwise"
            )


def names_that_differ_in_case(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of names that differ in capital letters alone, single letters aside."""
    by_letters: dict[str, str] = {}
    pairs = []
    for name in names:
        twin = by_letters.setdefault(name.casefold(), name)
        if twin != name and len(name) > 1:
            pairs.append((twin, name))
    return pairs


def _plain_form(name: str) -> str:
    """Return a name without what nobody sees; whole numbers are written in one way."""
    visible = [sign for sign in name if unicodedata.category(sign) != INVISIBLE]
    text = " ".join("".join(visible).split())
    if WHOLE_NUMBER.fullmatch(text):
        return str(int(text.partition(".")[0]))
    return text
