"""A look as in validation."""

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
    """Whatever it was, also after an error; in between there is no gradient."""
    net = toy.make("vanilla").net.train(training)

    with eval_mode(net):
        assert not net.training
        assert not torch.is_grad_enabled()
    with pytest.raises(KeyError), eval_mode(net):
        raise KeyError

    assert net.training == net.body[1].training == training
    assert torch.is_grad_enabled()


def test_a_set_is_judged_in_its_order(toy):
    """Losses and agreement are those of one look at all, and nothing in the network moves."""
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
    """Running averages, no dropout, no gradient; and the network is left as it was."""
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
    """In training mode, though only one batch was looked at."""
    net = toy.make("vanilla").net
    predictions = predict_batches(net, toy.train_batches)
    next(predictions)
    predictions.close()

    assert net.training
