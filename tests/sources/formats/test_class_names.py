"""One name of a class that is written in several ways."""

from pathlib import Path

import pytest

from cnlw_tools.sources.formats.class_names import names_that_differ_in_case, reject_twins


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cat", " cat"),
        ("big cat", "big  cat"),
        ("big cat", "big\u00a0cat"),
        ("big cat", "big\ncat"),
        ("cat", "cat\u200b"),
        ("cat", "\ufeffcat"),
        ("1", "01"),
        ("1", "1.0"),
        ("0", "-0"),
        ("1", "+1"),
    ],
)
def test_one_name_in_two_ways(first, second):
    """Names that differ in blanks, in invisible characters, or as 1 and 01, are an error."""
    with pytest.raises(ValueError, match=r"^x: the classes .* are the same name in two spellings"):
        reject_twins(["dog", first, second], Path("x"))


def test_other_names():
    """Letters in capitals, fractions, versions, and digits of other scripts are other names."""
    names = ["a", "A", "cat", "Cat", "1", "-1", "1.1", "1.10", "\u0661", "e\u0301", "e", "", "1e0"]

    reject_twins(names, Path("x"))


def test_capital_letters():
    """Words that differ only in capital letters are named; letters are not."""
    assert names_that_differ_in_case(["Cat", "a", "A", "cat", "dog"]) == [("Cat", "cat")]
