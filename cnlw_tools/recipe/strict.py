"""One strict reader for every file that becomes a frozen dataclass: TOML, JSON, YAML.

The dataclass says all there is to say: its type hints name the keys and their types, its defaults
say which keys may be missing, and `choice` adds to a field what a type cannot say.

    @dataclass(frozen=True, slots=True)
    class Preset:
        net: str
        epochs: int = choice(check=between(1), help="Passes over the training set.")
        views: Mapping[str, tuple[str, ...]] = choice(default_factory=dict)

    preset = read_dataclass(Preset, parse_toml(text, path), path)

A field may be a str, int, float, bool, None, Any (what JSON can hold), a dataclass, `list[X]`,
`tuple[X, ...]`, `tuple[X, Y]`, `dict[str, X]`, `Mapping[str, X]`, or a union of these. A boolean is
no number; a whole number may stand for a float and stays as it is; a list becomes a tuple where the
hint says so. Whatever else a file holds is a ValueError that names file, key, value and remedy,
never another exception.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from reprlib import Repr
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar, Union
from typing import get_args as type_arguments
from typing import get_origin as type_origin
from typing import get_type_hints as type_hints

from cnlw_tools.files.texts import check_depth
from cnlw_tools.registry import suggest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
NAMES |= {NoneType: "null", Any: "a value that JSON can hold"}
LARGEST = 10**300  # whole number that may stand for a float
SHORT = Repr()
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 200
SHORT.maxlist = SHORT.maxtuple = SHORT.maxdict = 12


class Check(NamedTuple):
    """What a value must be beyond its type; the test only sees values of the right type."""

    test: Callable[[Any], bool]
    expected: str  # ends the sentence "it must be ...", and so says the type too
    words: tuple[str, ...] = ()  # of a closed list


def between(
    low: float,
    high: float = float("inf"),
    expected: str = "",
) -> Check:
    """Return the check of a number from ``low`` to ``high``, both included."""
    if not expected:
        is_open = high == float("inf")
        expected = f"a number of at least {low}" if is_open else f"a number from {low} to {high}"
    return Check(lambda value: low <= value <= high, expected)


def one_of(*words: str) -> Check:
    """Return the check of a word from a closed list."""
    names = ", ".join(words)
    return Check(lambda value: value in words, f"one of {names}", words)


def matching(pattern: str, expected: str) -> Check:
    """Return the check of a string that a regular expression matches as a whole."""
    compiled = re.compile(pattern)
    return Check(lambda value: compiled.fullmatch(value) is not None, expected)


def choice(
    default: Any = MISSING,
    *,
    default_factory: Any = MISSING,
    check: Check | None = None,
    help: str = "",
    **facts: Any,
) -> Any:
    """Declare a dataclass field once, for all that reads, names, documents or compares it.

    Args:
        default: its value where the file does not name it; without one the key is required
        default_factory: makes that value, where it is a list or a mapping
        check: what the value must be beyond its type; null passes where the type allows null
        help: one sentence, for the command line and the reference page
        facts: whatever else a reader of the declaration asks for, by name

    Everything declared here is found in `field.metadata`, under the same names. A type checker
    takes a field so declared for one with a default: where a required one has to stand before
    others, write `field(metadata={"check": check})`.
    """
    metadata = {"check": check, "help": help, **facts}
    if default_factory is not MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def read_dataclass(
    cls: type[T],
    raw: Any,
    source: str,
    remedy: str = "",
) -> T:
    """Check a mapping that was read from a file against a dataclass and return an instance.

    Args:
        cls: the dataclass; see the module for the types that its fields may have
        raw: what the parser of JSON, TOML or YAML returned
        source: what the errors call it: the path of the file
        remedy: ends every error of a file that nobody fixes by hand: "run the sweep again"

    Raises:
        ValueError: not a mapping, an unknown or missing key, or a value of the wrong type or
            out of range
    """
    check_depth(raw, source, remedy)
    instance: T = _Reader(source, remedy).dataclass(cls, raw, "")
    return instance


def read_value(
    hint: Any,
    raw: Any,
    source: str,
    remedy: str = "",
) -> Any:
    """Check one value against a type that a field might have, and return it.

    Args:
        hint: such as `dict[str, float]`
        raw: what the parser returned
        source: what the errors call it
        remedy: ends every error

    Raises:
        ValueError: it is of another type
    """
    check_depth(raw, source, remedy)
    return _Reader(source, remedy).value(hint, raw, "")


@dataclass(frozen=True, slots=True)
class _Reader:
    source: str
    remedy: str

    def fail(self, message: str) -> NoReturn:
        raise ValueError(f"{self.source}: {message}{_tail(self.remedy)}")

    def reject(
        self,
        path: str,
        value: Any,
        expected: str,
    ) -> NoReturn:
        name = f"{path} = " if path else ""
        self.fail(f"{name}{SHORT.repr(value)}: it must be {expected}")

    def dataclass(self, cls: Any, raw: Any, path: str) -> Any:
        """Return an instance of a dataclass, from a mapping."""
        if not isinstance(raw, Mapping):
            self.reject(path, raw, "a table of keys and values")
        declared = {field.name: field for field in dataclasses.fields(cls)}
        raw = _with_current_names(list(declared.values()), raw)
        for key in raw:
            if key not in declared:
                self.unknown(key, list(declared), path)
        for name, field in declared.items():
            if name not in raw and _is_required(field):
                remedy = "" if self.remedy else ": add it"
                self.fail(f"{_join(path, name)!r} is missing{remedy}")
        hints = _hints(cls)
        values = {}
        for key, value in raw.items():
            inner_path = _join(path, key)
            values[key] = self.field(declared[key], hints[key], value, inner_path)
        return cls(**values)

    def unknown(
        self,
        key: Any,
        names: list[str],
        path: str,
    ) -> NoReturn:
        guess = suggest(str(key), names)
        known_keys = ", ".join(names)
        if isinstance(key, str):
            key = _join(path, key)
        self.fail(f"unknown key {SHORT.repr(key)}.{guess} The choices are: {known_keys}")

    def field(
        self,
        field: dataclasses.Field[Any],
        hint: Any,
        value: Any,
        path: str,
    ) -> Any:
        """Return the value of one field, of the right type and passed by the field's own check."""
        if isinstance(value, str):
            value = field.metadata.get("old_values", {}).get(value, value)
        check: Check | None = field.metadata.get("check")
        result = self.value(hint, value, path, check.expected if check else "")
        if check and result is not None and not check.test(result):
            self.reject(path, value, check.expected)
        return result

    def value(
        self,
        hint: Any,
        value: Any,
        path: str,
        expected: str = "",
    ) -> Any:
        """Return a value of the hinted type; ``expected`` describes it better than the type can."""
        origin = type_origin(hint)
        if origin in (Union, UnionType):
            return self.union(hint, value, path, expected)
        if dataclasses.is_dataclass(hint):
            return self.dataclass(hint, value, path)
        if origin in (list, tuple):
            return self.sequence(hint, value, path, expected or describe_type(hint))
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self.mapping(hint, value, path, expected or describe_type(hint))
        if not _is_plain(hint, value):
            self.reject(path, value, expected or describe_type(hint))
        return value

    def union(
        self,
        hint: Any,
        value: Any,
        path: str,
        expected: str,
    ) -> Any:
        """Return the value as the first member of a union that it fits."""
        members = [member for member in type_arguments(hint) if member is not NoneType]
        if value is None and NoneType in type_arguments(hint):
            return None
        if len(members) == 1:
            return self.value(members[0], value, path, expected)
        for member in members:
            try:
                return self.value(member, value, path)
            except ValueError:
                continue
        return self.reject(path, value, expected or describe_type(hint))

    def sequence(
        self,
        hint: Any,
        value: Any,
        path: str,
        expected: str,
    ) -> Any:
        """Return a list or a tuple, each item of the hinted type."""
        if not isinstance(value, list | tuple):
            self.reject(path, value, expected)
        origin, item_hints = type_origin(hint), type_arguments(hint)
        if origin is list or item_hints[-1] is Ellipsis:
            item_hints = (item_hints[0],) * len(value)
        if len(item_hints) != len(value):
            self.reject(path, value, expected)
        items: list[Any] = []
        for item_hint, item in zip(item_hints, value, strict=True):
            item_path = f"{path}[{len(items)}]"
            items.append(self.value(item_hint, item, item_path))
        return tuple(items) if origin is tuple else items

    def mapping(
        self,
        hint: Any,
        value: Any,
        path: str,
        expected: str,
    ) -> dict[str, Any]:
        """Return a mapping from strings to values of the hinted type."""
        if not isinstance(value, Mapping):
            self.reject(path, value, expected)
        _, inner_hint = type_arguments(hint)
        result = {}
        for key, inner in value.items():
            if not isinstance(key, str):
                self.reject(f"a key of {path}", key, "a string")
            inner_path = _join(path, key)
            result[key] = self.value(inner_hint, inner, inner_path)
        return result


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _with_current_names(
    declared: list[dataclasses.Field[Any]], raw: Mapping[Any, Any]
) -> dict[Any, Any]:
    """Return a table whose keys have the names of now; a field may declare an `old_name`."""
    names = {field.metadata.get("old_name"): field.name for field in declared}
    table = {}
    for key, value in raw.items():
        name = names.get(key, key) if key else key
        table[key if name in raw else name] = value
    return table


