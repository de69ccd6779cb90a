"""Tests of mixup: the loss as a loop with the same draws, and one lam per batch or example."""

import pytest
import torch
from torch.nn.functional import log_softmax

from cnlw_tools.methods import Batch
from cnlw_tools.methods.components.mixing import sample_beta


@pytest.mark.parametrize("per", ["batch", "example"])
def test_oracle(toy, per):
    """Image and label of each example are mixed with those of one partner, by the same lam."""
    method = toy.make("mixup", alpha=0.7, per=per)
    batch = toy.first_batch(method, 9)
    torch.manual_seed(5)
    lam = sample_beta(0.7, () if per == "batch" else (9,), batch.x).expand(9)
    partner = torch.randperm(9).tolist()

    images, targets = torch.empty_like(batch.x), torch.zeros(9, 4)
    for i, j in enumerate(partner):
        images[i] = lam[i] * batch.x[i] + (1 - lam[i]) * batch.x[j]
        targets[i, batch.y[i]] += lam[i]
        targets[i, batch.y[j]] += 1 - lam[i]
    log_p = log_softmax(method.net(images), 1)
    torch.manual_seed(5)
    loss = method.loss(batch)

    assert loss.item() == pytest.approx(-(targets * log_p).sum(1).mean().item(), abs=1e-6)
    assert torch.allclose(targets.sum(1), torch.ones(9))
    assert torch.allclose(method.example_losses[:9], -log_p[torch.arange(9), batch.y], atol=1e-6)
    assert (len(set(lam.tolist())) == 1) == (per == "batch")


def test_alone(toy):
    """A single example is its own partner, so the loss is cross-entropy."""
    method = toy.make("mixup")
    example = Batch(torch.tensor([3]), (toy.x[3:4],), toy.y[3:4])

    assert method.loss(example).item() == pytest.approx(
        -log_softmax(method.net(example.x), 1)[0, example.y].item(), abs=1e-5
    )
