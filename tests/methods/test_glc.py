"""Tests of GLC: the estimated matrix, and learning from both sets."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cnlw_tools.methods import METHODS, Batch, Phase, ProbeSet, Task

THETA = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])


class Linear(nn.Module):
    """A network whose logits are its input."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 3, bias=False)
        nn.init.eye_(self.head.weight)

    def forward(self, x):
        return self.head(x)


def make_method(gold, n=3, epochs=4):
    """Return a method on a network whose logits are its input, in the second phase."""
    task = Task(Linear, n, 3, epochs, probe=ProbeSet(lambda n: gold, lambda: [gold]))
    method = METHODS["glc"](task)
    method.progress = 0.5
    return method


@pytest.fixture
def gold():
    """Return five trusted examples of three classes."""
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    return Batch(torch.arange(5), (z,), torch.tensor([0, 1, 2, 2, 1]))


def test_the_matrix_is_the_mean_prediction_of_each_class(gold):
    """Row i is the mean over trusted images of class i, and sums to 1."""
    method = make_method(gold)
    method.begin_phase(1, lambda: [])
    for i in range(3):
        of_class = [row.softmax(0) for row, k in zip(gold.x, gold.y, strict=True) if k == i]

        assert torch.allclose(method.c[i], torch.stack(of_class).mean(0), atol=1e-6)
    assert torch.allclose(method.c.sum(1), torch.ones(3))


def test_a_perfect_network_corrects_nothing(f3):
    """On clean labels C is the identity, and the noisy loss is cross-entropy."""
    y = torch.tensor([0, 1, 2, 1])
    method = make_method(Batch(torch.arange(4), (200 * torch.eye(3)[y],), y))
    method.begin_phase(1, lambda: [])

    assert torch.equal(method.c, torch.eye(3))
    assert method.loss(f3).item() == pytest.approx(
        3 / 7 * 0.963201, abs=1e-6
    )  # trusted ones cost nothing


def test_loss(f3, gold):
    """The forward-corrected loss and the trusted loss are weighted by the sizes of the two sets."""
    method = make_method(gold, n=30)
    method.c.copy_(THETA)
    trusted = cross_entropy(gold.x, gold.y).item()

    assert method.loss(f3).item() == pytest.approx((30 * 0.998836 + 5 * trusted) / 35, abs=1e-6)
    assert torch.allclose(
        method.example_losses[:3], torch.tensor([0.239545, 1.551445, 1.098612]), atol=1e-6
    )


def test_the_noisy_part_is_forward_correction(f3, gold, on_logits):
    """The noisy loss equals forward correction with T = C."""
    method = make_method(gold)
    method.c.copy_(THETA)
    forward = on_logits("forward", q=THETA.T.tolist()).loss(f3).item()

    assert method.loss(f3).item() == pytest.approx(
        (3 * forward + 5 * cross_entropy(gold.x, gold.y).item()) / 8
    )


def test_the_first_training_is_vanilla(toy):
    """The first phase is cross-entropy on noisy labels, to the last bit."""
    method = toy.make("glc")
    batch = toy.first_batch(method)

    assert (
        method.loss(batch) == cross_entropy(method.net(batch.x), batch.y, reduction="none").mean()
    )


def test_trusted_examples_have_statistics_of_their_own(toy, monkeypatch):
    """Noisy and trusted examples pass apart, in this order, and the running averages follow both."""
    method, drawn = toy.make("glc"), []
    method.progress = 0.9
    method.c.copy_(torch.full((4, 4), 0.1).fill_diagonal_(0.7))
    draw = toy.probe
    method.task = replace(
        method.task, probe=ProbeSet(lambda n: drawn.append(draw(n)) or drawn[-1], toy.trusted)
    )
    batch = toy.first_batch(method, 96)
    net = deepcopy(method.net)
    loss = method.loss(batch)
    noisy, trusted = net(batch.x).softmax(1), net(drawn[0].x)
    n, m = method.task.n_examples, method.m
    nll = -(noisy @ method.c)[range(96), batch.y].log().mean()

    assert loss.item() == pytest.approx(
        ((n * nll + m * cross_entropy(trusted, drawn[0].y)) / (n + m)).item(), rel=1e-5
    )
    for ours, expected in zip(method.net.buffers(), net.buffers(), strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize(("rows", "count"), [(32, 3), (96, 10), (1, 1)])
def test_draws_as_many_as_their_share(toy, monkeypatch, rows, count):
    """The number drawn is in proportion to 20 trusted and 192 noisy examples, and at least one."""
    method, sizes = toy.make("glc"), []
    method.progress = 0.9
    monkeypatch.setattr(toy, "probe", lambda n: sizes.append(n) or Toy.probe(toy, n))
    Toy = type(toy)
    method.task = replace(method.task, probe=ProbeSet(toy.probe, toy.trusted))
    method.loss(toy.first_batch(method, rows))

    assert sizes == [count]


@pytest.mark.parametrize(
    ("first", "epochs", "phases"),
    [
        (0.5, 6, [Phase(3), Phase(3, restart="init")]),
        (0.99, 3, [Phase(2), Phase(1, restart="init")]),
        (0.5, 1, [Phase(1)]),
    ],
)
def test_phases(gold, first, epochs, phases):
    """The second of two phases restarts from the initial weights; one epoch has one phase."""
    task = Task(Linear, 3, 3, epochs, probe=ProbeSet(lambda n: gold, lambda: [gold]))

    assert METHODS["glc"](task, first=first).phases() == phases


def test_a_class_without_trusted_images(gold):
    """Is named at once: nothing tells what became of it."""
    two_classes = Batch(gold.index[:2], (gold.x[:2],), gold.y[:2])

    with pytest.raises(
        ValueError, match=r"GLC needs trusted images of every class, but there are none of \[2\]"
    ):
        make_method(two_classes)


def test_finds_the_noise(toy):
    """With a third of the labels spread evenly, C is closer to that than I after phase 1."""
    method = toy.make("glc", epochs=6)
    for epoch in toy.epochs(method):
        if epoch == 3:
            break
    noise = torch.full((4, 4), 1 / 9).fill_diagonal_(2 / 3)

    assert (method.c - noise).norm() < 0.7 * (torch.eye(4) - noise).norm()
