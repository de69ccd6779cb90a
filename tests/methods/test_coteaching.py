"""Tests of Co-teaching: which network selects for which, and how many examples are dropped."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods import METHODS
from cnlw_tools.methods.components.weighting_rules import mask_of_smallest
from cnlw_tools.methods.coteaching import dropped_share
from tests.methods.conftest import Net


def choice(method, batch, count):
    """Return what each network would select, by sorted lists."""
    choices = []
    for net in (method.net, method.other_net):
        losses = cross_entropy(net(batch.x), batch.y, reduction="none").tolist()
        choices.append((losses, sorted(range(len(losses)), key=losses.__getitem__)[:count]))
    return choices


def apart(toy, **options):
    """Return a method whose networks differ, after the rise of R."""
    method = toy.make("coteaching", **options)
    torch.manual_seed(5)
    torch.nn.init.normal_(method.other_net.head.weight)
    method.progress = 0.99
    return method


def test_schedule():
    """R rises linearly from 0 to the noise rate and then stays there, as in the authors' table."""
    expected = [
        0,
        0.055556,
        0.111111,
        0.166667,
        0.222222,
        0.277778,
        0.333333,
        0.388889,
        0.444444,
        0.5,
        0.5,
    ]

    assert [dropped_share(e, 0.5, 10) for e in range(11)] == pytest.approx(expected, abs=1e-6)
    assert [dropped_share(e, 0.5, 3, exponent=2) for e in range(4)] == [0, 0.125, 0.25, 0.5]
    assert [dropped_share(e, 0.5, 1) for e in range(2)] == [0, 0.5]
    assert dropped_share(0, 0.5, 0) == 0.5


def test_fixture():
    """Each network selects its two easiest of four examples, and the other one learns them."""
    assert mask_of_smallest(torch.tensor([0.1, 2, 0.3, 1]), 2).tolist() == [1, 0, 1, 0]
    assert mask_of_smallest(torch.tensor([1, 0.2, 0.9, 0.1]), 2).tolist() == [0, 1, 0, 1]


def test_ties():
    """Of equal losses the earlier ones are selected, and never too many."""
    assert mask_of_smallest(torch.ones(5), 3).tolist() == [1, 1, 1, 0, 0]


def test_oracle(toy):
    """The loss is each network's mean over the other's selection; the logs are means."""
    method = apart(toy)
    batch = toy.first_batch(method, 30)
    (losses, by_one), (other_losses, by_two) = choice(method, batch, 20)  # a third is dropped
    expected = sum(losses[i] for i in by_two) / 20 + sum(other_losses[i] for i in by_one) / 20

    assert by_one != by_two
    assert method.loss(batch).item() == pytest.approx(expected, rel=1e-5)
    for i in range(30):
        assert method.example_losses[i].item() == pytest.approx(
            (losses[i] + other_losses[i]) / 2, rel=1e-4
        )
        assert method.example_weights[i] == ((i in by_one) + (i in by_two)) / 2


def test_each_learns_from_the_others_choice_alone(toy):
    """The gradient of a network is that of its loss on the other's selection."""
    method = apart(toy)
    batch = toy.first_batch(method, 30)
    (_, by_one), (_, by_two) = choice(method, batch, 20)
    method.loss(batch).backward()
    for net, selected in ((method.net, by_two), (method.other_net, by_one)):
        losses = cross_entropy(net(batch.x), batch.y, reduction="none")
        expected = torch.autograd.grad(losses[selected].mean(), net.head.weight)[0]

        assert torch.allclose(net.head.weight.grad, expected, atol=1e-6)


def test_at_first_both_learn_everything(toy):
    """In epoch 0 no example is dropped."""
    method = toy.make("coteaching")
    batch = toy.first_batch(method)
    losses = [cross_entropy(net(batch.x), batch.y).item() for net in (method.net, method.other_net)]

    assert method.loss(batch).item() == pytest.approx(sum(losses), rel=1e-6)
    assert (method.example_weights[batch.index] == 1).all()


@pytest.mark.parametrize(
    ("gradual", "epoch", "count"),
    [(3, 0, 30), (3, 1, 25), (3, 2, 20), (0.5, 2, 20), (9, 1, 28), (9, 5, 20), (0, 0, 20)],
)
def test_epochs_of_the_rise(toy, gradual, epoch, count):
    """The rise lasts a number of epochs, at most all, or a share of them."""
    method = toy.make("coteaching", gradual=gradual)
    method.progress = (epoch + 0.3) / 6
    batch = toy.first_batch(method, 30)
    method.loss(batch)

    assert method.example_weights[batch.index].sum() == count


def test_one_is_always_left(toy):
    """A batch with one example is learned at any noise rate."""
    method = apart(toy)
    batch = toy.first_batch(method, 1)

    assert method.loss(batch).item() > 0
    assert method.example_weights[0] == 1


def test_networks_begin_differently(toy):
    """The second network has its own random weights."""
    method = METHODS["coteaching"](replace(toy.task("coteaching"), make_net=Net))

    assert not torch.equal(method.net.head.weight, method.other_net.head.weight)


def test_the_first_network_predicts(toy):
    """The authors test each network apart."""
    method = apart(toy).eval()

    assert not torch.equal(method.net(toy.x), method.other_net(toy.x))
    assert torch.equal(method.predict(toy.x), method.net(toy.x))


def test_the_mean_predicts_if_asked_for(toy):
    """Predictions are then the mean of both networks' logits."""
    method = apart(toy, predict="mean").eval()

    assert torch.allclose(method.predict(toy.x), (method.net(toy.x) + method.other_net(toy.x)) / 2)


def test_drops_wrong_labels(toy):
    """Examples that neither network learns are mostly labelled wrong."""
    method = toy.train(toy.make("coteaching", epochs=8, gradual=4))
    wrong = toy.y != toy.true

    assert wrong[method.example_weights == 0].float().mean() > 0.7
