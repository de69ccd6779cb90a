"""Tests of M-DYR-H: the loss as a loop, its stages, and mistrust of wrong labels."""

from copy import deepcopy

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods import Phase
from cnlw_tools.methods.components.mixing import sample_beta

W = torch.tensor([0.1, 0.9, 0.5])


def suspicious(method, w, monkeypatch):
    """Return a method past its warm-up with given probabilities that labels are wrong."""
    method.progress = 0.99
    monkeypatch.setattr(method.mixture, "forward", lambda losses: w[: len(losses)])
    return method


def test_fixture(on_logits, f3, monkeypatch):
    """Unmixed, with w = 0.1, 0.9, 0.5, the loss agrees with numbers worked out by hand."""
    method = suspicious(on_logits("mdyrh", alpha=0.0), W, monkeypatch)

    assert method.loss(f3).item() == pytest.approx(0.704979, abs=2e-6)
    assert torch.allclose(method.example_losses, cross_entropy(f3.x, f3.y, reduction="none"))
    assert torch.allclose(method.example_weights, 1 - W)


def naive(method, batch, w, q, lam):
    """Return the mean loss, example by example, of blends with two labels and two guesses."""
    n, x, y = len(batch.y), batch.x, batch.y.tolist()
    guess = method.net(x).argmax(1).tolist()
    log_p = method.net(
        torch.stack([lam * x[p] + (1 - lam) * x[q[p]] for p in range(n)])
    ).log_softmax(1)
    total = 0.0
    for p in range(n):
        for b, share in ((p, lam), (q[p], 1 - lam)):
            total = total - share * ((1 - w[b]) * log_p[p, y[b]] + w[b] * log_p[p, guess[b]])
    h = log_p.exp().mean(0)
    return total / n + 0.7 * sum(0.25 * (0.25 / h[c]).log() for c in range(4))


def test_oracle(any_toy, monkeypatch):
    """Loss and gradient equal those of the loop."""
    w = torch.rand(6, generator=torch.Generator().manual_seed(0))
    method, reference = (
        suspicious(any_toy.make("mdyrh", alpha=2.0, eta=0.7), w, monkeypatch) for _ in range(2)
    )
    batch = any_toy.first_batch(method, 6)
    torch.manual_seed(3)
    q = torch.randperm(6).tolist()
    lam = sample_beta(2.0, (), batch.x)
    expected = naive(reference, batch, w.tolist(), q, lam)
    torch.manual_seed(3)
    loss = method.loss(batch)
    loss.backward()
    expected.backward()

    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for actual, expected_parameter in zip(method.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(actual.grad, expected_parameter.grad, atol=1e-5)


def test_without_suspicion_it_is_mixup(toy, monkeypatch):
    """With w = 0 and eta = 0 the loss equals that of the warm-up for the same draws."""
    method = toy.make("mdyrh", eta=0.0)
    batch = toy.first_batch(method)
    torch.manual_seed(3)
    expected = method.loss(batch)
    suspicious(method, torch.zeros(32), monkeypatch)
    torch.manual_seed(3)

    assert torch.allclose(method.loss(batch), expected)


def test_what_comes_when(toy, monkeypatch):
    """Mixup comes first; after the warm-up the mixture is fitted before each epoch, and used."""
    method = toy.make("mdyrh", epochs=5, warmup=2)
    fits = []
    monkeypatch.setattr(method.mixture, "fit", lambda losses: fits.append(len(losses)))
    for epoch in toy.epochs(method):
        method.progress = epoch / 5
        method.loss(toy.first_batch(method))

        assert len(fits) == max(0, epoch - 1)
        assert (method.example_weights[:32] == 1).all() == (epoch < 2)
    assert method.phases() == [Phase(5)]
    assert set(fits) == {192}


def test_suspicion_rests_on_losses_in_evaluation_mode(toy, monkeypatch):
    """No dropout, running averages of batch norm, which the two passes in training mode have moved before."""
    method = toy.make("mdyrh", dropout=0.5)
    method.progress = 0.99
    seen_losses = []
    monkeypatch.setattr(
        method.mixture, "forward", lambda losses: seen_losses.append(losses) or W.repeat(2)
    )
    batch, net = toy.first_batch(method, 6), deepcopy(method.net)
    torch.manual_seed(3)
    method.loss(batch)
    torch.manual_seed(3)
    with torch.no_grad():
        q = torch.randperm(6)
        net.train()(batch.x)
        lam = sample_beta(method.alpha, (), batch.x)
        net(lam * batch.x + (1 - lam) * batch.x[q])
        expected = [
            cross_entropy(net.eval()(batch.x[i : i + 1]), batch.y[i : i + 1]) for i in range(6)
        ]

    assert seen_losses[0].tolist() == pytest.approx(torch.stack(expected).tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("warmup", "epochs", "expected"), [(0.35, 300, 105), (0.35, 1, 1), (3, 4, 3)]
)
def test_warm_up(on_logits, warmup, epochs, expected):
    """The warm-up is a share or a number of epochs."""
    assert on_logits("mdyrh", epochs, warmup=warmup).warmup == expected


def test_wrong_labels_weigh_less(toy):
    """On the toy problem the mean weight of wrong labels is below half of that of correct ones."""
    method = toy.train(toy.make("mdyrh", epochs=8))
    right = toy.y == toy.true

    assert method.example_weights[~right].mean() < method.example_weights[right].mean() / 2
