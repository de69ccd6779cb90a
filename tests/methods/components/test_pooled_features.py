"""Tests of extracting the pooled features of a set of images."""

import pytest
import torch
from torch import nn

from cnlw_tools.methods.components.pooled_features import extract_features, require_features


def test_features_are_those_of_validation(toy):
    """Features are those of evaluation mode, in order; the network keeps state and mode."""
    net = toy.make("vanilla", dropout=0.5).net
    running = net.body[1].running_mean.clone()

    f, y = extract_features(net, toy.train_batches)

    assert net.training
    assert torch.equal(running, net.body[1].running_mean)
    net.eval()
    assert torch.allclose(f, net.features(toy.x), atol=1e-5)
    assert not f.requires_grad
    assert torch.equal(y, toy.y)


def test_a_network_without_features_is_refused():
    """The error tells which networks have features."""
    with pytest.raises(
        ValueError,
        match=r"CleanNet needs a network with a method features\(x\) .* `cnlw list nets`",
    ):
        require_features(nn.Linear(2, 2), "CleanNet")
