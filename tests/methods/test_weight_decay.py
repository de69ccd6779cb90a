"""Tests of weight decay: which parameters decay, and how much."""

import pytest
import torch


@pytest.mark.parametrize("decay", [0, 0.1])
def test_loss(on_logits, f3, decay):
    """The loss is cross-entropy for any decay, which the optimiser adds."""
    assert on_logits("weight_decay", decay=decay).loss(f3).item() == pytest.approx(
        0.963201, abs=1e-6
    )


@pytest.mark.parametrize("decays_all", [False, True])
def test_what_decays(toy, decays_all):
    """A step without a gradient multiplies kernels, or all if asked for, by 1 - lr decay."""
    method = toy.make("weight_decay", decay=0.01, every=decays_all)
    initial_values = {key: p.detach().clone() for key, p in method.named_parameters()}
    for p in method.parameters():
        p.grad = torch.zeros_like(p)
    torch.optim.SGD(method.param_groups(), lr=0.5, weight_decay=9.0).step()

    for key, p in method.named_parameters():
        assert torch.allclose(
            p, initial_values[key] * (1 - 0.5 * 0.01 * (decays_all or p.dim() > 1))
        ), key
    assert {p.dim() for p in method.param_groups()[0]["params"]} == {2, 4}
