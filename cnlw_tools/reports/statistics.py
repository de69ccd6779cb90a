"""Mean, standard deviation and 95 % t-interval of n numbers.

    mean = sum x / n   sd^2 = sum (x - mean)^2 / (n - 1)   half width = t(0.975, n - 1) sd / sqrt(n)

P(|T| <= t) for v degrees of freedom is a finite sum; with a = atan(t / sqrt v):

    v odd:   2/pi (a + sin a (cos a + 2/3 cos^3 a + ... + 2.4...(v-3) / 3.5...(v-2) cos^(v-2) a))
    v even:  sin a (1 + 1/2 cos^2 a + ... + 1.3...(v-3) / 2.4...(v-2) cos^(v-2) a)

Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

CONFIDENCE = 0.95


class MeanInterval(NamedTuple):
    """The mean of n numbers with its confidence interval."""

    mean: float
    sd: float  # standard deviation; nan of one number
    n: int
    half_width: float  # of the interval; nan of one number


def mean_interval(values: Sequence[float]) -> MeanInterval:
    """Return the mean of some numbers, their standard deviation, and half the interval.

    Raises:
        ValueError: there is no number
    """
    n = len(values)
    if not n:
        raise ValueError("no numbers to take the mean of")
    mean = math.fsum(values) / n
    if n == 1:
        return MeanInterval(
            mean,
            math.nan,
            1,
            math.nan,
        )
    squares = math.fsum((x - mean) ** 2 for x in values)
    sd = math.sqrt(squares / (n - 1))
    half_width = t_quantile(n - 1) * sd / math.sqrt(n)
    return MeanInterval(
        mean,
        sd,
        n,
        half_width,
    )


@cache
def t_quantile(degrees_of_freedom: int) -> float:
    """Return t(0.975, v): the t that |T| stays below in 95 % of all draws, by bisection."""
    low, high = 0.0, 13.0  # t(0.975, 1) is 12.706
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if t_probability(middle, degrees_of_freedom) < CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def t_probability(t: float, degrees_of_freedom: int) -> float:
    """Return P(|T| <= t)."""
    v = degrees_of_freedom
    is_odd = v % 2 == 1
    a = math.atan(t / math.sqrt(v))
    term = math.cos(a) if is_odd else 1.0
    total = term if v > 1 else 0.0
    for k in range(2 + v % 2, v - 1, 2):
        term *= (k - 1) / k * math.cos(a) ** 2
        total += term
    if is_odd:
        return 2 / math.pi * (a + math.sin(a) * total)
    return math.sin(a) * total


def is_above(a: MeanInterval, b: MeanInterval) -> bool:
    """Return whether the interval of `a` lies above that of `b`; one number has no interval."""
    return a.mean - a.half_width > b.mean + b.half_width
