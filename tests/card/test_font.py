"""Names fit where they are written."""

import pytest

from cnlw_tools.card.font import load_font, shorten


@pytest.mark.parametrize(
    "name", ["a", "a name that is much too long for its column", "ü" * 200, ""]
)
def test_names_fit(name):
    """A name that is too long is shortened."""
    found = shorten(name, 14, 100)

    assert load_font(14).getlength(found) <= 100
    assert found == name or (found.endswith("…") and name.startswith(found[:-1]))
