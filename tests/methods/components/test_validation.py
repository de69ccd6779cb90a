"""Options are checked where they come in."""

from math import inf, nan

import pytest

from cnlw_tools.methods.components.validation import (
    check_choice,
    check_flag,
    check_number,
    resolve_epochs,
)


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_a_number_in_range_comes_back(value):
    """What is in range is returned, the ends too."""
    assert check_number("beta", value, 0, 1) == value


@pytest.mark.parametrize("value", [-0.1, 1.1, nan, inf, "0.5", None, True])
def test_no_number_in_range(value):
    """What is out of range, or no number, is named with its option and its range."""
    with pytest.raises(ValueError, match=f"^beta = {value!r}: give a number from 0 to 1$"):
        check_number("beta", value, 0, 1)


def test_no_upper_end():
    """A range may be open above, but not up to infinity."""
    assert check_number("alpha", 1e9, 0) == 1e9
    with pytest.raises(ValueError, match=r"^alpha = inf: give a number from 0 up$"):
        check_number("alpha", inf, 0)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_neither_true_nor_false(value):
    """A flag is true or false, and nothing that is taken for it."""
    assert check_flag("every", True) is True
    assert check_flag("every", False) is False
    with pytest.raises(ValueError, match=f"^every = {value!r}: give true or false$"):
        check_flag("every", value)


def test_names():
    """A name that is not there is told which are, and which was probably meant."""
    assert check_choice("kind", "soft", ("soft", "hard")) == "soft"
    with pytest.raises(
        ValueError, match=r"^kind = 'sofd': give one of soft, hard\. Did you mean 'soft'\?$"
    ):
        check_choice("kind", "sofd", ("soft", "hard"))
    with pytest.raises(ValueError, match=r"^kind = 7: give one of soft, hard\.$"):
        check_choice("kind", 7, ("soft", "hard"))


@pytest.mark.parametrize(
    ("value", "total", "expected"),
    [
        (0, 10, 0),
        (0.1, 30, 3),
        (0.1, 31, 4),
        (0.1, 1, 1),
        (0.999, 10, 10),
        (1, 10, 1),
        (3, 10, 3),
        (12, 10, 10),
    ],
)
def test_epochs(value, total, expected):
    """Below 1 a share, rounded up; from 1 on a number, at most all."""
    assert resolve_epochs("warmup", value, total) == expected


def test_no_epochs():
    """A negative warm-up is named."""
    with pytest.raises(ValueError, match=r"^warmup = -1: give a number from 0 up$"):
        resolve_epochs("warmup", -1, 10)
