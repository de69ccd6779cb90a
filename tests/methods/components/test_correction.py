"""Tests of the phases and the estimate that forward and backward correction share."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods import Phase
from cnlw_tools.methods.components.anchor_points import estimate_transition

both = pytest.mark.parametrize("name", ["forward", "backward"])


@both
@pytest.mark.parametrize(
    ("first", "epochs", "phases"),
    [
        (0.5, 6, [Phase(3), Phase(3, restart="init")]),
        (0.5, 7, [Phase(4), Phase(3, restart="init")]),
        (2, 7, [Phase(2), Phase(5, restart="init")]),
        (0.99, 7, [Phase(6), Phase(1, restart="init")]),
        (0.5, 1, [Phase(1)]),
    ],
)
def test_two_trainings(on_logits, name, first, epochs, phases):
    """There is a phase for the estimate and one for the correction, or one alone in a run of one epoch."""
    assert on_logits(name, epochs, first=first).phases() == phases


@both
def test_a_stated_matrix_takes_one(on_logits, name):
    """With a stated matrix there is a single phase, and `first` has no effect."""
    assert on_logits(name, 6, q="pairflip:0.3").phases() == [Phase(6)]


@both
def test_the_first_training_is_vanilla(toy, name):
    """The loss of the first phase equals cross-entropy to the last bit."""
    method = toy.make(name)
    batch = toy.first_batch(method)

    assert (
        method.loss(batch) == cross_entropy(method.net(batch.x), batch.y, reduction="none").mean()
    )


@both
@pytest.mark.parametrize("percentile", [1.0, 0.9])
def test_estimates_before_the_second(toy, name, percentile):
    """The estimate comes from the network that the first phase trained."""
    method = toy.make(name, epochs=4, percentile=percentile)
    for epoch in toy.epochs(method):
        if epoch == 1:
            assert torch.equal(method.loss_matrix, torch.eye(4))
            method.begin_phase(1, toy.train_batches)
            expected = method.matrix_for_loss(
                estimate_transition(method.net, toy.train_batches, percentile).T
            )
            assert torch.equal(method.loss_matrix, expected)
            assert not torch.equal(method.loss_matrix, torch.eye(4))
            break


@both
def test_begins_anew(toy, name):
    """The second phase restarts from the initial weights."""
    method = toy.make(name, epochs=4)
    initial_weight = method.net.head.weight.clone()
    for epoch in toy.epochs(method):
        if epoch:
            assert torch.equal(method.net.head.weight, initial_weight) == (epoch == 2)


@both
def test_a_stated_matrix_needs_no_first_phase(toy, name):
    """Nothing is estimated."""
    assert toy.make(name, first=0, q="symmetric:0.2").phases() == [Phase(6)]


@both
def test_no_matrix(toy, name):
    """A q that is no matrix is refused, and the error lists what is allowed."""
    with pytest.raises(
        ValueError, match=r"q = 'learned' is not allowed: give estimated, symmetric:0\.2"
    ):
        toy.make(name, q="learned")
