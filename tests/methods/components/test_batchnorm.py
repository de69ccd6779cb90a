"""Tests of what batch normalisation keeps, and of passes that leave it as it is."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from cnlw_tools.methods.components.batchnorm import batch_statistics, uncounted_batches


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


def test_batches_are_not_counted(net):
    """Outputs and running averages are those of passes that count; the counters stay."""
    twin, x = deepcopy(net), torch.randn(8, 3)
    for _ in range(2):
        expected = net(x)
        with uncounted_batches(twin):
            actual = twin(x)

    assert torch.equal(expected, actual)
    for name, value in net.state_dict().items():
        is_counter = name.endswith("num_batches_tracked")
        assert torch.equal(twin.state_dict()[name], value) != is_counter, name


def test_a_layer_that_reads_its_counter_counts():
    """Without momentum the running averages are means over all batches."""
    layer = nn.BatchNorm1d(3, momentum=None)
    batches = [torch.randn(8, 3), torch.randn(8, 3)]
    for x in batches:
        with uncounted_batches(layer):
            layer(x)

    torch.testing.assert_close(layer.running_mean, torch.cat(batches).mean(0))
