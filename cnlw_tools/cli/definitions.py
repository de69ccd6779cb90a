"""What methods and networks say about themselves, read from their source: no torch is needed.

A target is a class or a function as a registry names it: ``package.module:name``.
"""

import ast
import operator
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

METHOD = "cnlw_tools.methods.base:Method"  # what a method inherits where it says nothing
SHOWN = ("paper", "relative_cost", "requires")
OPERATORS = {ast.Add: operator.add, ast.Mult: operator.mul, ast.Div: operator.truediv}


class MethodInfo(NamedTuple):
    """What `cnlw list methods` shows of a method."""

    summary: str
    paper: str
    relative_cost: float  # time of a step, in steps of vanilla
    requires: tuple[str, ...]
    options: dict[str, Any]  # with their defaults


def describe_method(target: str) -> MethodInfo:
    """Return what a method says of itself, or inherits from its base classes."""
    classes = list(_ancestors(target))
    attributes: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for definition in reversed(classes):
        attributes |= _attributes(definition)
        for statement in definition.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                options = _options(statement)
    return MethodInfo(
        first_line(target),
        attributes["paper"],
        attributes["relative_cost"],
        attributes["requires"],
        options,
    )


def first_line(target: str) -> str:
    """Return the first line of a docstring, without its code marks."""
    definition, _ = _find(target)
    text = ast.get_docstring(definition) or ""
    return text.partition("\n")[0].replace("``", "")


@cache
def _parse(module: str) -> ast.Module:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{module}: there is no source file of this module")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _find(target: str) -> tuple[ast.ClassDef | ast.FunctionDef, str]:
    """Return a definition and the module that holds it; imports from other modules are followed."""
    module, _, name = target.partition(":")
    for statement in _parse(module).body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef) and statement.name == name:
            return statement, module
        if isinstance(statement, ast.ImportFrom) and name in {a.name for a in statement.names}:
            return _find(f"{statement.module}:{name}")
    raise LookupError(
        f"{module} defines no {name!r}: correct the name where it is registered, such as in METHODS"
    )


def _ancestors(target: str) -> Iterator[ast.ClassDef]:
    """Yield a class and its base classes up to `Method`, the most general one last."""
    definition, module = _find(target)
    if not isinstance(definition, ast.ClassDef):
        raise TypeError(f"{target} is not a class: a method is one")
    yield definition
    if f"{module}:{definition.name}" != METHOD:
        for base in definition.bases:
            yield from _ancestors(f"{module}:{ast.unparse(base)}")


def _attributes(definition: ast.ClassDef) -> dict[str, Any]:
    """Return what a class says of `SHOWN`."""
    values: dict[str, Any] = {}
    for statement in definition.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value):
                assigned = {name: value}
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                assigned = {name: value}
            case _:
                assigned = {}
        values |= {name: _constant(value) for name, value in assigned.items() if name in SHOWN}
    return values


def _options(init: ast.FunctionDef) -> dict[str, Any]:
    """Return the arguments of an `__init__` that have a default."""
    arguments = init.args.args[len(init.args.args) - len(init.args.defaults) :]
    defaults = map(_constant, init.args.defaults)
    return {argument.arg: value for argument, value in zip(arguments, defaults, strict=True)}


def _constant(expression: ast.expr) -> Any:
    """Return the value of a literal, or of arithmetic with literals, such as 1 / 60."""
    if isinstance(expression, ast.BinOp):
        operation = OPERATORS[type(expression.op)]
        return operation(_constant(expression.left), _constant(expression.right))
    return ast.literal_eval(expression)
