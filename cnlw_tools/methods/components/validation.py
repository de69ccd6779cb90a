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
        limits = f"of at least {low:g}" if high == inf else f"from {low:g} to {high:g}"
        raise ValueError(f"{option} = {value!r} is not allowed: give a number {limits}")
    return value


def check_flag(option: str, value: bool) -> bool:
    """Return the value if it is true or false.

    Raises:
        ValueError: the value is not a bool
    """
    if not isinstance(value, bool):
        raise ValueError(f"{option} = {value!r} is not allowed: give true or false")
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
        raise ValueError(
            f"{option} = {value!r} is not allowed: give one of {', '.join(choices)}.{hint}"
        )
    return value


def resolve_first_epochs(
    option: str,
    value: float,
    total: int,
    least: int = 1,
    n_other_epochs: int = 1,
) -> int:
    """Return the epochs of a stage of which the method's other stages need some epochs too.

    As `resolve_epochs`, but a share leaves the other stages their epochs, and a number that does
    not is refused. A run of one epoch has no second stage: it only tries whether everything works.

    Args:
        option: its name, for errors
        value: a number of epochs, or below 1 a share of ``total``
        total: all epochs
        least: that the stage needs; 1 if the method asks the network afterwards, because the
            predictions and features of a network that has learned nothing say nothing about labels
        n_other_epochs: that the other stages need

    Raises:
        ValueError: the value is below 0, or it leaves one of the stages too few epochs
    """
    epochs = resolve_epochs(option, value, total)
    if epochs < least:
        raise ValueError(
            f"{option} = {value}: with this value, the method would rely on a network that has "
            "learned nothing: "
            f"give 1 epoch or more, or a share of all epochs above 0"
        )
    if total == 1:
        return epochs
    limit = total - n_other_epochs
    if limit < least:
        raise ValueError(
            f"{total} epochs are too few for all stages of the method: "
            f"give {least + n_other_epochs} epochs or more"
        )
    if value >= 1 and epochs > limit:
        raise ValueError(
            f"{option} = {value}: the other stages of the method need {n_other_epochs} of the "
            f"{total} epochs: "
            f"give at most {option} = {limit}, or train for more epochs"
        )
    return min(epochs, limit)


def resolve_epochs(
    option: str,
    value: float,
    total: int,
) -> int:
    """Return a number of epochs, at most ``total``.

    A value below 1 is a share of ``total``, rounded up; from 1 on it is the number itself.

    Raises:
        ValueError: the value is not a number of at least 0
    """
    check_number(option, value, 0)
    if value >= 1:
        return min(int(value), total)
    # rounded, since 0.1 * 30 is a little more than 3 in floats
    return min(ceil(round(value * total, 9)), total)
