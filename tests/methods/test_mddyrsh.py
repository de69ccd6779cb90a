"""Tests of MD-DYR-SH: the loss as a loop, its stages, and predictions that become hard."""

from copy import deepcopy

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.mddyrsh import bootstrap_temperature


def suspicious(method, w, monkeypatch, progress=0.99):
    """Return a method past its warm-up with given probabilities that labels are wrong."""
    method.progress = progress
    monkeypatch.setattr(method.mixture, "forward", lambda losses: w[: len(losses)])
    return method


def naive(method, batch, w, q, t, guessing):
    """Return the loss example by example: its share of the blend, both labels and both guesses."""
    n, x, y = len(batch.y), batch.x, batch.y.tolist()
    guess = (method.net(x) / t).softmax(1).tolist() if guessing else None
    share = [(1 - w[p]) / ((1 - w[p]) + (1 - w[q[p]])) for p in range(n)]
    log_p = method.net(
        torch.stack([share[p] * x[p] + (1 - share[p]) * x[q[p]] for p in range(n)])
    ).log_softmax(1)
    total = 0.0
    for p in range(n):
        for b in (p, q[p]):
            if guessing:
                soft = sum(guess[b][k] * log_p[p, k] for k in range(4))
                total = total - ((1 - w[b]) * log_p[p, y[b]] + w[b] * soft) / 2
            else:
                total = total - log_p[p, y[b]] / 2
    h = log_p.exp().mean(0)
    return total / n + (0.7 * sum(0.25 * (0.25 / h[c]).log() for c in range(4)) if guessing else 0)


@pytest.mark.parametrize(("epoch", "t"), [(3, None), (4, 1.0), (5, 0.5005), (6, 0.001), (9, 0.001)])
def test_oracle(any_toy, monkeypatch, epoch, t):
    """Epoch 3 is dynamic mixup, later ones have guesses; loss and gradient equal the loop's."""
    w = torch.rand(6, generator=torch.Generator().manual_seed(0))
    options = {"epochs": 10, "warmup": 3, "dynamic": 1, "cooling": 3, "eta": 0.7}
    method, reference = (
        suspicious(any_toy.make("mddyrsh", **options), w, monkeypatch, epoch / 10) for _ in range(2)
    )
    batch = any_toy.first_batch(method, 6)
    torch.manual_seed(3)
    expected = naive(reference, batch, w.tolist(), torch.randperm(6).tolist(), t, t is not None)
    torch.manual_seed(3)
    loss = method.loss(batch)
    loss.backward()
    expected.backward()

    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    for actual, expected_parameter in zip(method.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(actual.grad, expected_parameter.grad, atol=1e-5)
    assert torch.allclose(method.example_weights[:6], 1 - w)


def test_suspicion_rests_on_losses_in_evaluation_mode(toy, monkeypatch):
    """No dropout, running averages of batch norm, which the pass for the prediction has moved before."""
    method = toy.make("mddyrsh", dropout=0.5)
    method.progress = 0.99
    seen_losses = []
    monkeypatch.setattr(
        method.mixture,
        "forward",
        lambda losses: seen_losses.append(losses) or torch.full((6,), 0.5),
    )
    batch, net = toy.first_batch(method, 6), deepcopy(method.net)
    method.loss(batch)
    with torch.no_grad():
        net.train()(batch.x)
        expected = [
            cross_entropy(net.eval()(batch.x[i : i + 1]), batch.y[i : i + 1]) for i in range(6)
        ]

    assert seen_losses[0].tolist() == pytest.approx(torch.stack(expected).tolist(), abs=1e-5)


def test_a_wrong_label_hardly_shows(toy, monkeypatch):
    """The blend of a surely wrong and a surely correct example is the correct one."""
    method = suspicious(
        toy.make("mddyrsh"), torch.tensor([1.0, 0.0]).clamp(1e-4, 1 - 1e-4), monkeypatch
    )
    batch, inputs = toy.first_batch(method, 2), []
    method.net.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    for seed in range(9):  # some of which swap the two
        torch.manual_seed(seed)
        swap = torch.randperm(2)[0] == 1
        torch.manual_seed(seed)
        method.loss(batch)
        if swap:
            assert torch.allclose(inputs[-1], batch.x[1].expand_as(batch.x), atol=1e-2)
        else:
            assert torch.allclose(inputs[-1], batch.x)
    assert len(inputs) == 27


def test_the_warm_up_is_mixup(toy):
    """The loss of the warm-up equals that of M-DYR-H for the same draws."""
    losses = []
    for name in ("mdyrh", "mddyrsh"):
        method = toy.make(name)
        torch.manual_seed(3)
        losses.append(method.loss(toy.first_batch(method)))

    assert torch.equal(*losses)


def test_temperature():
    """The temperature falls from 1 to 0.001 in 89 epochs and stays; a single epoch is soft."""
    assert [bootstrap_temperature(epoch, 89) for epoch in (0, 44, 88, 200)] == pytest.approx(
        [1, 0.5005, 0.001, 0.001]
    )
    assert [bootstrap_temperature(epoch, 1) for epoch in (0, 1)] == pytest.approx([1, 0.001])


def test_the_authors_epochs(on_logits):
    """Of 300 epochs 105 are mixup, 5 dynamic mixup, and 89 cool down."""
    method = on_logits("mddyrsh", 300)

    assert (method.warmup, method.dynamic, method.cooling) == (105, 5, 89)


def test_wrong_labels_weigh_less(toy):
    """On the toy problem the mean weight of wrong labels is below half of that of correct ones."""
    method = toy.train(toy.make("mddyrsh", epochs=8))
    right = toy.y == toy.true

    assert method.example_weights[~right].mean() < method.example_weights[right].mean() / 2
