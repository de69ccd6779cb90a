"""Tests of GCE: from cross-entropy to mean absolute error, and truncated."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.gce import generalised_losses


def naive(z, y, q):
    """Return (1 - p^q) / q, example by example."""
    return [(1 - row.double().softmax(0)[k].item() ** q) / q for row, k in zip(z, y, strict=True)]


@pytest.mark.parametrize(
    ("q", "expected", "mean"),
    [
        (0.7, [0.220538, 0.946343, 0.766481], 0.644454),
        (1.0, [0.213014, 0.788058, 0.666667], 0.555913),
        (1e-6, [0.239545, 1.551444, 1.098612], 0.9632),
    ],
)
def test_fixture(on_logits, f3, q, expected, mean):
    """The losses for q from 0 to 1 agree with numbers worked out by hand."""
    losses = cross_entropy(f3.x, f3.y, reduction="none")

    assert generalised_losses(losses, q).tolist() == pytest.approx(expected, abs=2e-6)
    assert on_logits("gce", q=q).loss(f3).item() == pytest.approx(mean, abs=2e-6)


@pytest.mark.parametrize("q", [0.1, 0.7, 1.0])
def test_oracle(q):
    """The losses of random logits equal those of a loop."""
    z, y = 3 * torch.randn(20, 5, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 5

    assert generalised_losses(cross_entropy(z, y, reduction="none"), q).tolist() == pytest.approx(
        naive(z, y, q), abs=1e-5
    )


def test_small_q_is_cross_entropy():
    """A small q loses no digits, and q = 0 equals cross-entropy to the last bit."""
    losses = torch.tensor([1e-6, 0.5, 3, 40])

    assert generalised_losses(losses, 1e-7).tolist() == pytest.approx(losses.tolist(), rel=1e-5)
    assert torch.equal(generalised_losses(losses, 0), losses)


def test_the_pull_is_that_of_cross_entropy_times_a_power(on_logits, f3):
    """The gradient is p^q times that of cross-entropy, and p^q is logged as the weight."""
    method = on_logits("gce", q=0.7)
    z = f3.x.clone().requires_grad_()
    losses = cross_entropy(z, f3.y, reduction="none")
    pull = torch.autograd.grad(generalised_losses(losses, 0.7).sum(), z, retain_graph=True)[0]
    plain = torch.autograd.grad(losses.sum(), z)[0]
    method.loss(f3)

    assert torch.allclose(method.example_weights, torch.exp(-0.7 * losses))
    assert torch.allclose(pull, method.example_weights[:, None] * plain, atol=1e-6)


@pytest.mark.parametrize("q", [0.01, 0.7, 1.0])
def test_a_label_beyond_belief(q):
    """A label of probability 0 has the loss 1 / q and a finite gradient."""
    z = torch.tensor([[0.0, 5000]], requires_grad=True)
    loss = generalised_losses(cross_entropy(z, torch.tensor([0]), reduction="none"), q).sum()
    loss.backward()

    assert loss.item() == pytest.approx(1 / q)
    assert z.grad.isfinite().all()


def test_truncated_fixture(toy, f3):
    """At k = 1/2 one of three is kept, the others cost L_q(k); the paper's form differs by that."""
    method = toy.make("gce_truncated")
    method.net = torch.nn.Identity()
    method.is_kept[:3] = torch.tensor([True, False, False])
    dear = 0.549183

    assert method.loss(f3).item() == pytest.approx((0.220538 + 2 * dear) / 3, abs=1e-6)
    assert method.loss(f3).item() - dear == pytest.approx(-0.109548, abs=1e-6)
    assert method.example_weights[:3].tolist() == pytest.approx([0.786986**0.7, 0, 0], abs=1e-6)


