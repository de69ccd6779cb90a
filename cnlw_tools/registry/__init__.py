"""The one registry pattern: a dict literal, and a helpful error when a name is not in it."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TypeVar

T = TypeVar("T")


class ImportOnUse(Mapping[str, T]):
    """A dict of things that are expensive to import: a value is imported when it is asked for.

    The dict literal says where each value is defined, as ``module:name``. Its keys need no import,
    so commands that only list or check names work without torch.
    """

    def __init__(self, package: str, targets: Mapping[str, str]) -> None:
        self.package = package
        self.targets = targets

    def __getitem__(self, key: str) -> T:
        module, _, name = self.target(key).partition(":")
        value: T = getattr(import_module(module), name)
        return value

    def __contains__(self, key: object) -> bool:
        return key in self.targets

    def __iter__(self) -> Iterator[str]:
        return iter(self.targets)

    def __len__(self) -> int:
        return len(self.targets)

    def target(self, key: str) -> str:
        """Return where a value is defined: ``package.module:name``."""
        return f"{self.package}.{self.targets[key]}"

    def attribute(self, name: str) -> T:
        """Return a value, as the ``__getattr__`` of a module: ``__getattr__ = NAMES.attribute``."""
        if name not in self:
            raise AttributeError(f"module {self.package!r} has no attribute {name!r}")
        return self[name]


def suggest(name: str, names: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?``, or nothing when no name is close."""
    by_lower_case = {candidate.lower(): candidate for candidate in names}
    close = get_close_matches(name.lower(), by_lower_case, n=1)
    return f" Did you mean {by_lower_case[close[0]]!r}?" if close else ""


def pick(table: Mapping[str, T], name: str, kind: str) -> T:
    """Return ``table[name]``.

    Raises:
        LookupError: no such name; the message lists the names and suggests the closest one
    """
    if name not in table:
        raise LookupError(
            f"unknown {kind} {name!r}.{suggest(name, table)} The choices are: {', '.join(table)}"
        )
    return table[name]
