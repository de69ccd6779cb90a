"""Checks of a method's options. Each error names the option, its value and the values allowed."""

from collections.abc import Iterable
from math import ceil, inf, isfinite

from cnlw_tools.registry import suggest


def check_number(
    option: str,
    value: float,
    low: float,
    high: float = inf,
) -> float:
    """Return the value if it is a finite number from ``low`` to ``high``.

    Raises:
        ValueError: it is not
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_in_range = is_number and isfinite(value) and low <= value <= high
    if not is_in_range:
        upper = "up" if high == inf else f"to {high:g}"
        raise ValueError(f"{option} = {value!r}: give a number from {low:g} {upper}")
    return value


def check_flag(option: str, value: bool) -> bool:
    """Return the value if it is true or false.

    Raises:
        ValueError: the value is not a bool
    """
    if not isinstance(value, bool):
        raise ValueError(f"{option} = {value!r}: give true or false")
    return value


def check_choice(
    option: str,
    value: str,
    choices: Iterable[str],
) -> str:
    """Return the value if it is one of the choices.

    Raises:
        ValueError: it is not; the error suggests a similar choice
    """
    choices = list(choices)
    if value not in choices:
        hint = suggest(value, choices) if isinstance(value, str) else ""
        raise ValueError(f"{option} = {value!r}: give one of {', '.join(choices)}.{hint}")
    return value


def resolve_first_epochs(
    option: str,
    value: float,
    total: int,
) -> int:
    """Return how many epochs the network learns before the method estimates anything with it.

    This is `resolve_epochs`, but at least one: the predictions and features of a network that has
    learned nothing say nothing about the labels.

    Raises:
        ValueError: the value is not a number above 0
    """
    epochs = resolve_epochs(option, value, total)
    if epochs == 0:
        raise ValueError(
            f"{option} = {value}: the method would rely on a network that has learned nothing: "
            f"give 1 epoch or more, or a share of all epochs above 0"
        )
    return epochs


def resolve_epochs(
    option: str,
    value: float,
    total: int,
) -> int:
    """Return a number of epochs, at most ``total``.

    A value below 1 is a share of ``total``, rounded up; from 1 on it is the number itself.

    Raises:
        ValueError: the value is not a number from 0 up
    """
    check_number(option, value, 0)
    if value >= 1:
        return min(int(value), total)
    # rounded, since 0.1 * 30 is a little more than 3 in floats
    return min(ceil(round(value * total, 9)), total)
