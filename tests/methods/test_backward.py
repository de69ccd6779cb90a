"""Tests of backward correction: no bias, a matrix with an inverse, and a lower bound."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.components import distributed

THETA = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])  # T: rows sum to 1


def make_method(on_logits):
    return on_logits("backward", q=THETA.T.tolist())


def test_fixture(on_logits, f3):
    """The losses, which may be negative, agree with numbers worked out by hand."""
    method = make_method(on_logits)
    inverse = torch.tensor(
        [[1.314286, -0.114286, -0.2], [-0.114286, 1.314286, -0.2], [-0.4, -0.4, 1.8]]
    )
    losses = method.corrected_losses(f3.x.log_softmax(1), f3.y)

    assert torch.allclose(method.loss_matrix, inverse, atol=1e-6)
    assert torch.allclose(losses, torch.tensor([-0.389027, 1.951445, 1.098612]), atol=1e-6)
    assert method.loss(f3).item() == pytest.approx(0.88701, abs=1e-6)


def test_its_matrix_reaches_all_ranks(on_logits, monkeypatch):
    """It lies in columns, which NCCL refuses and gloo would read as rows: it is sent as rows."""
    method = make_method(on_logits)
    buffers = [b for name, b in method.named_buffers() if name == "loss_matrix"]
    expected = torch.arange(9.0).view(3, 3)

    def receive(tensor, rank):
        assert tensor.is_contiguous()
        tensor.copy_(expected)

    monkeypatch.setattr(distributed, "is_distributed", lambda: True)
    monkeypatch.setattr(distributed.dist, "broadcast", receive)
    distributed.broadcast_from_rank_zero(buffers)

    assert not method.loss_matrix.is_contiguous()
    assert torch.equal(method.loss_matrix, expected)


def test_oracle(on_logits):
    """The loss is sum_j T^-1[y, j] (-log p[j]), entry by entry."""
    z, y = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 3
    method, log_p = make_method(on_logits), z.log_softmax(1)
    inverse = torch.linalg.inv(THETA)
    expected = [
        -sum(inverse[k, j] * row[j] for j in range(3)) for row, k in zip(log_p, y, strict=True)
    ]

    assert torch.allclose(method.corrected_losses(log_p, y), torch.stack(expected), atol=1e-6)


def test_unbiased(on_logits):
    """The mean over the labels that a class is given is its cross-entropy, for every prediction."""
    z = 3 * torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    method, log_p = make_method(on_logits), z.log_softmax(1)
    losses = torch.stack(
        [method.corrected_losses(log_p, torch.full((20,), j)) for j in range(3)]
    )  # (given, 20)
    for i in range(3):
        expected = cross_entropy(z, torch.full((20,), i), reduction="none")

        assert torch.allclose(THETA[i] @ losses, expected, atol=1e-5)


def test_has_a_floor(on_logits):
    """No loss is below that of p = 1e-7, and clipped entries have no gradient."""
    z = torch.tensor([[60.0, 0, 0]], requires_grad=True)
    loss = make_method(on_logits).corrected_losses(z.log_softmax(1), torch.tensor([0])).sum()
    loss.backward()

    assert loss.item() == pytest.approx((-0.114286 - 0.2) * 16.118096, rel=1e-4)
    assert not z.grad.any()


@pytest.mark.parametrize("q", ["pairflip:0.5", "symmetric:0.75", "outlier:0"])
def test_no_inverse(toy, q):
    """A matrix without an inverse is refused, and the error gives a remedy."""
    with pytest.raises(
        ValueError, match=r"Backward needs a matrix q that has an inverse, .* use forward"
    ):
        toy.make("backward", q=q)
