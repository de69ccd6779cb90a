"""Tests of H_alpha: its sum over labels, label smoothing, its minimum, and its effect on phases."""

import pytest
import torch
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods import METHODS, Phase, Task
from cnlw_tools.methods.h_alpha import h_alpha


@pytest.mark.parametrize("alpha", [0, 0.5, 1, 20])
def test_it_is_the_mean_over_dilution(f3, alpha):
    """It is the mean loss of one correct label and alpha uniform ones, and so is its gradient."""
    z = f3.x.requires_grad_()
    right = cross_entropy(z, f3.y)
    uniform_loss = sum(cross_entropy(z, torch.full((3,), k)) for k in range(3)) / 3
    (expected,) = torch.autograd.grad((right + alpha * uniform_loss) / (1 + alpha), z)
    losses, plain = h_alpha(log_softmax(z, 1), f3.y, alpha)

    assert torch.allclose(losses.mean(), (right + alpha * uniform_loss) / (1 + alpha))
    assert torch.allclose(torch.autograd.grad(losses.mean(), z)[0], expected)
    assert torch.allclose(plain, cross_entropy(z, f3.y, reduction="none"))


@pytest.mark.parametrize(
    ("alpha", "expected", "mean"),
    [
        (0, [0.239545, 1.551445, 1.098612], 0.963201),
        (1, [0.906211, 1.384778, 1.098612], 1.129867),
        (20, [1.509386, 1.233984, 1.098612], 1.280661),
    ],
)
def test_fixture(on_logits, f3, alpha, expected, mean):
    """The losses agree with numbers worked out by hand, and with label smoothing."""
    losses, _ = h_alpha(log_softmax(f3.x, 1), f3.y, alpha)

    assert torch.allclose(losses, torch.tensor(expected), atol=1e-6)
    assert on_logits("h_alpha", alpha=alpha).loss(f3).item() == pytest.approx(mean, abs=1e-6)
    assert torch.allclose(
        losses.mean(), cross_entropy(f3.x, f3.y, label_smoothing=alpha / (1 + alpha))
    )


@pytest.mark.parametrize(
    ("alpha", "floor", "top"), [(1, 0.867563, 0.666667), (20, 1.096378, 0.365079)]
)
def test_least_value(alpha, floor, top):
    """At the minimum the true class has the probability (1 + alpha / K) / (1 + alpha)."""
    p = torch.tensor([[top, (1 - top) / 2, (1 - top) / 2]])
    y = torch.tensor([0])
    least, _ = h_alpha(p.log(), y, alpha)
    nearby = [
        h_alpha(log_softmax(p.log() + 0.1 * torch.randn(1, 3), 1), y, alpha)[0] for _ in range(50)
    ]

    assert top == pytest.approx((1 + alpha / 3) / (1 + alpha), abs=1e-6)
    assert least.item() == pytest.approx(floor, abs=1e-5)
    assert least <= min(nearby) + 1e-6


def test_phases():
    """Steps are smaller or batches larger by 1 + alpha, or neither."""
    phases = {
        scale: METHODS["h_alpha"](Task(torch.nn.Identity, 9, 3, 5), alpha=3, scale=scale).phases()
        for scale in ("none", "lr", "batch")
    }

    assert phases == {
        "none": [Phase(5)],
        "lr": [Phase(5, lr_factor=0.25)],
        "batch": [Phase(5, batch_size_factor=4)],
    }
