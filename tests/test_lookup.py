"""The registry pattern."""

import pytest

from cnlw_tools.lookup import pick, suggest


def test_pick():
    """A name that is there gives its value."""
    assert 2 == pick({"red": 1, "blue": 2}, "blue", "noise")


def test_unknown():
    """A name that is not there is an error that lists the names and means the nearest one."""
    with pytest.raises(LookupError) as caught:
        pick({"red": 1, "blue": 2}, "bleu", "noise")

    assert "unknown noise 'bleu'. Did you mean 'blue'? There are: red, blue" == str(caught.value)


def test_unlike_anything():
    """A name like no other is not taken for one."""
    assert "" == suggest("mentormix", ["red", "blue"])


def test_empty_registry():
    """An empty registry has no name to mean."""
    with pytest.raises(LookupError, match="unknown noise 'red'"):
        pick({}, "red", "noise")
