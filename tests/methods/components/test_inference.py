"""Tests of predictions in evaluation mode."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.components.inference import (
    eval_mode,
    evaluate_batch,
    evaluate_dataset,
    predict_batches,
)


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_comes_back(toy, training):
    """The network returns to its former mode, also after an error; within there is no gradient."""
    net = toy.make("vanilla").net.train(training)

    with eval_mode(net):
        assert not net.training
        assert not torch.is_grad_enabled()
    with pytest.raises(KeyError), eval_mode(net):
        raise KeyError

    assert net.training == net.body[1].training == training
    assert torch.is_grad_enabled()


def test_a_set_is_judged_in_its_order(toy):
    """Losses and agreement of the batches equal those of all examples at once."""
    net = toy.make("vanilla", dropout=0.5).net
    state = {name: value.clone() for name, value in net.state_dict().items()}
    losses, agrees = evaluate_dataset(net, toy.train_batches)
    z = net.eval()(toy.x)

    assert torch.allclose(losses, cross_entropy(z, toy.y, reduction="none"), atol=1e-5)
    assert torch.equal(agrees, z.argmax(1) == toy.y)
    assert torch.equal(evaluate_batch(net, toy.batch(torch.tensor([9, 4])))[1], agrees[[9, 4]])
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
def test_as_for_validation(toy, training):
    """Predictions use running averages and no dropout, and the network does not change."""
    net = toy.make("vanilla", dropout=0.5).net.train(training)
    predictions = list(predict_batches(net, toy.train_batches))
    state = net.training
    net.eval()

    assert state == training
    assert len(predictions) == 4
    for batch, z in predictions:
        assert torch.equal(z, net(batch.x))
        assert not z.requires_grad


def test_left_as_it_was_when_the_set_is_not_read_to_its_end(toy):
    """The network is in training mode even if only one batch was read."""
    net = toy.make("vanilla").net
    predictions = predict_batches(net, toy.train_batches)
    next(predictions)
    predictions.close()

    assert net.training
