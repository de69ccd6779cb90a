"""What the source files of the package say, read without importing them: no torch is needed."""

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ARGUMENT = re.compile(r"    (\*{0,2}\w[\w, ]*): (.*)")


@cache
def read_source(module: str) -> str:
    """Return the text of the source file of a module of the package.

    Raises:
        ModuleNotFoundError: there is no such module
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{module}: there is no source file of this module")
    return Path(spec.origin).read_text(encoding="utf-8")


@cache
def parse_module(module: str) -> ast.Module:
    """Return the syntax tree of a module of the package."""
    return ast.parse(read_source(module))


def module_docstring(module: str) -> str:
    """Return the docstring of a module, or nothing."""
    return ast.get_docstring(parse_module(module)) or ""


def class_docstring(module: str, name: str) -> str:
    """Return the docstring of a class or function of a module, or nothing."""
    return ast.get_docstring(find_definition(module, name)) or ""


def base_classes(module: str, name: str) -> list[str]:
    """Return the base classes of a class of a module, as `module:name`; imports are followed."""
    tree = parse_module(module)
    origins = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            origins |= {alias.name: node.module for alias in node.names}
    bases = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            names = [base.id for base in node.bases if isinstance(base, ast.Name)]
            bases = [f"{origins.get(base, module)}:{base}" for base in names]
    return bases


def read_arguments(docstring: str) -> dict[str, str]:
    """Return what the section `Args:` of a docstring says of each argument."""
    section = re.search(r"^Args:\n((?:    .*\n|\n)*)", docstring + "\n", re.MULTILINE)
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in section[1].splitlines() if section else []:
        match = ARGUMENT.fullmatch(line)
        if match:
            names = match[1].split(", ")
            meanings |= dict.fromkeys(names, match[2])
        else:
            meanings |= {name: f"{meanings[name]} {line.strip()}".strip() for name in names}
    return meanings


class FieldInfo(NamedTuple):
    """A field of a dataclass, or a column of a schema, with what its comment says."""

    name: str
    type: str
    default: str  # as the source has it; empty: none
    comment: str


def read_fields(module: str, name: str) -> list[FieldInfo]:
    """Return the fields of a dataclass, with the comments beside or right above them."""
    node = find_definition(module, name)
    lines = read_source(module).splitlines()
    fields = []
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            default = ast.unparse(statement.value) if statement.value else ""
            fields.append(
                FieldInfo(
                    statement.target.id,
                    ast.unparse(statement.annotation),
                    default,
                    _comment(lines, statement.lineno - 1, statement.end_lineno or 0),
                )
            )
    return fields


def find_definition(module: str, name: str) -> ast.ClassDef | ast.FunctionDef:
    """Return a class or a function of a module; of overloads the last one, which has the text.

    Raises:
        LookupError: the module defines no such thing
    """
    definition = None
    for node in parse_module(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            definition = node
    if definition is None:
        raise LookupError(f"{module} defines no {name!r}: correct the name where it is listed")
    return definition


def _comment(lines: list[str], start: int, end: int) -> str:
    """Return the comment behind the last line of a statement, or in the lines right above it."""
    _, mark, text = lines[end - 1].partition("  # ")
    if mark:
        return text.removeprefix("noqa").strip()
    above: list[str] = []
    while start > 0 and lines[start - 1].lstrip().startswith("# "):
        start -= 1
        above.insert(0, lines[start].lstrip().removeprefix("# "))
    return " ".join(above)
