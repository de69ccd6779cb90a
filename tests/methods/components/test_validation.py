"""Tests of the checks of options."""

from math import inf, nan

import pytest

from cnlw_tools.methods.components.validation import (
    check_choice,
    check_flag,
    check_number,
    resolve_epochs,
    resolve_first_epochs,
)


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_a_number_in_range_comes_back(value):
    """A number in the range is returned, at both ends too."""
    assert check_number("beta", value, 0, 1) == value


@pytest.mark.parametrize("value", [-0.1, 1.1, nan, inf, "0.5", None, True])
def test_no_number_in_range(value):
    """Anything else is refused, and the error names option, value and range."""
    with pytest.raises(
        ValueError, match=f"^beta = {value!r} is not allowed: give a number from 0 to 1$"
    ):
        check_number("beta", value, 0, 1)


def test_no_upper_end():
    """A range may have no upper end, but infinity is refused."""
    assert check_number("alpha", 1e9, 0) == 1e9
    with pytest.raises(
        ValueError, match=r"^alpha = inf is not allowed: give a number of at least 0$"
    ):
        check_number("alpha", inf, 0)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_neither_true_nor_false(value):
    """Only true and false are accepted as flags."""
    assert check_flag("every", True) is True
    assert check_flag("every", False) is False
    with pytest.raises(ValueError, match=f"^every = {value!r} is not allowed: give true or false$"):
        check_flag("every", value)


def test_names():
    """An unknown name is refused; the error lists the names and suggests a similar one."""
    assert check_choice("kind", "soft", ("soft", "hard")) == "soft"
    with pytest.raises(
        ValueError,
        match=r"^kind = 'sofd' is not allowed: give one of soft, hard\. Did you mean 'soft'\?$",
    ):
        check_choice("kind", "sofd", ("soft", "hard"))
    with pytest.raises(ValueError, match=r"^kind = 7 is not allowed: give one of soft, hard\.$"):
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
    """A value below 1 is a share, rounded up; from 1 on it is a number, at most the total."""
    assert resolve_epochs("warmup", value, total) == expected


def test_no_epochs():
    """A negative number of epochs is refused."""
    with pytest.raises(
        ValueError, match=r"^warmup = -1 is not allowed: give a number of at least 0$"
    ):
        resolve_epochs("warmup", -1, 10)


@pytest.mark.parametrize("value", [0, 0.0, 1e-12])
def test_a_network_that_is_asked_has_learned(value):
    """No epoch before an estimate is refused; one, or any share of them, is enough."""
    with pytest.raises(ValueError, match=f"^first = {value}: .* has learned nothing: give 1 epoch"):
        resolve_first_epochs("first", value, 10)

    assert [resolve_first_epochs("first", v, 10) for v in (0.01, 1, 0.5)] == [1, 1, 5]


@pytest.mark.parametrize(
    ("value", "total", "least", "others", "expected"),
    [
        (0.999, 10, 1, 1, 9),
        (0.999, 10, 1, 4, 6),
        (0.999, 2, 1, 1, 1),
        (0.5, 3, 1, 2, 1),
        (9, 10, 1, 1, 9),
        (0, 10, 0, 1, 0),
        (0.1, 2, 0, 2, 0),
        (0.1, 1, 1, 1, 1),
        (250, 1, 1, 2, 1),
    ],
)
def test_a_share_leaves_the_other_stages_their_epochs(value, total, least, others, expected):
    """It is cut at what they need; one epoch has no second stage, whatever is asked."""
    assert resolve_first_epochs("first", value, total, least, others) == expected


@pytest.mark.parametrize(("value", "others", "most"), [(10, 1, 9), (99, 1, 9), (8, 3, 7)])
def test_a_number_that_leaves_no_other_stage_is_refused(value, others, most):
    """The error names the option, the epochs and the most that it may be."""
    message = (
        f"^first = {value}: the other stages of the method need {others} of the 10 epochs: "
        f"give at most first = {most}, or train for more epochs$"
    )
    with pytest.raises(ValueError, match=message):
        resolve_first_epochs("first", value, 10, n_other_epochs=others)


def test_too_few_epochs_for_all_stages_are_refused():
    """Three stages of one epoch each do not fit into two."""
    message = "^2 epochs are too few for all stages of the method: give 3 epochs or more$"
    with pytest.raises(ValueError, match=message):
        resolve_first_epochs("first", 0.3, 2, n_other_epochs=2)
