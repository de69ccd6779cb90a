"""Mean, spread and the 95 % t-interval of n numbers.

    mean = sum x / n        sd^2 = sum (x - mean)^2 / (n - 1)        half = t(0.975, n - 1) sd / sqrt n

P(|T| <= t) for v degrees of freedom is a finite sum (Abramowitz and Stegun, 26.7.3, 26.7.4); with a = atan(t / sqrt v):

    v odd:   2/pi (a + sin a (cos a + 2/3 cos^3 a + ... + 2.4...(v-3) / 3.5...(v-2) cos^(v-2) a))
    v even:  sin a (1 + 1/2 cos^2 a + ... + 1.3...(v-3) / 2.4...(v-2) cos^(v-2) a)
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

LEVEL = 0.95


class Spread(NamedTuple):
    """What n numbers come to."""

    mean: float
    sd: float  # nan of one
    n: int
    half: float  # of the interval; nan of one


def spread(values: Sequence[float]) -> Spread:
    """Return mean, spread and half the interval.

    Raises:
        ValueError: there is no number
    """
    n = len(values)
    if not n:
        raise ValueError("no numbers to take the mean of")
    mean = math.fsum(values) / n
    if n == 1:
        return Spread(mean, math.nan, 1, math.nan)
    sd = math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (n - 1))
    return Spread(mean, sd, n, quantile(n - 1) * sd / math.sqrt(n))


@cache
def quantile(v: int) -> float:
    """Return t(0.975, v): the t that |T| stays below in 95 % of all draws, by bisection."""
    low, high = 0.0, 13.0  # t(0.975, 1) is 12.706
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle, v) < LEVEL else (low, middle)
    return high


def inside(t: float, v: int) -> float:
    """Return P(|T| <= t) for v degrees of freedom."""
    a = math.atan(t / math.sqrt(v))
    term = math.cos(a) if v % 2 else 1.0
    total = term if v > 1 else 0.0
    for k in range(2 + v % 2, v - 1, 2):  # cos^k a, or the next of it
        term *= (k - 1) / k * math.cos(a) ** 2
        total += term
    return 2 / math.pi * (a + math.sin(a) * total) if v % 2 else math.sin(a) * total
