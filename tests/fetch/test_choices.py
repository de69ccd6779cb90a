"""What a user may choose about a fetch."""

from math import inf, nan

import pytest

from cnlw_tools.fetch.choices import FetchChoices, to_options


@pytest.mark.parametrize("seconds", [0.0, inf, nan, 1e12])
@pytest.mark.parametrize("name", ["connect_timeout", "read_timeout", "timeout"])
def test_a_timeout_that_no_clock_can_measure(name, seconds):
    """The error names the option, the value and the range; the longest one is allowed."""
    option = name.replace("_", "-")
    with pytest.raises(ValueError, match=rf"^--{option} \S+ is not allowed: it must be a number f"):
        to_options(FetchChoices(**{name: seconds}))
    to_options(FetchChoices(**{name: 1e6}))


def test_patience_has_no_end():
    """A fetch may wait forever, but not for a time that is no number."""
    assert inf == to_options(FetchChoices(patience=inf)).patience
    with pytest.raises(ValueError, match=r"^--patience nan is not allowed"):
        to_options(FetchChoices(patience=nan))
