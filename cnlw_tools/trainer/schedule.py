"""Learning rates as a factor of the highest one; t counts epochs, and T is how many there are.

constant             1
step:N:F             F^floor(t / N)                                   MentorMix: step:30:0.9
multistep:A,B:F      F^(how many of A, B ... are <= t)                mixup: multistep:100,150:0.1
exponential:F        F^t
linear:N             1 up to N, then in a line to 0 at T              Co-teaching: linear:80
cosine               (1 + cos(pi t / T)) / 2                          Loshchilov and Hutter 2017
restarts:N:M:H       h (1 + cos(pi u)) / 2 in cycles of N, N M, N M^2 ... epochs, h = 1, H, H^2 ...,
                     u the share of the cycle that is done            IEG: restarts:1:1.5:0.9
                     no cycle begins within the last epoch, where the rate would jump up to no end
cyclic:N:L           1 - (1 - L) (e mod N + 1) / N, e = floor(t)      O2U-Net: cyclic:10:0.1
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

from cnlw_tools.registry import pick

Schedule = Callable[[float, float], float]  # epochs done, epochs in all -> factor


def constant(t: float, total: float) -> float:
    """Return 1."""
    return 1.0


def step(t: float, total: float, period: float, factor: float) -> float:
    """Return F^floor(t / N)."""
    return math.pow(factor, t // period)


def multistep(t: float, total: float, milestones: tuple[float, ...], factor: float) -> float:
    """Return F^(how many of the milestones are reached)."""
    n_reached = sum(milestone <= t for milestone in milestones)
    return math.pow(factor, n_reached)


def exponential(t: float, total: float, factor: float) -> float:
    """Return F^t."""
    return math.pow(factor, t)


def linear(t: float, total: float, begin: float) -> float:
    """Return 1 until ``begin``, then fall in a line to 0; stay at 1 if training ends before."""
    if total <= begin:
        return 1.0
    epochs_left = max(total - t, 0.0)
    return min(1.0, epochs_left / (total - begin))


def cosine(t: float, total: float) -> float:
    """Fall from 1 to 0 along half a cosine."""
    return (1 + math.cos(math.pi * min(t / total, 1))) / 2


def restarts(t: float, total: float, length: float, growth: float, decay: float) -> float:
    """Repeat cosines, each longer and lower than the one before.

    After a cycle that ends within the last epoch the rate stays at 0.
    """
    height = 1.0
    begin = 0.0  # of the cycle
    end = length  # which is the beginning of the next
    while t >= end - 1e-9 and end <= total - 1:
        begin = end
        length *= growth
        height *= decay
        end = begin + length
    return height * cosine(max(t - begin, 0.0), length)


def cyclic(t: float, total: float, period: float, lowest: float) -> float:
    """Fall from near 1 to the lowest factor, epoch by epoch, then jump up again."""
    epoch_in_cycle = t // 1 % period
    return 1 - (1 - lowest) * (epoch_in_cycle + 1) / period


SCHEDULES: Mapping[str, tuple[Callable[..., float], tuple[str, ...]]] = {  # function, parameters
    "constant": (constant, ()),
    "step": (step, ("period", "factor")),
    "multistep": (multistep, ("milestones", "factor")),
    "exponential": (exponential, ("factor",)),
    "linear": (linear, ("begin",)),
    "cosine": (cosine, ()),
    "restarts": (restarts, ("length", "growth", "decay")),
    "cyclic": (cyclic, ("period", "lowest")),
}
PARAMETER_RANGES = {
    "factor": (0.0, 1.0),
    "decay": (0.0, 1.0),
    "lowest": (0.0, 1.0),
    "growth": (1.0, 1e3),
}
DEFAULT_RANGE = (0.0, 1e9)  # of all other parameters


def parse_schedule(text: str) -> Schedule:
    """Read `name:argument:argument`.

    Raises:
        LookupError: no such schedule
        ValueError: an argument is missing, superfluous or out of range
    """
    name, *fields = text.split(":")
    function, parameters = pick(SCHEDULES, name, "schedule")
    arguments = _parse_arguments(parameters, fields)
    if arguments is None:
        form = ":".join([name, *parameters])
        limits = ""
        for parameter in parameters:
            if parameter in PARAMETER_RANGES:
                low, high = PARAMETER_RANGES[parameter]
                limits += f", {parameter} from {low:g} to {high:g}"
        raise ValueError(
            f"schedule {text!r} is not allowed: write {form} with positive numbers{limits}"
        )
    return partial(function, **arguments)


def _parse_arguments(
    parameters: tuple[str, ...], fields: list[str]
) -> dict[str, float | tuple[float, ...]] | None:
    """Return the arguments of a schedule by name; None if the fields do not fit its parameters."""
    if len(fields) != len(parameters):
        return None
    arguments: dict[str, float | tuple[float, ...]] = {}
    for parameter, field in zip(parameters, fields, strict=True):
        try:
            numbers = tuple(float(number) for number in field.split(","))
        except ValueError:
            return None
        if not all(_in_range(parameter, number) for number in numbers):
            return None
        if parameter == "milestones":
            arguments[parameter] = numbers
        elif len(numbers) == 1:
            arguments[parameter] = numbers[0]
        else:
            return None
    return arguments


def _in_range(parameter: str, value: float) -> bool:
    low, high = PARAMETER_RANGES.get(parameter, DEFAULT_RANGE)
    return value > 0 and low <= value <= high


def with_warmup(schedule: Schedule, warmup: float) -> Schedule:
    """Multiply a schedule by a line that rises from 0 to 1 over the first ``warmup`` epochs."""
    if not warmup:
        return schedule
    return lambda t, total: schedule(t, total) * min(t / warmup, 1.0)
