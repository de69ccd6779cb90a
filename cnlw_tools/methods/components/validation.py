"""Checks of options: an error says which one, what it was, and what it may be."""

from collections.abc import Iterable
from math import ceil, inf, isfinite

from cnlw_tools.registry import suggest


def number(option: str, value: float, low: float, high: float = inf) -> float:
    """Return the value.

    Raises:
        ValueError: it is no finite number from ``low`` to ``high``
    """
    real = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if not real or not low <= value <= high:
        upto = "up" if high == inf else f"to {high:g}"
        raise ValueError(f"{option} = {value!r}: give a number from {low:g} {upto}")
    return value


def flag(option: str, value: bool) -> bool:
    """Return the value.

    Raises:
        ValueError: it is neither true nor false
    """
    if not isinstance(value, bool):
        raise ValueError(f"{option} = {value!r}: give true or false")
    return value


def choice(option: str, value: str, names: Iterable[str]) -> str:
    """Return the value.

    Raises:
        ValueError: it is none of the names
    """
    names = list(names)
    if value not in names:
        close = suggest(value, names) if isinstance(value, str) else ""
        raise ValueError(f"{option} = {value!r}: there are {', '.join(names)}.{close}")
    return value


def epochs(option: str, value: float, total: int) -> int:
    """Return how many of ``total`` epochs are meant: below 1 a share of them, rounded up, from 1 on their number.

    Raises:
        ValueError: it is no number from 0 up
    """
    number(option, value, 0)
    return min(ceil(round(value * total, 9)) if value < 1 else int(value), total)
