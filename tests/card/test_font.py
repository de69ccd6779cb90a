"""Names fit where they are written."""

import pytest

from cnlw_tools.card.font import drawable_names, load_font, shorten


@pytest.mark.parametrize(
    "name", ["a", "a name that is much too long for its column", "ü" * 200, ""]
)
def test_names_fit(name):
    """A name that is too long is shortened."""
    found = shorten(name, 14, 100)

    assert load_font(14).getlength(found) <= 100
    assert found == name or (found.endswith("…") and name.startswith(found[:-1]))


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("rose", "n01440764", "ice-cream 2"), ["rose", "n01440764", "ice-cream 2"]),
        (("Ähre", "A\u0308hren", "café"), ["Ahre", "Ahren", "cafe"]),  # composed, or in two parts
        (("rose", "猫", "роза", "ß"), ["rose", "class 1", "class 2", "class 3"]),
        (("pêche", "pêché", "peche"), ["class 0", "class 1", "peche"]),
        (("", "\u0301"), ["class 0", "class 1"]),
    ],
)
def test_names_in_letters_that_the_font_has(names, shown):
    """Accents are left out; other letters, and names that are then the same, become numbers."""
    assert drawable_names(names) == shown


def test_no_box_is_drawn():
    """No letter of a shown name looks like a letter that the font does not have."""
    font = load_font(14)
    box = bytes(font.getmask("猫"))

    assert box == bytes(font.getmask("Ж"))
    for name in drawable_names(("Ähre", "猫", "naïve", "x² – y")):
        assert all(bytes(font.getmask(letter)) != box for letter in name)
