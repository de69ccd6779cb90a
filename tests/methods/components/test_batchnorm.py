"""Tests of batch normalisation in forward passes that no optimiser step follows."""

import pytest
import torch
from torch import nn

from cnlw_tools.methods.components.batchnorm import batch_statistics


@pytest.fixture
def net():
    """Return a network with two normalisations: with running averages, and without any."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.BatchNorm1d(3), nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False)
    )


def test_a_pass_normalises_by_its_batch_and_leaves_no_trace(net):
    """The outputs are those of a training pass, and the state of the network does not change."""
    x = torch.randn(8, 3) * 5 + 2
    initial_state = {name: value.clone() for name, value in net.state_dict().items()}

    with batch_statistics(net):
        actual = net(x)

    for name, value in net.state_dict().items():
        assert torch.equal(value, initial_state[name]), name
    torch.testing.assert_close(actual, net(x))


def test_the_running_averages_move_again_afterwards(net):
    """They move even if the pass failed; a layer without running averages gets none."""
    with pytest.raises(RuntimeError), batch_statistics(net):
        net(torch.zeros(8, 4))
    initial_mean = net[0].running_mean.clone()

    net.train()(torch.randn(8, 3) + 2)

    assert not torch.equal(initial_mean, net[0].running_mean)
    assert net[2].running_mean is None
