"""Tests of vanilla: cross-entropy worked out by hand."""

import pytest
import torch


def test_fixture(on_logits, f3):
    """Losses, their mean and the gradient (p - Y) / B agree with numbers worked out by hand."""
    method = on_logits("vanilla")
    z = f3.x.requires_grad_()
    loss = method.loss(f3)
    loss.backward()

    assert loss.item() == pytest.approx(0.963201, abs=1e-6)
    assert torch.allclose(
        method.example_losses, torch.tensor([0.239545, 1.551445, 1.098612]), atol=1e-6
    )
    assert method.example_weights.tolist() == [1, 1, 1]
    assert torch.allclose(z.grad, (z.softmax(1) - torch.eye(3)[f3.y]) / 3)