@cache
def _hints(cls: type) -> dict[str, Any]:
    return type_hints(cls)


def _is_plain(hint: Any, value: Any) -> bool:
    """Return whether a value is of a type that holds no others; a boolean is not a number."""
    if hint is Any:
        return _is_json(value)
    if isinstance(value, bool):
        return hint is bool
    if hint is float and isinstance(value, int):
        return abs(value) <= LARGEST
    return isinstance(value, hint)


def _is_json(value: Any) -> bool:
    """Return whether JSON can hold a value; it has no dates, which TOML and YAML have."""
    if isinstance(value, Mapping):
        has_names = all(isinstance(key, str) for key in value)
        return has_names and all(map(_is_json, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int | float)


def describe_type(hint: Any) -> str:
    """Return what a value of this type is called in an error."""
    origin, arguments = type_origin(hint), type_arguments(hint)
    if origin in (Union, UnionType):
        return " or ".join(map(describe_type, arguments))
    if origin is tuple and Ellipsis not in arguments:
        items = ", ".join(map(describe_type, arguments))
        return f"a list of {len(arguments)}: {items}"
    if origin in (list, tuple):
        return f"a list, each item {describe_type(arguments[0])}"
    if arguments:
        return f"a table, each value {describe_type(arguments[1])}"
    return NAMES.get(hint, "a table of keys and values")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _tail(remedy: str) -> str:
    return f": {remedy}" if remedy else ""
