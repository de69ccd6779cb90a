"""Tests of the frequencies of given labels by predicted class, against a loop over examples."""

import pytest
import torch
from torch import nn

from cnlw_tools.methods import Batch
from cnlw_tools.methods.components.confusion import label_frequencies


def batches():
    """Yield seven examples in parts, with logits as images."""
    z = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0, 0, -9.0])
    y = torch.tensor([0, 1, 2, 0, 0, 1, 1])
    return [Batch(rows, (z[rows],), y[rows]) for rows in torch.arange(7).split(3)]


def naive(kind):
    count = [[0.0] * 3 for _ in range(3)]
    for batch in batches():
        for z, y in zip(batch.x, batch.y.tolist(), strict=True):
            p = z.softmax(0).tolist()
            for i in range(3):
                count[i][y] += p[i] if kind == "soft" else float(i == p.index(max(p)))
    return torch.tensor([[c / max(sum(row), 1e-8) for c in row] for row in count])


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_oracle(kind):
    """Examples count for their likeliest class, or for every class by its probability."""
    actual = label_frequencies(nn.Identity(), batches, 3, kind)

    assert torch.allclose(actual, naive(kind), atol=1e-6)
    assert torch.allclose(actual[:2].sum(1), torch.ones(2))


def test_a_class_never_seen():
    """A class that is never predicted has a row of zeros."""
    assert label_frequencies(nn.Identity(), batches, 3, "hard")[2].tolist() == [0, 0, 0]


def test_looks_as_validation_does():
    """Predictions are in evaluation mode; the network keeps its state and training mode."""
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.9), nn.Linear(3, 3))
    initial_state = {key: value.clone() for key, value in net.state_dict().items()}

    first, second = (
        label_frequencies(net, batches, 3, "soft"),
        label_frequencies(net, batches, 3, "soft"),
    )

    assert torch.equal(first, second)
    assert net.training
    assert not first.requires_grad
    assert all(torch.equal(value, initial_state[key]) for key, value in net.state_dict().items())
