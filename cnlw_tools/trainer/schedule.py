"""Learning rates as a factor of the highest one; t counts epochs, and T is how many there are.

constant             1
step:N:F             F^floor(t / N)                                        MentorMix: step:30:0.9
multistep:A,B:F      F^(how many of A, B ... are <= t)                     mixup: multistep:100,150:0.1
exponential:F        F^t
linear:N             1 up to N, then in a line to 0 at T                   Co-teaching: linear:80
cosine               (1 + cos(pi t / T)) / 2                               Loshchilov and Hutter 2017
restarts:N:M:H       h (1 + cos(pi u)) / 2 in cycles of N, N M, N M^2 ... epochs, h = 1, H, H^2 ...,
                     u the share of the cycle that is done                 IEG: restarts:1:1.5:0.9
cyclic:N:L           1 - (1 - L) (e mod N + 1) / N, e = floor(t)                       O2U-Net: cyclic:10:0.1
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

from cnlw_tools.registry import pick

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


def linear(t: float, total: float, begin: float) -> float:
    """1, and from ``begin`` on in a line to 0; a training that ends before does not feel it."""
    return min(1.0, max(total - t, 0.0) / (total - begin)) if total > begin else 1.0


def cosine(t: float, total: float) -> float:
    """From 1 to 0 along half a cosine."""
    return (1 + math.cos(math.pi * min(t / total, 1))) / 2


def restarts(t: float, total: float, first: float, longer: float, lower: float) -> float:
    """Cosines that start again, each longer and lower than the one before."""
    length, height = first, 1.0
    while t >= length - 1e-9:  # the end of a cycle is the beginning of the next
        t, length, height = t - length, length * longer, height * lower
    return height * cosine(max(t, 0.0), length)


def cyclic(t: float, total: float, every: float, lowest: float) -> float:
    """From near 1 down to the lowest, epoch by epoch, and up again at once."""
    return 1 - (1 - lowest) * (t // 1 % every + 1) / every


SCHEDULES: Mapping[
    str, tuple[Callable[..., float], tuple[str, ...]]
] = {  # and what its arguments are called
    "constant": (constant, ()),
    "step": (step, ("every", "factor")),
    "multistep": (multistep, ("at", "factor")),
    "exponential": (exponential, ("factor",)),
    "linear": (linear, ("begin",)),
    "cosine": (cosine, ()),
    "restarts": (restarts, ("first", "longer", "lower")),
    "cyclic": (cyclic, ("every", "lowest")),
}
SPANS = {
    "factor": (0.0, 1.0),
    "lower": (0.0, 1.0),
    "lowest": (0.0, 1.0),
    "longer": (1.0, 1e3),
}  # of arguments; others: up to 1e9


def _within(name: str) -> Callable[[float], bool]:
    low, high = SPANS.get(name, (0.0, 1e9))
    return lambda x: x > 0 and low <= x <= high


def parse(text: str) -> Schedule:
    """Read `name:argument:argument`.

    Raises:
        LookupError: no such schedule
        ValueError: arguments that are missing, too many, or out of range
    """
    name, *said = text.split(":")
    rule, names = pick(SCHEDULES, name, "schedule")
    try:
        values = [[float(v) for v in part.split(",")] for part in said]
    except ValueError:
        values = []
    many = [n == "at" for n in names]
    if len(values) != len(names) or any(
        not all(map(_within(n), v)) or (len(v) > 1 and not m)
        for n, v, m in zip(names, values, many, strict=True)
    ):
        spans = "".join(
            f", {n} from {SPANS[n][0]:g} to {SPANS[n][1]:g}" for n in names if n in SPANS
        )
        raise ValueError(
            f"schedule {text!r}: write {':'.join([name, *names])}, all of them positive numbers{spans}"
        )
    return partial(
        rule, **{n: tuple(v) if m else v[0] for n, v, m in zip(names, values, many, strict=True)}
    )


def warmed(schedule: Schedule, warmup: float) -> Schedule:
    """Rise in a line from 0 over so many epochs, on top of the schedule."""
    return lambda t, total: schedule(t, total) * (min(t / warmup, 1.0) if warmup else 1.0)
