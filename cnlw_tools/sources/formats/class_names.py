"""Names of classes: their order, and which of them are one name in two spellings.

Merged tables have one class with other blanks, with invisible characters, or as 1, 01 and 1.0.
Silently, these would be several classes, so they are an error. Capital letters are not, since `a`
and `A` may be two classes; `cnlw import` lists names that differ only in them.
"""

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,99}(\.0*)?")
INVISIBLE = "Cf"  # the Unicode category of characters that only format the text around them


def class_order(name: str) -> tuple[bool, Decimal, str]:
    """Return the sort key of a class name: words first, then numbers by value."""
    is_number = NUMBER.fullmatch(name) is not None
    return (is_number, Decimal(name) if is_number else Decimal(0), name)


def reject_twins(names: Iterable[str], place: Path) -> None:
    """Check that no two classes have one name.

    Args:
        names: of the classes
        place: where they were read; for the error message

    Raises:
        ValueError: two names differ only in blanks, in invisible characters, or as 1 and 01
    """
    by_form: dict[str, str] = {}
    for name in names:
        twin = by_form.setdefault(_plain_form(name), name)
        if twin != name:
            raise ValueError(
                f"{place}: the classes {twin!a} and {name!a} are the same name in two spellings: "
                "spell it in one way, or rename one of the classes"
            )


def names_that_differ_in_case(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of names of two letters or more that differ only in capital letters."""
    by_letters: dict[str, str] = {}
    pairs = []
    for name in names:
        twin = by_letters.setdefault(name.casefold(), name)
        if twin != name and len(name) > 1:
            pairs.append((twin, name))
    return pairs


def _plain_form(name: str) -> str:
    """Return a name without invisible characters and further blanks; of 01 and 1.0, return 1."""
    visible = [char for char in name if unicodedata.category(char) != INVISIBLE]
    text = " ".join("".join(visible).split())
    if WHOLE_NUMBER.fullmatch(text):
        return str(int(text.partition(".")[0]))
    return text
