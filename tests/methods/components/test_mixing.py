"""Tests of Beta draws and of mixing, against moments and a loop over examples."""

import pytest
import torch
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods.components.labels import one_hot
from cnlw_tools.methods.components.mixing import at_least_half, mix, sample_beta

LIKE = torch.empty(0)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1, 2, 8, 32])
def test_beta_has_its_moments(alpha):
    """Mean, variance and fourth central moment are those of the Beta, within five sigma."""
    torch.manual_seed(0)
    n = 40_000
    off = sample_beta(alpha, (n,), LIKE).double() - 0.5
    variance, fourth = 1 / (4 * (2 * alpha + 1)), 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3))

    assert abs(off.mean()) < 5 * (variance / n) ** 0.5
    assert abs((off**2).mean() - variance) < 5 * ((fourth - variance**2) / n) ** 0.5
    assert (off**4).mean() == pytest.approx(fourth, rel=0.05)


def test_beta_of_one_is_uniform():
    """Beta(1, 1) passes the Kolmogorov-Smirnov test for a uniform distribution, at five sigma."""
    torch.manual_seed(0)
    n = 40_000
    u = sample_beta(1, (n,), LIKE).sort().values

    assert (u - (torch.arange(n) + 0.5) / n).abs().max() < 2.5 / n**0.5


def test_tiny_and_huge_alpha():
    """A tiny alpha gives 0 or 1, a huge one 1/2, and neither gives NaN."""
    torch.manual_seed(0)
    coin = sample_beta(1e-6, (1000,), LIKE)

    assert ((coin < 0.01) | (coin > 0.99)).sum() > 990
    assert 400 < coin.sum() < 600
    assert torch.allclose(sample_beta(1e6, (1000,), LIKE), torch.tensor(0.5), atol=0.01)


@pytest.mark.parametrize("alpha", [0, -1])
def test_no_alpha_is_no_mixing(alpha):
    """alpha <= 0 gives lam = 1."""
    assert sample_beta(alpha, (2, 3), LIKE).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert sample_beta(alpha, (), LIKE) == 1


@pytest.mark.parametrize("shape", [(), (5,), (0,), (2, 3)])
def test_shapes(shape):
    """The draws have the requested shape."""
    assert sample_beta(0.5, shape, LIKE).shape == shape


def test_folded():
    """The larger part is kept."""
    assert at_least_half(torch.tensor([0.0, 0.25, 0.5, 1.0])).tolist() == [1, 0.75, 0.5, 1]


def test_mix_is_a_loop():
    """Images and targets are mixed by one lam per example, or by one for all."""
    torch.manual_seed(0)
    a, b, lam = torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2), torch.rand(4)

    for i in range(4):
        assert torch.equal(mix(a, b, lam)[i], lam[i] * a[i] + (1 - lam[i]) * b[i])
        assert torch.equal(mix(a, b, lam[0])[i], lam[0] * a[i] + (1 - lam[0]) * b[i])
        assert torch.equal(mix(a[:, 0, 0, 0], b[:, 0, 0, 0], lam)[i], mix(a, b, lam)[i, 0, 0, 0])


def test_mixed_targets(f3):
    """For lam = 0.7 targets and losses agree with numbers worked out by hand."""
    z, y, lam, partner = f3.x, f3.y, torch.tensor(0.7), torch.tensor([1, 2, 0])
    targets = mix(one_hot(y, 3), one_hot(y[partner], 3), lam)
    losses, partner_losses = (
        cross_entropy(z, labels, reduction="none") for labels in (y, y[partner])
    )

    assert torch.allclose(targets, torch.tensor([[0.7, 0, 0.3], [0, 0.3, 0.7], [0.3, 0.7, 0]]))
    assert torch.allclose(
        -(targets * log_softmax(z, 1)).sum(1), torch.tensor([0.839545, 1.251445, 1.098612])
    )
    assert torch.allclose(
        mix(losses, partner_losses, lam), torch.tensor([0.839545, 1.251445, 1.098612])
    )


def test_one_hot():
    """The result equals that of torch's one_hot, in floats."""
    y = torch.tensor([2, 0, 1, 2])

    assert torch.equal(one_hot(y, 4), torch.nn.functional.one_hot(y, 4).float())
    assert one_hot(y[:0], 4).shape == (0, 4)
