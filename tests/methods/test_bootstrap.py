"""Tests of bootstrap: the formula by classes, the published numbers, and the gradient."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.bootstrap import prediction_losses


def naive(z, y, beta, kind):
    """Return -sum_k (beta Y_k + (1 - beta) guess_k) log p_k for one example."""
    p = z.softmax(0)
    guess = p if kind == "soft" else torch.eye(len(p))[p.argmax()]
    return -sum((beta * (k == y) + (1 - beta) * guess[k]) * p[k].log() for k in range(len(p)))


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("beta", [0, 0.3, 0.8, 1])
def test_oracle(on_logits, f3, kind, beta):
    """The loss is the mean of the formula over examples."""
    expected = sum(naive(z, y, beta, kind) for z, y in zip(f3.x, f3.y, strict=True)) / 3

    assert on_logits("bootstrap", kind=kind, beta=beta).loss(f3).item() == pytest.approx(
        expected.item(), abs=1e-6
    )


@pytest.mark.parametrize(
    ("kind", "expected", "mean"),
    [
        ("soft", [0.260846, 1.522639, 1.098612], 0.960699),
        ("hard", [0.239545, 1.351445, 1.098612], 0.896534),
    ],
)
def test_defaults(on_logits, f3, kind, expected, mean):
    """With the paper's beta, 0.95 and 0.8, the loss agrees with numbers worked out by hand."""
    method = on_logits("bootstrap", kind=kind)
    given_losses = cross_entropy(f3.x, f3.y, reduction="none")

    assert method.loss(f3).item() == pytest.approx(mean, abs=1e-6)
    assert torch.allclose(
        method.beta * given_losses + (1 - method.beta) * prediction_losses(f3.x, kind),
        torch.tensor(expected),
        atol=1e-6,
    )
    assert torch.allclose(method.example_losses, given_losses)


def test_soft_learns_through_its_guess(f3):
    """The gradient of the second term is that of the entropy, not 0 as for a constant target."""
    z = f3.x.requires_grad_()
    prediction_losses(z, "soft").sum().backward()

    expected = [[-0.335278, 0.167639, 0.167639], [0.122103, -0.244206, 0.122103], [0, 0, 0]]
    assert torch.allclose(z.grad, torch.tensor(expected), atol=1e-6)


def test_hard_takes_its_guess_for_a_label(f3):
    """The gradient of the second term is that of cross-entropy against the likeliest class."""
    z = f3.x[:2].clone().requires_grad_()
    prediction_losses(z, "hard").sum().backward()

    assert torch.allclose(z.grad, z.softmax(1) - torch.eye(3)[[0, 1]])


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_a_sure_network(kind):
    """A network that is certain has a second term of 0 and a finite gradient."""
    z = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    loss = prediction_losses(z, kind).sum()
    loss.backward()

    assert loss == 0
    assert z.grad.isfinite().all()
