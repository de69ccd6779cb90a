"""Tests of the Beta mixture: moments, posterior, a loop as the oracle, and degenerate losses."""

import math

import pytest
import torch

from cnlw_tools.methods.components.beta_mixture import (
    BetaMixture,
    fit_mixture,
    initial_parameters,
    match_moments,
    responsibilities,
    tabulate_posterior,
)


def draws(n, alpha, beta, seed):
    """Draw from Beta(alpha, beta), for whole numbers, by order statistics of uniform draws."""
    u = torch.rand(
        n, alpha + beta - 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return u.sort(1).values[:, alpha - 1]


def density(x, alpha, beta):
    """Return the density of Beta(alpha, beta) at x."""
    return (
        x ** (alpha - 1)
        * (1 - x) ** (beta - 1)
        * math.gamma(alpha + beta)
        / math.gamma(alpha)
        / math.gamma(beta)
    )


def naive(values):
    """Run ten rounds of expectation maximisation, value by value."""
    alpha, beta, weight = [1.0, 2.0], [2.0, 1.0], [0.5, 0.5]
    for _ in range(10):
        r = [[weight[c] * density(x, alpha[c], beta[c]) for x in values] for c in (0, 1)]
        r = [[r[c][i] / (r[0][i] + r[1][i]) for i in range(len(values))] for c in (0, 1)]
        for c in (0, 1):
            total = sum(r[c])
            m = sum(k * x for k, x in zip(r[c], values, strict=True)) / total
            s2 = sum(k * (x - m) ** 2 for k, x in zip(r[c], values, strict=True)) / total
            alpha[c] = m * (m * (1 - m) / s2 - 1)
            beta[c], weight[c] = alpha[c] * (1 - m) / m, total / len(values)
    return alpha, beta, weight


def test_moments():
    """0.2, 0.4, 0.6 and 0.8 match Beta(2, 2); a value with weight 0 has no effect."""
    x = torch.tensor([0.2, 0.4, 0.6, 0.8, 0.1], dtype=torch.float64)
    r = torch.tensor([[1.0, 1, 1, 1, 0], [2, 2, 2, 2, 0]], dtype=torch.float64)

    for value in match_moments(x, r):
        assert value.tolist() == pytest.approx([2, 2])


def test_the_posterior_begins_as_the_value():
    """For Beta(1, 2) and Beta(2, 1) in equal parts the posterior is r_1(x) = x."""
    x = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)

    assert responsibilities(x, initial_parameters(x))[1].tolist() == pytest.approx([0.1, 0.5, 0.9])


def test_oracle():
    """The fit equals ten rounds of the loop."""
    values = [0.02, 0.05, 0.1, 0.12, 0.3, 0.55, 0.7, 0.72, 0.9]
    fit = fit_mixture(torch.tensor(values, dtype=torch.float64))

    for actual, expected in zip(fit, naive(values), strict=True):
        assert actual.tolist() == pytest.approx(expected, rel=1e-9)


def test_it_finds_two_betas():
    """The fit separates 4,000 draws of Beta(2, 18) from 2,000 of Beta(15, 3)."""
    fit = fit_mixture(torch.cat([draws(4000, 2, 18, 1), draws(2000, 15, 3, 2)]))

    assert fit.weight.tolist() == pytest.approx([2 / 3, 1 / 3], abs=0.02)
    assert fit.alpha.tolist() == pytest.approx([2, 15], rel=0.3)
    assert fit.beta.tolist() == pytest.approx([18, 3], rel=0.3)


def test_the_table_falls_no_more_from_its_top():
    """The table stays at its maximum where the posterior would fall for the highest losses."""
    x = torch.tensor([], dtype=torch.float64)
    mixture = initial_parameters(x)._replace(
        alpha=x.new_tensor([1.0, 20]), beta=x.new_tensor([1.0, 20])
    )
    table = tabulate_posterior(mixture)
    points = torch.linspace(0, 1, 100, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
    r = responsibilities(points, mixture)[1]

    assert r[99] < 0.01
    assert torch.equal(table[:49], r[:49])
    assert (table[50:] == r.max()).all()


def test_a_loss_finds_its_bin():
    """The bin is floor(100 x), with x = (l - P5 - 1e-5) / (P95 - P5 - 1e-5 + 1e-6), clamped."""
    losses = torch.cat([draws(500, 2, 8, 1), 3 + draws(300, 4, 4, 2)]).float()
    mixture = BetaMixture()
    mixture.fit(losses)
    p5, p95 = (losses.double().quantile(q).item() for q in (0.05, 0.95))

    for loss in (-1.0, 0.0, 0.2, 1.0, 3.4, 9.0):
        x = min(max((loss - p5 - 1e-5) / (p95 - p5 - 1e-5 + 1e-6), 0.001), 0.999)
        expected = min(max(mixture.table[int(100 * x)].item(), 1e-4), 1 - 1e-4)
        assert mixture(torch.tensor([loss])).item() == pytest.approx(expected)
    assert mixture(torch.tensor([0.2, 3.5])).tolist() == pytest.approx([0, 1], abs=0.01)


def test_what_lies_beyond_the_percentiles_is_not_fitted():
    """One percent of extreme losses hardly changes the fit."""
    losses = torch.cat([draws(1000, 2, 8, 1), 1 + draws(500, 9, 2, 2)])
    plain, wild = BetaMixture(), BetaMixture()
    plain.fit(losses)
    wild.fit(torch.cat([losses, torch.full((15,), 1e3)]))

    assert torch.allclose(plain.table, wild.table, atol=0.1)
    assert wild.span < 2


@pytest.mark.parametrize("losses", [torch.full((50,), 0.7), torch.zeros(1), torch.arange(3.0)])
def test_few_losses_or_equal_ones(losses):
    """With losses that tell nothing the result is finite, and equal losses cause no mistrust."""
    mixture = BetaMixture()
    mixture.fit(losses)
    w = mixture(losses)

    assert mixture.table.isfinite().all()
    assert len(losses) == 3 or (w < 0.01).all()
