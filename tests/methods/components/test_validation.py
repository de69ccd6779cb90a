"""Options are checked where they come in."""

from math import inf, nan

import pytest

from cnlw_tools.methods.components.validation import choice, epochs, flag, number


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_a_number_in_range_comes_back(value):
    """What is in range is returned, the ends too."""
    assert number("beta", value, 0, 1) == value


@pytest.mark.parametrize("value", [-0.1, 1.1, nan, inf, "0.5", None, True])
def test_no_number_in_range(value):
    """What is out of range, or no number, is named with its option and its range."""
    with pytest.raises(ValueError, match=f"^beta = {value!r}: give a number from 0 to 1$"):
        number("beta", value, 0, 1)


def test_no_upper_end():
    """A range may be open above, but not up to infinity."""
    assert number("alpha", 1e9, 0) == 1e9
    with pytest.raises(ValueError, match=r"^alpha = inf: give a number from 0 up$"):
        number("alpha", inf, 0)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_neither_true_nor_false(value):
    """A flag is true or false, and nothing that is taken for it."""
    assert flag("every", True) is True
    assert flag("every", False) is False
    with pytest.raises(ValueError, match=f"^every = {value!r}: give true or false$"):
        flag("every", value)


def test_names():
    """A name that is not there is told which are, and which was probably meant."""
    assert choice("kind", "soft", ("soft", "hard")) == "soft"
    with pytest.raises(
        ValueError, match=r"^kind = 'sofd': there are soft, hard\. Did you mean 'soft'\?$"
    ):
        choice("kind", "sofd", ("soft", "hard"))
    with pytest.raises(ValueError, match=r"^kind = 7: there are soft, hard\.$"):
        choice("kind", 7, ("soft", "hard"))


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
    assert epochs("warmup", value, total) == expected


def test_no_epochs():
    """A negative warm-up is named."""
    with pytest.raises(ValueError, match=r"^warmup = -1: give a number from 0 up$"):
        epochs("warmup", -1, 10)
