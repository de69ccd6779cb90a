"""Learning rates as a factor of the highest one; t counts epochs, and T is how many there are.

constant             1
step:N:F             F^floor(t / N)                                        MentorMix: step:30:0.9
multistep:A,B:F      F^(how many of A, B ... are <= t)                     mixup: multistep:100,150:0.1
exponential:F        F^t
cosine               (1 + cos(pi t / T)) / 2                               Loshchilov and Hutter 2017
restarts:N:M:H       h (1 + cos(pi u)) / 2 in cycles of N, N M, N M^2 ... epochs, h = 1, H, H^2 ...,
                     u the share of the cycle that is done                 IEG: restarts:1:1.5:0.9
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

from cnlw_tools.lookup import pick

Schedule = Callable[[float, float], float]  # epochs done, epochs in all -> factor


def constant(t: float, total: float) -> float:
    """1."""
    return 1.0


def step(t: float, total: float, every: float, factor: float) -> float:
    """F^floor(t / N)."""
    return math.pow(factor, t // every)


def multistep(t: float, total: float, at: tuple[float, ...], factor: float) -> float:
    """F^(how many of the milestones are reached)."""
    return math.pow(factor, sum(milestone <= t for milestone in at))


def exponential(t: float, total: float, factor: float) -> float:
    """F^t."""
    return math.pow(factor, t)


def cosine(t: float, total: float) -> float:
    """From 1 to 0 along half a cosine."""
    return (1 + math.cos(math.pi * min(t / total, 1))) / 2


def restarts(t: float, total: float, first: float, longer: float, lower: float) -> float:
    """Cosines that start again, each longer and lower than the one before."""
    length, height = first, 1.0
    while t >= length - 1e-9:  # the end of a cycle is the beginning of the next
        t, length, height = t - length, length * longer, height * lower
    return height * cosine(max(t, 0.0), length)


SCHEDULES: Mapping[str, tuple[Callable[..., float], tuple[str, ...]]] = {  # and what its arguments are called
    "constant": (constant, ()),
    "step": (step, ("every", "factor")),
    "multistep": (multistep, ("at", "factor")),
    "exponential": (exponential, ("factor",)),
    "cosine": (cosine, ()),
    "restarts": (restarts, ("first", "longer", "lower")),
}


def parse(text: str) -> Schedule:
    """Read `name:argument:argument`.

    Raises:
        LookupError: no such schedule
        ValueError: arguments that are missing, too many, no positive numbers, or of cycles that shrink
    """
    name, *said = text.split(":")
    rule, names = pick(SCHEDULES, name, "schedule")
    try:
        values = [[float(v) for v in part.split(",")] for part in said]
    except ValueError:
        values = []
    if len(values) != len(names) or not all(map(_fits, names, values)):
        wanted, shrinks = ":".join([name, *names]), ", longer from 1 on" if "longer" in names else ""
        raise ValueError(f"schedule {text!r}: write {wanted}, all of them positive numbers{shrinks}")
    return partial(rule, **{n: tuple(v) if n == "at" else v[0] for n, v in zip(names, values, strict=True)})


def _fits(name: str, values: list[float]) -> bool:
    """One number, many where they are milestones; cycles that shrink would come to an end."""
    least = 1.0 if name == "longer" else 0.0
    return (len(values) == 1 or name == "at") and all(0 < v < math.inf and v >= least for v in values)


def warmed(schedule: Schedule, warmup: float) -> Schedule:
    """Rise in a line from 0 over so many epochs, on top of the schedule."""
    return lambda t, total: schedule(t, total) * (min(t / warmup, 1.0) if warmup else 1.0)
