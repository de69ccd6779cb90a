"""Tests of the S-Model: the sum over true classes, the start of the layer, and predictions."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cnlw_tools.methods import Batch, Phase, Task
from cnlw_tools.methods.components.confusion import label_frequencies
from cnlw_tools.methods.s_model import SModel

THETA = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])


def with_layer(method, b):
    """Return a method after its warm-up, with this layer."""
    with torch.no_grad():
        method.b.copy_(b)
        method.beta.fill_(method.beta_after_warmup)
    return method


def naive(method, batch):
    """Return -log sum_i p(i) theta_b[i, y], entry by entry."""
    total = 0.0
    for x, y in zip(batch.x, batch.y.tolist(), strict=True):
        h = method.net.features(x[None])[0]
        p = method.net.head(h).softmax(0)
        noisy = 0.0
        for i in range(len(p)):
            row = method.b[i].clone()
            if method.u is not None:
                row = row + torch.stack([h @ method.u[:, i * len(p) + j] for j in range(len(p))])
            noisy = noisy + p[i] * row.softmax(0)[y]
        total = total - (1 - method.beta) * noisy.log() - method.beta * p[y].log()
    return total / len(batch.y)


def test_fixture(on_logits, f3):
    """The probability of each label behind the layer agrees with numbers worked out by hand."""
    method = with_layer(on_logits("s_model"), THETA.log())
    log_likelihoods = torch.logsumexp(f3.x.log_softmax(1) + method.log_theta(f3.x, f3.y), 1)

    assert torch.allclose(-log_likelihoods, torch.tensor([0.413183, 1.580021, 1.003302]), atol=1e-6)
    assert method.loss(f3).item() == pytest.approx(0.998836, abs=1e-6)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("beta", [0, 0.4])
def test_oracle(any_toy, complex, beta):
    """Simple and complex layers equal the double sum, with and without a share of cross-entropy."""
    torch.manual_seed(0)
    method = with_layer(
        any_toy.make("s_model", complex=complex, beta=beta), torch.randn(4, 4)
    ).eval()
    if complex:
        torch.nn.init.normal_(method.u, std=0.1)
    batch = any_toy.first_batch(method, 5)

    assert method.loss(batch).item() == pytest.approx(naive(method, batch).item(), abs=1e-5)


def test_complex_begins_as_simple(toy):
    """With u = 0 the complex layer equals the simple one."""
    losses = [
        with_layer(toy.make("s_model", complex=c), torch.eye(4)).loss(toy.batch(torch.arange(8)))
        for c in (False, True)
    ]

    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-6)


def test_a_sure_layer_is_none(on_logits, f3):
    """If b says that labels are never wrong, the loss is cross-entropy."""
    method = with_layer(on_logits("s_model"), 1e4 * torch.eye(3))

    assert method.loss(f3).item() == pytest.approx(0.963201, abs=1e-6)


def test_warms_up_without_the_layer(toy):
    """In the warm-up the loss equals cross-entropy to the last bit, and the layer does not move."""
    method = toy.make("s_model", epochs=6, warmup=2)
    batch = toy.first_batch(method)
    loss = method.loss(batch)
    loss.backward()

    assert method.phases() == [Phase(2), Phase(4)]
    assert loss == cross_entropy(method.net(batch.x), batch.y, reduction="none").mean()
    assert not method.b.grad.any()


@pytest.mark.parametrize("fit", ["hard", "soft"])
def test_the_layer_begins_with_what_the_network_confuses(toy, fit):
    """softmax(b) is the confusion of the network; a class never predicted gets a uniform row."""
    method = toy.make("s_model", fit=fit, beta=0.25)
    with torch.no_grad():
        method.net.head.bias[3] = -1e3
    method.begin_phase(1, toy.train_batches)
    expected = label_frequencies(method.net, toy.train_batches, 4, fit)
    if fit == "hard":
        expected[3] = 0.25

    assert torch.allclose(
        method.b.softmax(1)[: 4 if fit == "hard" else 3], expected[: 4 if fit == "hard" else 3]
    )
    assert method.beta == 0.25


@pytest.mark.parametrize(
    ("warmup", "epochs", "phases"),
    [(0.1, 1, [1]), (0.1, 20, [2, 18]), (0.99, 5, [4, 1])],
)
def test_phases(on_logits, warmup, epochs, phases):
    """The warm-up is a share or a number of epochs, and no phase is empty."""
    assert on_logits("s_model", epochs, warmup=warmup).phases() == [Phase(n) for n in phases]


def test_predicts_without_the_layer(toy):
    """Predictions are those of the network, whatever the layer."""
    method = with_layer(toy.make("s_model"), 9 * torch.eye(4).roll(1, 1)).eval()

    assert torch.equal(method.predict(toy.x), method.net(toy.x))


def test_the_simple_layer_needs_predictions_alone():
    """Any network will do, and the loss is that of one with features."""
    torch.manual_seed(0)
    method = with_layer(SModel(Task(lambda: nn.Linear(4, 3), 5, 3, 1), beta=0.2), THETA.log())
    x, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    p = method.net(x).softmax(1)
    noisy = (p[:, :, None] * THETA).sum(1)
    expected = -0.8 * noisy[range(5), y].log() - 0.2 * p[range(5), y].log()

    loss = method.loss(Batch(torch.arange(5), (x,), y))
    assert loss.item() == pytest.approx(expected.mean().item(), abs=1e-6)


def test_the_complex_layer_needs_features():
    """The error tells which parts are missing, and that the simple layer needs none."""
    with pytest.raises(
        ValueError, match=r"no features and no dropout and no head: use complex = false"
    ):
        SModel(Task(lambda: nn.Linear(4, 3), 5, 3, 1), complex=True)


def test_the_layer_does_not_decay(toy):
    """Weight decay applies to the network only."""
    network, layer = toy.make("s_model", complex=True).param_groups()

    assert "weight_decay" not in network
    assert layer["weight_decay"] == 0
    assert [tuple(p.shape) for p in layer["params"]] == [(4, 4), (144, 16)]
