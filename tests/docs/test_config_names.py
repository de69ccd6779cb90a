"""Names of configs are explained as far as a text has them."""

import pytest

from docs.generate.config_names import NOTATION, explain_config_names


def test_only_the_parts_that_occur_are_explained():
    """A text without such parts gets no sentence."""
    assert explain_config_names("blue_40 and red_00") == ""
    assert explain_config_names("symmetric_40_clean4000") == NOTATION[r"_clean\d"]


def test_a_part_is_explained_once_on_a_page():
    """Parts of names further up are left out."""
    names = "blue_40_probe10_clean4000"

    assert explain_config_names(names, "symmetric_20_clean4000") == NOTATION[r"_probe\d"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dilution_a10_clean500", "alpha"),
        ("structured_a20_d50_random_clean3000", "delta"),
        ("matrix_41c237", "digest"),
        ("symmetric\\_00\\_no-exact\\_self\\_probe10", "`include_self = true`"),
    ],
)
def test_a_part_has_its_meaning(name, words):
    """Also where underscores are escaped."""
    assert words in explain_config_names(name)
