"""Tests of the transition matrix estimated from the most typical images."""

import numpy as np
import pytest
import torch

from cnlw_tools.methods.components.anchor_points import anchor_predictions, estimate_transition


@pytest.mark.parametrize("n", [101, 60])  # 0.97 of 59 is no whole rank
@pytest.mark.parametrize("percentile", [1.0, 0.97, 0.5])
def test_oracle(percentile, n):
    """As the authors' code: what is at numpy's percentile, rounded up, or above it, becomes 0; then the largest."""
    p = torch.randn(n, 4, generator=torch.Generator().manual_seed(0)).double().softmax(1)
    for i, row in enumerate(anchor_predictions(p, percentile)):
        column = p[:, i].numpy().copy()
        if percentile < 1:
            column[column >= np.percentile(column, 100 * percentile, method="higher")] = 0

        assert torch.equal(row, p[np.argmax(column)])


def test_the_anchor_is_one_rank_below_the_percentile():
    """Of 101 images the 97th percentile is that at rank 97, and the anchor the one at rank 96."""
    p = torch.linspace(0.001, 0.4, 101, dtype=torch.float64)[:, None].repeat(1, 2)

    assert torch.equal(anchor_predictions(p, 0.97)[0], p[96])
    assert torch.equal(anchor_predictions(p, 1.0)[0], p[100])


def test_ties():
    """Of equally likely images the first is the anchor."""
    p = torch.tensor([[0.2, 0.8], [0.9, 0.1], [0.9, 0.1000001]])

    assert torch.equal(anchor_predictions(p, 1.0), p[[1, 0]])


def test_one_image():
    """A single image is the anchor of every class."""
    assert torch.equal(
        anchor_predictions(torch.tensor([[0.2, 0.8]]), 0.97), torch.tensor([[0.2, 0.8], [0.2, 0.8]])
    )


def test_of_a_network(toy):
    """Rows are predictions in evaluation mode and sum to 1; the network keeps its training mode."""
    net = toy.make("vanilla", dropout=0.5).net
    t = estimate_transition(net, toy.train_batches)
    training = net.training
    p = net.eval()(toy.x).softmax(1)

    assert training
    assert torch.allclose(t, p[p.argmax(0)], atol=1e-6)
    assert torch.allclose(t.sum(1), torch.ones(4))
