"""The tables of keys in pipelines/ are what the dataclasses declare.

A table stands between two comments that name its dataclass. Write the tables anew with

    python -m tests.recipe.test_key_tables
"""

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import pytest

from cnlw_tools.recipe.keys import Key, declared_keys
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.study.spec import ConfigEntry, MethodEntry, Published, Study

PIPELINES = Path(__file__).parents[2] / "pipelines"
TABLES = {
    PIPELINES / "README.md": (Recipe,),
    PIPELINES / "train/README.md": (Preset,),
    PIPELINES / "studies/README.md": (Study, ConfigEntry, MethodEntry, Published),
}


def key_table(cls: type) -> str:
    """Return the table of the keys of a dataclass, a row a key; a column that is empty is left out."""
    head = ["key", "option", "default", "in the config's name", "with published splits", "meaning"]
    rows = [key_cells(key) for key in declared_keys(cls).values()]
    shown = [i for i in range(len(head)) if any(cells[i] for cells in rows)]
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells[i] for i in shown)} |\n" for cells in lines)


def key_cells(key: Key) -> list[str]:
    """Return the row of a key."""
    option = f"`{key.option}`" if key.option else ""
    published = "yes" if key.kind and key.published else ""
    return [
        f"`{key.name}`",
        option,
        default_cell(key),
        name_cell(key),
        published,
        meaning_cell(key),
    ]


def name_cell(key: Key) -> str:
    """Return how a value other than the default stands in the name of a config, by an example."""
    if key.in_name is None:
        return ""
    example: Any = 2
    if isinstance(key.default, bool):
        example = not key.default
    elif isinstance(key.default, tuple):
        example = ("other",)
    elif key.check and key.check.words:
        example = key.check.words[-1]
    return f"`{key.in_name(example)}`"


def default_cell(key: Key) -> str:
    """Return the default in the words of the declaration, or as TOML."""
    if key.default is MISSING:
        return "required"
    if key.default_text and not isinstance(key.default, tuple):
        return key.default_text
    if key.default is None or (key.default != 0 and not key.default):
        return key.default_text or "none"
    value = {**key.default} if isinstance(key.default, Mapping) else key.default
    return f"`{json.dumps(value)}`"


def meaning_cell(key: Key) -> str:
    """Return what a key means, and the values that it may have where these are a closed list."""
    words = ", ".join(f"`{word}`" for word in key.check.words) if key.check else ""
    return f"{key.help} One of {words}." if words else key.help


def with_tables(text: str, classes: tuple[type, ...]) -> str:
    """Return a page with the tables as they should be."""
    for cls in classes:
        begin, end = f"<!-- keys of {cls.__name__} -->\n", "<!-- end of keys -->\n"
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        assert re.search(pattern, text, re.DOTALL), f"there is no place for the table of {begin}"
        table = begin + key_table(cls) + end
        text = re.sub(pattern, lambda _, table=table: table, text, flags=re.DOTALL)
    return text


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
def test_tables_are_up_to_date(path):
    """Every key stands in the table of its kind, with its option, its default and its meaning."""
    text = path.read_text(encoding="utf-8")

    assert text == with_tables(text, TABLES[path])


@pytest.mark.parametrize("cls", [Recipe, Preset, Study, ConfigEntry, MethodEntry, Published])
def test_every_key_says_what_it_means(cls: Any):
    """In one sentence of a line at most."""
    for key in declared_keys(cls).values():
        assert key.help.endswith("."), key.name
        assert len(key.help) <= 80, key.name


def main() -> None:
    """Write the tables anew."""
    for path, classes in TABLES.items():
        text = path.read_text(encoding="utf-8")
        path.write_text(with_tables(text, classes), encoding="utf-8")


if __name__ == "__main__":
    main()
