"""The registry pattern."""

import importlib.util

import pytest

from cnlw_tools.registry import ImportOnUse, pick, suggest


def test_pick():
    """A name that is there gives its value."""
    assert pick({"red": 1, "blue": 2}, "blue", "noise") == 2


def test_unknown():
    """A name that is not there is an error that lists the names and means the nearest one."""
    with pytest.raises(LookupError) as caught:
        pick({"red": 1, "blue": 2}, "bleu", "noise")

    assert (
        str(caught.value) == "unknown noise 'bleu'. Did you mean 'blue'? The choices are: red, blue"
    )


def test_unlike_anything():
    """A name like no other is not taken for one."""
    assert suggest("mentormix", ["red", "blue"]) == ""


def test_empty_registry():
    """An empty registry has no name to mean."""
    with pytest.raises(LookupError, match="unknown noise 'red'"):
        pick({}, "red", "noise")


def test_suggest_whatever_the_case():
    """Capitals are no reason not to understand."""
    assert suggest("RED", ["blue", "red"]) == " Did you mean 'red'?"


def test_import_on_use():
    """Keys need no import; a value is imported when it is asked for."""
    table = ImportOnUse("importlib", {"path": "nothing:x", "spec": "util:find_spec"})

    assert [*table] == ["path", "spec"]
    assert len(table) == 2
    assert "path" in table
    assert "module" not in table
    assert table.target("spec") == "importlib.util:find_spec"
    assert table["spec"] is importlib.util.find_spec
    with pytest.raises(ModuleNotFoundError):
        table["path"]


def test_attribute_of_a_module():
    """A name that a module does not have is an AttributeError, as Python expects."""
    table = ImportOnUse("importlib", {"find_spec": "util:find_spec"})

    assert table.attribute("find_spec") is importlib.util.find_spec
    with pytest.raises(AttributeError, match="module 'importlib' has no attribute 'other'"):
        table.attribute("other")
