"""TOML: reading a file, writing a table, and reading one value that was typed on a command line."""

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from cnlw_tools.files.texts import LARGEST_TOML, parse_toml
from cnlw_tools.files.untrusted import read_bytes, translate_errors
from cnlw_tools.registry.counts import plural

FRACTION = re.compile(
    r"\s*\d+/[1-9]\d*\s*", re.ASCII
)  # 2/3, as `cnlw list methods` shows a default


def read_toml(path: Path, kind: str) -> dict[str, Any]:
    """Return the table that a TOML file holds, not yet checked.

    Args:
        path: the file
        kind: what the errors call it: recipe, preset or study

    Raises:
        ValueError: not TOML
        FileNotFoundError: there is no such file
    """
    return parse_toml(read_toml_text(path, kind), str(path))


def read_toml_text(path: Path, kind: str) -> str:
    """Return the text of a TOML file, not yet parsed; see `read_toml`.

    Raises:
        ValueError: not UTF-8, or too long
        FileNotFoundError: there is no such file
    """
    try:
        content = read_bytes(path, LARGEST_TOML, f"a {kind} is a page of text")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: there is no such {kind}; `cnlw list {plural(kind)}` lists all names"
        ) from None
    except IsADirectoryError:
        raise IsADirectoryError(
            f"{path}: this is a folder, not a {kind}: name the .toml file"
        ) from None
    with translate_errors(path, "TOML", "store it as UTF-8"):
        return content.decode("utf-8-sig")


def to_toml(table: Mapping[str, Any]) -> str:
    """Return a table as TOML, a key a line; nested tables come last and null is left out."""
    lines = []
    nested = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            if value:
                nested.append(f"\n[{name}]\n{to_toml(value)}")
        elif value is not None:
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join([*lines, *nested])


def parse_option(text: str) -> tuple[str, Any]:
    """Read ``name=value`` as TOML would; a bare word is a string, and 2/3 is a fraction.

    Raises:
        ValueError: there is no equals sign, or nothing before it
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"option {text!r} has no value: write it as name=value")
    if FRACTION.fullmatch(value):
        return name.strip(), float(Fraction(value))
    try:
        return name.strip(), parse_toml(f"value = {value}", f"option {name}")["value"]
    except ValueError:
        return name.strip(), value
