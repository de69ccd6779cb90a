"""What a network says of a set."""

import pytest
import torch

from cnlw_tools.methods.predictions import predictions


@pytest.mark.parametrize("training", [True, False])
def test_as_for_validation(toy, training):
    """Running averages, no dropout, no gradient; and the network is left as it was."""
    net = toy.make("vanilla", dropout=0.5).net.train(training)
    found = list(predictions(net, toy.sweep))
    state = net.training
    net.eval()

    assert state == training
    assert len(found) == 4
    for batch, z in found:
        assert torch.equal(z, net(batch.x))
        assert not z.requires_grad


def test_left_as_it_was_when_the_set_is_not_read_to_its_end(toy):
    """In training mode, though only one batch was looked at."""
    net = toy.make("vanilla").net
    some = predictions(net, toy.sweep)
    next(some)
    some.close()

    assert net.training