def test_keeps_what_the_best_network_believes(toy):
    """The best network, not the current one, decides p > k for the whole training set."""
    method = toy.make("gce_truncated", k=0.3)
    with torch.no_grad():
        method.net.head.bias.fill_(3.0)
    method.prune(toy.train_batches)
    p = method.best_net.eval()(toy.x).softmax(1)

    assert method.is_kept.tolist() == [p[i, k].item() > 0.3 for i, k in enumerate(toy.y)]
    assert 0 < method.is_kept.sum() < 192


@pytest.mark.parametrize(("k", "is_kept"), [(0, 192), (1, 0)])
def test_ends_of_k(toy, k, is_kept):
    """k = 0 keeps all examples; k = 1 keeps none, and the loss has no gradient."""
    method = toy.make("gce_truncated", k=k)
    method.prune(toy.train_batches)
    loss = method.loss(toy.first_batch(method))
    loss.backward()

    assert method.is_kept.sum() == is_kept
    if k == 1:
        assert loss == 0
        assert not any(p.grad.any() for p in method.net.parameters())


@pytest.mark.parametrize(
    ("options", "epochs", "expected"),
    [
        ({}, 12, [4]),
        ({"start": 2, "every": 3}, 9, [2, 5, 8]),
        ({"start": 0, "every": 4}, 9, [4, 8]),
        ({}, 1, []),
    ],
)
def test_when_it_looks(toy, monkeypatch, options, epochs, expected):
    """Pruning happens at the interval from `start` on, and never before the first epoch."""
    method, looked = toy.make("gce_truncated", epochs=epochs, **options), []
    for epoch in range(epochs):
        monkeypatch.setattr(method, "prune", lambda train_batches, at=epoch: looked.append(at))
        method.begin_epoch(epoch, toy.train_batches)

    assert looked == expected


def test_the_best_is_the_one_that_tells_most_held_out_labels(toy):
    """The first of equally good networks stays the best, and a worse one changes nothing."""
    method = toy.make("gce_truncated")
    batch = next(toy.holdout())
    best_accuracy, best = 0.0, method.net.state_dict()
    for epoch in range(1, 6):
        toy.step(method, toy.first_batch(method))
        if epoch == 4:
            with torch.no_grad():
                method.net.head.weight.neg_()
        right = (method.net.eval()(batch.x).argmax(1) == batch.y).float().mean().item()
        if right > best_accuracy:
            best_accuracy, best = (
                right,
                {key: value.clone() for key, value in method.net.state_dict().items()},
            )
        method.train().begin_epoch(epoch, toy.train_batches)

        assert method.best_accuracy == pytest.approx(best_accuracy)
        assert all(
            torch.equal(value, best[key]) for key, value in method.best_net.state_dict().items()
        )


def test_the_first_of_equally_good_networks_stays_the_best(toy):
    """A network with doubled logits predicts the same, so it does not replace the best one."""
    method = toy.make("gce_truncated")
    method.begin_epoch(1, toy.train_batches)
    first_weight = method.net.head.weight.detach().clone()
    with torch.no_grad():
        method.net.head.weight.mul_(2)
        method.net.head.bias.mul_(2)
    method.begin_epoch(2, toy.train_batches)

    assert torch.equal(method.best_net.head.weight, first_weight)


def test_the_best_does_not_learn(toy):
    """The best network is a copy without gradients."""
    method = toy.make("gce_truncated")
    initial_state = {key: value.clone() for key, value in method.best_net.state_dict().items()}
    toy.step(method, toy.first_batch(method))

    assert not any(p.requires_grad for p in method.best_net.parameters())
    assert all(
        torch.equal(value, initial_state[key])
        for key, value in method.best_net.state_dict().items()
    )


def test_throws_out_wrong_labels(toy):
    """After pruning most dropped labels are wrong, and most kept ones correct."""
    method = toy.train(toy.make("gce_truncated", epochs=10, start=5, k=0.3))
    wrong = toy.y != toy.true

    assert wrong[~method.is_kept].float().mean() > 0.7
    assert wrong[method.is_kept].float().mean() < 0.2
