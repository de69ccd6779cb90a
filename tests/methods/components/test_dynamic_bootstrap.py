"""Tests of dynamic bootstrapping, which M-DYR-H and MD-DYR-SH share."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.beta_mixture import BetaMixture
from cnlw_tools.methods.components.dynamic_bootstrap import (
    balance_penalty,
    bootstrap_losses,
    mixup_loss,
    refit_mixture,
)
from cnlw_tools.methods.components.mixing import sample_beta

W = torch.tensor([0.1, 0.9, 0.5])


def test_fixture(f3):
    """Losses for w = 0.1, 0.9, 0.5 and the penalty agree with numbers worked out by hand."""
    losses = bootstrap_losses(f3.x, f3.y, f3.x.argmax(1), W)

    assert torch.allclose(losses, torch.tensor([0.239545, 0.651445, 1.098612]), atol=1e-6)
    assert losses.mean().item() == pytest.approx(0.663201, abs=1e-6)
    assert balance_penalty(f3.x).item() == pytest.approx(0.041779, abs=1e-6)
    assert (losses.mean() + balance_penalty(f3.x)).item() == pytest.approx(0.704979, abs=2e-6)


def test_soft_guesses(f3):
    """One-hot guesses equal class indices, and soft guesses are a sum over classes."""
    guess = f3.x.argmax(1)
    hard = torch.eye(3)[guess]
    soft = (f3.x / 0.5).softmax(1)
    log_p = f3.x.log_softmax(1)
    expected = [
        -(1 - W[b]) * log_p[b, f3.y[b]] - W[b] * sum(soft[b, k] * log_p[b, k] for k in range(3))
        for b in range(3)
    ]

    assert torch.allclose(
        bootstrap_losses(f3.x, f3.y, hard, W), bootstrap_losses(f3.x, f3.y, guess, W)
    )
    assert bootstrap_losses(f3.x, f3.y, soft, W).tolist() == pytest.approx(
        [e.item() for e in expected]
    )


def test_unevenness():
    """The penalty is a sum over classes, 0 for a uniform mean and finite if a class is lost."""
    z = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    h = z.softmax(1).mean(0)

    assert balance_penalty(z).item() == pytest.approx(
        sum(0.25 * math.log(0.25 / p) for p in h.tolist()), abs=1e-6
    )
    assert balance_penalty(9 * torch.eye(4)).item() == pytest.approx(0, abs=1e-6)
    assert balance_penalty(torch.tensor([[500.0, 0, 0, 0]])).isfinite()


def test_mixup_is_mixup(toy):
    """The loss equals that of the method mixup for the same random draws."""
    method = toy.make("mixup", alpha=2.0)
    batch = toy.first_batch(method)
    torch.manual_seed(5)
    expected = method.loss(batch)  # draws lam, then partners
    torch.manual_seed(5)
    sample_beta(2.0, (), batch.x)
    q = torch.randperm(len(batch.y))
    torch.manual_seed(5)
    loss, given_losses = mixup_loss(method.net, batch, q, 2.0)

    assert torch.allclose(loss, expected)
    assert torch.allclose(given_losses, method.example_losses[batch.index])


def test_refit_looks_as_in_validation(toy, monkeypatch):
    """The mixture is fitted to the losses in evaluation mode, averaged over ranks."""
    net = toy.make("vanilla", dropout=0.5).net
    losses = cross_entropy(net.eval()(toy.x), toy.y, reduction="none").detach()
    mixture, expected = BetaMixture(), BetaMixture()

    refit_mixture(mixture, net.train(), toy.train_batches)
    expected.fit(losses)
    assert torch.allclose(mixture.table, expected.table, atol=1e-4)

    monkeypatch.setattr(
        distributed, "average_over_ranks", lambda tensors: [t.mul_(2) for t in tensors]
    )
    refit_mixture(mixture, net, toy.train_batches)
    expected.fit(2 * losses)
    assert torch.allclose(mixture.table, expected.table, atol=1e-4)
