"""The one registry pattern: a dict literal, and a kind error when a name is not in it."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


def suggest(name: str, names: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?``, or nothing when no name is close."""
    lower = {n.lower(): n for n in names}
    close = get_close_matches(name.lower(), lower, n=1)
    return f" Did you mean {lower[close[0]]!r}?" if close else ""


def pick(table: Mapping[str, T], name: str, kind: str) -> T:
    """Return ``table[name]``.

    Raises:
        LookupError: no such name; the message says which there are and which was probably meant
    """
    if name not in table:
        raise LookupError(
            f"unknown {kind} {name!r}.{suggest(name, table)} There are: {', '.join(table)}"
        )
    return table[name]
