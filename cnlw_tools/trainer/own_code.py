"""A digest of the code of a user's method or network, whose name says little about it.

It is over what Python has compiled, so comments and docstrings do not count. What does: the
functions of a class and of those that it inherits from, the functions and classes that they call,
and the numbers, texts and collections of these that stand in them, in their defaults, in variables
around them and in attributes of a class. Tensors and other objects count by their type alone. Code
of this package, of the standard library and of installed packages counts by its name.
"""

import dis
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

PACKAGES = {"cnlw_tools", *sys.stdlib_module_names} - {"__main__"}
INSTALLED = {"site-packages", "dist-packages"}  # folders
PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))
COLLECTION_TYPES = (tuple, list, set, frozenset)


def code_digest(things: Iterable[object]) -> str:
    """Return the sha256 of the code of functions, classes and objects, in their order."""
    described_ids: set[int] = set()
    lines: list[str] = []
    for thing in things:
        lines += _describe(thing, described_ids)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _describe(value: Any, described_ids: set[int]) -> Iterator[str]:
    """Yield lines that say what a value is; of code that was seen before, its name alone.

    Args:
        value: anything
        described_ids: ids of the functions and classes that were described, which it adds to
    """
    value = _unwrap(value)
    if isinstance(value, PLAIN_TYPES):
        yield repr(value)
    elif isinstance(value, COLLECTION_TYPES):
        yield from _describe_collection(value, described_ids)
    elif isinstance(value, CodeType):
        yield from _describe_code(value, described_ids)
    elif isinstance(value, FunctionType | type):
        yield from _describe_definition(value, described_ids)
    else:
        yield getattr(value, "__name__", type(value).__qualname__)
        yield from _describe_definition(type(value), described_ids)


def _unwrap(value: Any) -> Any:
    """Return what a wrapper of functions or a mapping consists of; anything else as it is."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, staticmethod | classmethod | MethodType):
        return value.__func__
    if isinstance(value, property):
        return value.fget
    return value


def _describe_collection(values: Iterable[Any], described_ids: set[int]) -> Iterator[str]:
    """Yield the parts of a collection; those of a set in the order of their texts."""
    yield type(values).__name__
    for value in sorted(values, key=repr) if isinstance(values, set | frozenset) else values:
        yield from _describe(value, described_ids)


def _describe_definition(value: Any, described_ids: set[int]) -> Iterator[str]:
    """Yield the name of a function or a class, and its code if it is the user's own."""
    yield value.__name__
    if id(value) in described_ids or not _is_own(str(value.__module__)):
        return
    described_ids.add(id(value))
    if isinstance(value, FunctionType):
        yield from _describe_function(value, described_ids)
        return
    for name, attribute in sorted(vars(value).items()):
        is_code = isinstance(attribute, FunctionType | staticmethod | classmethod | property)
        if is_code or not name.startswith("__"):
            yield name
            yield from _describe(attribute, described_ids)
    for parent in value.__bases__:
        yield from _describe(parent, described_ids)


def _is_own(module_name: str) -> bool:
    """Tell whether a module is neither of this package nor of one that was installed."""
    file = getattr(sys.modules.get(module_name), "__file__", None) or ""
    return module_name.partition(".")[0] not in PACKAGES and INSTALLED.isdisjoint(Path(file).parts)


def _describe_function(function: FunctionType, described_ids: set[int]) -> Iterator[str]:
    """Yield the code of a function, its defaults, and the variables around it that it reads."""
    yield from _describe_code(function.__code__, described_ids, function.__doc__)
    yield from _describe([function.__defaults__, function.__kwdefaults__], described_ids)
    for cell in function.__closure__ or ():
        try:
            yield from _describe(cell.cell_contents, described_ids)
        except ValueError:  # nothing was assigned to the variable yet
            yield "empty"
    for name in sorted(_global_names(function.__code__)):
        if name in function.__globals__:
            yield name
            yield from _describe(function.__globals__[name], described_ids)


def _describe_code(
    code: CodeType, described_ids: set[int], docstring: str | None = None
) -> Iterator[str]:
    """Yield the instructions of compiled code, and the names and constants that they refer to."""
    yield code.co_code.hex()
    yield from (*code.co_names, *code.co_varnames, *code.co_freevars)
    for constant in code.co_consts:
        if docstring is None or constant != docstring:
            yield from _describe(constant, described_ids)


def _global_names(code: CodeType) -> set[str]:
    """Return the names of the global variables that code and the functions within it read."""
    names = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            names.add(str(instruction.argval))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _global_names(constant)
    return names
