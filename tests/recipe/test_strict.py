"""The strict reader of TOML, JSON and YAML."""

import datetime
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from cnlw_tools.files.texts import parse_json, parse_toml
from cnlw_tools.recipe.strict import (
    Check,
    between,
    choice,
    matching,
    one_of,
    read_dataclass,
)


@dataclass(frozen=True, slots=True)
class Inner:
    """A table within."""

    name: str
    rate: float = choice(0.5, check=between(0, 1))


@dataclass(frozen=True, slots=True)
class Outer:
    """Every type that a field may have."""

    dataset: str = choice(check=matching("[a-z0-9]+", "a lower-case name"), help="What to build.")
    level: int | None = None
    levels: tuple[int, ...] = (0, 40)
    ends: tuple[float, float] = (0.0, 1.0)
    nested: bool = True
    layout: str = choice("bands", check=one_of("bands", "flat"), in_name=False)
    inner: Inner | None = None
    rows: Mapping[str, int] = choice(default_factory=dict)
    configs: dict[str, Inner] = choice(default_factory=dict)
    parts: tuple[Inner, ...] = ()
    names: list[list[str]] = choice(default_factory=list)
    columns: Mapping[str, str | tuple[str, ...]] = choice(default_factory=dict)
    options: Mapping[str, Any] = choice(default_factory=dict)


WHOLE = {
    "dataset": "cifar10",
    "level": 40,
    "levels": [0, 20],
    "ends": [0, 0.5],
    "nested": False,
    "layout": "flat",
    "inner": {"name": "a", "rate": 1},
    "rows": {"train": 3},
    "configs": {"red_40": {"name": "b"}},
    "parts": [{"name": "c"}],
    "names": [["x"], []],
    "columns": {"a": "b", "c": ["d", "e"]},
    "options": {"matrix": [[1, None]]},
}


def error(raw: Any, remedy: str = "") -> str:
    """Return what the reader says of a bad value."""
    with pytest.raises(ValueError, match=r"^a\.toml: ") as caught:
        read_dataclass(Outer, raw, "a.toml", remedy)
    return str(caught.value)


def test_whole():
    """Every type is read, nested dataclasses become instances, lists become tuples where the hint says so."""
    outer = read_dataclass(Outer, WHOLE, "a.toml")

    assert outer == Outer(
        "cifar10",
        40,
        (0, 20),
        (0, 0.5),
        False,
        "flat",
        Inner("a", 1),
        {"train": 3},
        {"red_40": Inner("b")},
        (Inner("c"),),
        [["x"], []],
        {"a": "b", "c": ("d", "e")},
        {"matrix": [[1, None]]},
    )


def test_defaults():
    """A key with a default may be missing."""
    assert read_dataclass(Outer, {"dataset": "cifar10"}, "a.toml") == Outer("cifar10")


def test_round_trip():
    """What is written as JSON is read back as it was."""
    outer = read_dataclass(Outer, WHOLE, "a.toml")

    assert read_dataclass(Outer, json.loads(json.dumps(asdict(outer))), "a.json") == outer


