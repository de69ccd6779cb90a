"""Means, standard deviations and t-intervals."""

import math
import statistics

import pytest

from cnlw_tools.reports.statistics import mean_interval, t_probability, t_quantile

T_TABLE = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    9: 2.262,
    10: 2.228,
    29: 2.045,
    100: 1.984,
}


@pytest.mark.parametrize(("v", "t"), T_TABLE.items())
def test_quantiles_are_those_of_the_tables(v, t):
    """They agree to three places, for odd and even degrees of freedom."""
    assert round(t_quantile(v), 3) == t


@pytest.mark.parametrize("v", [1, 2, 3, 6, 7])
def test_the_probability_is_the_integral_of_the_density(v):
    """The integral is a sum of many thin slices."""
    t, slices = 1.7, 20_000
    scale = math.gamma((v + 1) / 2) / (math.sqrt(v * math.pi) * math.gamma(v / 2))
    step = 2 * t / slices
    area = sum(
        (1 + (-t + (i + 0.5) * step) ** 2 / v) ** (-(v + 1) / 2) * step for i in range(slices)
    )

    assert math.isclose(t_probability(t, v), scale * area, rel_tol=1e-7)


def test_ten_levels_have_the_papers_half_width():
    """Jiang et al.: 2.262 sd / sqrt 10; a sd of 14.6 is an interval of 10.4."""
    values = [0.0, 1.0] * 5
    values = [14.6 * (x - 0.5) / statistics.stdev(values) for x in values]

    assert round(mean_interval(values).half_width, 1) == 10.4


def test_a_spread_is_mean_sd_and_number():
    """They are those of the standard library."""
    values = [61.0, 64.0, 71.5]
    result = mean_interval(values)

    assert result[:3] == (statistics.mean(values), statistics.stdev(values), 3)


def test_one_number_has_no_interval():
    """It has no standard deviation either."""
    result = mean_interval([5.0])

    assert (result.mean, result.n) == (5.0, 1)
    assert math.isnan(result.sd)
    assert math.isnan(result.half_width)


def test_no_number_is_an_error():
    """It has no mean."""
    with pytest.raises(ValueError, match="no numbers"):
        mean_interval([])
