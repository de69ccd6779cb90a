"""Names that are safe on any file system."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.builds.exporters.file_names import safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("n01440764_10026", "n01440764_10026"),
        ("school bus (yellow), 1.5'", "school bus (yellow), 1.5'"),
        ("Ram C/V Cargo Van", "Ram C_V Cargo Van"),
        ("..", "__"),
        (".", "_"),
        ("", "_"),
        ("a\x00b\nc", "a_b_c"),
        ("x ", "x_"),
        ("x~2", "x_2"),
        ("Größe", "Größe"),
    ],
)
def test_examples(name, safe):
    """Letters, digits and some signs stay; the rest becomes an underscore."""
    assert safe_name(name) == safe


@given(st.text())
def test_no_name_is_a_path(name):
    """Whatever an id is, its name stays in its folder, is not hidden, and is safe already."""
    safe = safe_name(name)

    assert re.search(r'[/\\:*?"<>|~\[\]\x00-\x1f]', safe) is None
    assert not safe.startswith(".")
    assert not safe.endswith((".", " "))
    assert safe_name(safe) == safe
