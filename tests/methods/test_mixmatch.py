"""Tests of MixMatch: its loss as a loop, batch normalisation, the ramp, and unused labels."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softmax

from cnlw_tools.methods import METHODS, Batch, ProbeSet, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.mixing import sample_beta
from cnlw_tools.methods.components.pseudo_labels import kl_divergence
from cnlw_tools.methods.mixmatch import interleave

B, K = 4, 3


def norm():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(20, K)
    )


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, K))


def make_batch(seed=0, views=2, n=B):
    draw = torch.Generator().manual_seed(seed)
    x = tuple(torch.randn(n, 3, 4, 4, generator=draw) for _ in range(views))
    return Batch(torch.arange(n), x, torch.randint(K, (n,), generator=draw))


def probe(n):
    return make_batch(seed=9, views=1, n=n)


def make_method(name="mixmatch", net=plain, **options):
    method = METHODS[name](Task(net, 30, K, 2, probe=ProbeSet(probe, list)), **options)
    method.progress = 1.0
    return method


def naive(net, batch, w, alpha, tau):
    """Return the loss row by row and class by class, for a network without normalisation."""
    views = [softmax(net(x), 1) for x in batch.views]
    guess = []
    for b in range(len(batch.y)):
        mean = [sum(p[b][k].item() for p in views) / len(views) for k in range(K)]
        sharp = [m ** (1 / tau) for m in mean]
        guess.append([s / sum(sharp) for s in sharp])
    trusted = probe(len(batch.y))
    rows = [*trusted.x, *batch.views[0], *batch.views[1]]
    targets = [[float(k == y) for k in range(K)] for y in trusted.y.tolist()] + guess + guess
    lam = [max(share, 1 - share) for share in sample_beta(alpha, (len(rows),), batch.x).tolist()]
    partner = torch.randperm(len(rows)).tolist()
    labelled = squares = 0.0
    for r, row in enumerate(rows):
        j = partner[r]
        p = softmax(net((lam[r] * row + (1 - lam[r]) * rows[j])[None])[0], 0)
        target = [lam[r] * targets[r][k] + (1 - lam[r]) * targets[j][k] for k in range(K)]
        if r < len(batch.y):
            labelled = labelled - sum(t * p[k].log() for k, t in enumerate(target)) / len(batch.y)
        else:
            squares = squares + sum((t - p[k]) ** 2 for k, t in enumerate(target)) / (
                2 * len(batch.y) * K
            )
    return labelled + w * squares


@pytest.mark.parametrize(
    ("w", "alpha", "tau"), [(75.0, 0.75, 0.5), (2.0, 0.2, 1.0), (0.0, 4.0, 0.5)]
)
def test_oracle(w, alpha, tau):
    """Loss and gradient equal those of the loop."""
    method, net, batch = make_method(w=w, beta=alpha, temperature=tau), plain(), make_batch()
    torch.manual_seed(3)
    expected = naive(net, batch, w, alpha, tau)
    expected.backward()
    torch.manual_seed(3)
    loss = method.loss(batch)
    loss.backward()

    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    assert torch.allclose(method.net[1].weight.grad, net[1].weight.grad, atol=1e-4)


@pytest.mark.parametrize("k", [0.0, 20.0])
def test_the_divergence_is_added(k):
    """MixMatch-KL adds k times the divergence, with a gradient for the second view only."""
    batch, options = make_batch(), {"w": 2.0, "beta": 0.5}
    mixmatch, with_kl, net = (
        make_method(**options),
        make_method("mixmatch_kl", k=k, **options),
        plain(),
    )
    extra = k * kl_divergence(*map(net, batch.views), detach=True).mean()
    extra.backward()
    losses = []
    for method in (mixmatch, with_kl):
        torch.manual_seed(3)
        losses.append(method.loss(batch))
        losses[-1].backward()

    assert losses[1].item() == pytest.approx((losses[0] + extra).item(), rel=1e-5)
    for total, without, penalty in zip(
        with_kl.parameters(), mixmatch.parameters(), net.parameters(), strict=True
    ):
        assert torch.allclose(total.grad, without.grad + penalty.grad, atol=1e-5)


def test_nothing_mixed_and_no_guesses_is_cross_entropy_on_the_trusted():
    """With w = 0 and lam = 1 the batch has no effect."""
    method = make_method(w=0.0, beta=0.0)
    trusted = probe(B)

    assert method.loss(make_batch()).item() == pytest.approx(
        cross_entropy(plain()(trusted.x), trusted.y).item(), rel=1e-6
    )


def test_squares_vanish_where_guess_and_prediction_agree():
    """At temperature 1 with equal, unmixed views the guess is the prediction."""
    batch = make_batch()
    same = replace(batch, views=(batch.x, batch.x))
    losses = [make_method(w=w, beta=0.0, temperature=1.0).loss(same).item() for w in (0.0, 1e4)]
    sure = make_method(w=1.0, beta=0.0, temperature=0.001).loss(batch) - make_method(
        w=0.0, beta=0.0
    ).loss(batch)

    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert 0 < sure.item() <= 2 / K


@pytest.mark.parametrize(
    ("progress", "share"), [(0.0, 0.0), (1 / 128, 0.5), (1 / 64, 1.0), (0.9, 1.0)]
)
def test_the_squares_come_in_slowly(progress, share):
    """The ramp is linear over a 64th of the training; without a ramp w applies at once."""

    def loss(**options):
        method = make_method(beta=0.0, **options)
        method.progress = progress
        return method.loss(make_batch()).item()

    bare = loss(w=0.0)
    assert loss() - bare == pytest.approx(share * (loss(ramp=0.0) - bare), rel=1e-4, abs=1e-6)


def test_woven():
    """The first rows of the blocks come first, and interleaving back restores the order."""
    rows = torch.arange(12)

    assert interleave(rows, 3).tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    assert torch.equal(rows, interleave(interleave(rows, 3), 4))


def test_normalisation_sees_mixtures_and_the_first_is_remembered():
    """Each of three batches has rows of all kinds; only the first moves the averages."""
    method, inputs = make_method(net=norm, w=1.0, beta=0.0), []
    method.net.register_forward_pre_hook(
        lambda _, args: inputs.append((args[0], torch.is_grad_enabled()))
    )
    batch = make_batch()
    method.loss(batch)
    reference = norm()
    reference[1].momentum = 1 - 16 / 25  # 15 steps have passed
    reference(inputs[2][0])

    assert [(len(x), grad) for x, grad in inputs] == [(B, False)] * 2 + [(B, True)] * 3
    rows = torch.cat([probe(B).x, *batch.views])
    assert torch.equal(torch.cat([x for x, _ in inputs[2:]]), interleave(rows, 3))
    for actual, expected in zip(method.net.buffers(), reference.buffers(), strict=True):
        assert torch.equal(actual, expected)


@pytest.mark.parametrize(
    ("progress", "options", "decay"),
    [
        (0.0, {}, 1 / 10),
        (1 / 15, {}, 2 / 11),  # one of 15 steps
        (1.0, {"norm_decay": 0.6}, 0.6),
        (1.0, {"norm_decay": 0.0}, 0.0),
    ],
)
@pytest.mark.parametrize("name", ["mixmatch", "mixmatch_kl"])
def test_running_averages_are_as_slow_as_those_of_weights(name, progress, options, decay):
    """Their decay is (1 + t) / (10 + t) after t steps, and no more than the option."""
    method, inputs = make_method(name, net=norm, **options), []
    method.progress = progress
    method.net[0].register_forward_hook(lambda layer, args, output: inputs.append(output))
    before = method.net[1].running_mean.uniform_(-1, 1).clone()
    method.loss(make_batch())
    expected = decay * before + (1 - decay) * inputs[2].mean((0, 2, 3))

    assert torch.allclose(method.net[1].running_mean, expected, atol=1e-6)


def test_the_averages_of_a_long_training_have_the_decay_of_the_code():
    """Once (1 + t) / (10 + t) is above it, it is 0.999."""
    method = METHODS["mixmatch"](Task(norm, 100_000, K, 2, probe=ProbeSet(probe, list)))
    method.progress = 0.5
    method.loss(make_batch())

    assert method.net[1].momentum == pytest.approx(0.001)


def test_rows_come_back_to_their_places():
    """The logits are in the order of the rows."""
    method = make_method()
    rows = torch.randn(3 * B, 3, 4, 4)

    assert torch.allclose(method.mixture_logits(rows), method.net(rows), atol=1e-6)


def test_given_labels_play_no_part():
    """Other labels give the same loss; the logged weight is the guess's share of the label."""
    method, batch = make_method(beta=0.0), make_batch()
    relabelled = replace(batch, y=(batch.y + 1) % K)
    torch.manual_seed(0)
    loss = method.loss(batch)
    weights = method.example_weights[:B].clone()
    torch.manual_seed(0)

    assert torch.equal(loss, method.loss(relabelled))
    third = replace(batch, y=(batch.y + 2) % K)
    shares = weights + method.example_weights[:B]
    method.loss(third)
    assert torch.allclose(shares + method.example_weights[:B], torch.ones(B))


def test_a_rank_takes_its_part_of_the_trusted(monkeypatch):
    """With two ranks the trusted rows of both are drawn together and divided."""
    sizes = []
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr("cnlw_tools.methods.mixmatch.world_size", lambda: 2)
    task = Task(plain, 30, K, 2, probe=ProbeSet(lambda n: (sizes.append(n), probe(n))[1], list))

    METHODS["mixmatch"](task).loss(make_batch())

    assert sizes == [2 * B]


def test_kernels_shrink_apart_from_the_gradient():
    """After a step kernels are multiplied by 1 - lr decay, and biases are not."""
    method = make_method(decay=0.02)
    method.optimiser = torch.optim.Adam(method.parameters(), lr=0.5)
    weight, bias = (p.detach().clone() for p in method.net[1].parameters())
    method.after_step()

    assert torch.allclose(method.net[1].weight, 0.99 * weight)
    assert torch.equal(method.net[1].bias, bias)
