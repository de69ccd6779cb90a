"""Names of lower-case letters and digits."""

import pytest

from cnlw_tools.registry.plain_names import plain_name


@pytest.mark.parametrize(
    ("value", "joint", "expected"),
    [
        ("dawid_skene", "-", "dawid-skene"),
        ("toy, blue_40", "_", "toy_blue_40"),
        ("Ärger +", "_", "_rger_"),
        (-0.5, "-", "-0-5"),
        ("", "-", ""),
    ],
)
def test_what_is_neither_letter_nor_digit_is_one_joint(value, joint, expected):
    """However much of it there is."""
    assert plain_name(value, joint) == expected