def test_input_unchanged():
    """Reading does not change what the parser returned."""
    before = json.dumps(WHOLE)
    read_dataclass(Outer, WHOLE, "a.toml")

    assert json.dumps(WHOLE) == before


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("dataset", 3, "a.toml: dataset = 3: it must be a lower-case name"),
        ("dataset", "CIFAR", "a.toml: dataset = 'CIFAR': it must be a lower-case name"),
        ("dataset", None, "a.toml: dataset = None: it must be a lower-case name"),
        ("level", "40", "a.toml: level = '40': it must be a whole number"),
        ("level", True, "a.toml: level = True: it must be a whole number"),
        ("level", 40.0, "a.toml: level = 40.0: it must be a whole number"),
        ("levels", 40, "a.toml: levels = 40: it must be a list, each item a whole number"),
        ("levels", [0, "x"], "a.toml: levels[1] = 'x': it must be a whole number"),
        ("ends", [1], "a.toml: ends = [1]: it must be a list of 2: a number, a number"),
        ("nested", 1, "a.toml: nested = 1: it must be true or false"),
        ("layout", "band", "a.toml: layout = 'band': it must be one of bands, flat"),
        ("inner", [], "a.toml: inner = []: it must be a table of keys and values"),
        ("inner", {}, "a.toml: 'inner.name' is missing: add it"),
        ("inner", {"name": "a", "rate": 2}, "a.toml: inner.rate = 2: it must be a number from 0 to 1"),
        ("rows", {"train": "3"}, "a.toml: rows.train = '3': it must be a whole number"),
        ("rows", {3: 3}, "a.toml: a key of rows = 3: it must be a string"),
        ("rows", 3, "a.toml: rows = 3: it must be a table, each value a whole number"),
        ("configs", {"red_40": 3}, "a.toml: configs.red_40 = 3: it must be a table of keys and values"),
        ("names", [["x"], "y"], "a.toml: names[1] = 'y': it must be a list, each item a string"),
        (
            "columns",
            {"a": 1},
            "a.toml: columns.a = 1: it must be a string or a list, each item a string",
        ),
    ],
)  # fmt: skip
def test_wrong_value(key, value, message):
    """A value that does not fit is named with file, key, and what it must be."""
    assert error({"dataset": "cifar10", key: value}) == message


def test_unknown_key():
    """An unknown key is an error that means the nearest one, however deep it stands."""
    assert error({"dataset": "x", "inner": {"name": "a", "rat": 1}}) == (
        "a.toml: unknown key 'inner.rat'. Did you mean 'rate'? The choices are: name, rate"
    )


def test_missing_key():
    """A key without a default is required."""
    assert error({}) == "a.toml: 'dataset' is missing: add it"


@pytest.mark.parametrize("value", [datetime.date(2026, 1, 1), {1, 2}, b"x", [{3: 4}]])
def test_anything_is_json(value):
    """Where anything may stand, it is something that JSON can hold: dates of TOML and YAML are not."""
    assert "options.a = " in error({"dataset": "x", "options": {"a": value}})
    assert "it must be a value that JSON can hold" in error(
        {"dataset": "x", "options": {"a": value}}
    )


def test_remedy():
    """A file that no person writes has a remedy of its own at the end of each error."""
    assert error([], "run the sweep again") == (
        "a.toml: []: it must be a table of keys and values: run the sweep again"
    )


def test_long_value():
    """A long value is cut short in the error."""
    assert len(error({"dataset": "cifar10", "levels": "x" * 10_000})) < 400


def test_deep_nest():
    """Values nested without end are an error, even where anything may stand; so is a value within itself."""
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    loop: list[Any] = []
    loop.append(loop)

    assert "nested more than 64 levels deep" in error({"dataset": "x", "options": {"a": deep}})
    assert "nested more than 64 levels deep" in error({"dataset": "x", "options": {"a": loop}})


def test_not_json():
    """What is no JSON is an error that names the file, a nest too deep for the parser too."""
    with pytest.raises(ValueError, match=r"^a.json cannot be read as JSON .*: run it again$"):
        parse_json("{", "a.json", "run it again")
    with pytest.raises(ValueError, match=r"^a.json cannot be read as JSON "):
        parse_json("[" * 100_000, "a.json")


def test_not_toml():
    """What is no TOML is an error that names the file, a nest too deep for the parser too."""
    with pytest.raises(ValueError, match=r"^a.toml cannot be read as TOML "):
        parse_toml("a = ", "a.toml")
    with pytest.raises(ValueError, match=r"^a.toml cannot be read as TOML "):
        parse_toml("a = " + "[" * 100_000, "a.toml")


def test_declaration():
    """What a field declares is found in its metadata, once for all who ask."""
    declared = {name: field.metadata for name, field in Outer.__dataclass_fields__.items()}

    assert declared["dataset"]["help"] == "What to build."
    assert isinstance(declared["dataset"]["check"], Check)
    assert declared["layout"]["in_name"] is False


def test_any_node(fuzz):
    """Any JSON in place of any node is read or an error that names the file: never another exception."""
    fuzz(WHOLE, lambda raw: asdict(read_dataclass(Outer, raw, "a.toml")), "a.toml: ")
