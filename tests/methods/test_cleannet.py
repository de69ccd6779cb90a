"""Tests of CleanNet: its rounds, the weights from cosines, and the references of a class."""

from dataclasses import replace

import pytest
import torch

from cnlw_tools.methods import METHODS, cleannet
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.cleannet_encoders import signed_log
from cnlw_tools.methods.components.pooled_features import extract_features


@pytest.mark.parametrize(
    ("epochs", "options", "expected"),
    [
        (10, {}, {5, 7}),
        (10, {"start": 0.3, "rounds": 1}, {3}),
        (10, {"start": 4, "rounds": 3}, {4, 6, 8}),
        (1, {"rounds": 5}, {1}),
        (2, {"start": 1, "rounds": 2}, {1}),
    ],
)
def test_turns(toy, epochs, options, expected):
    """Rounds are at equal intervals from `start` on, and none is after the end."""
    assert METHODS["cleannet"](toy.task("cleannet", epochs), **options).round_epochs == expected


def make_weighted(toy, monkeypatch, cos, **options):
    """Return a method after its first round, with these cosines."""
    monkeypatch.setattr(cleannet, "class_cosines", lambda *_: cos)
    return in_first_round(toy, passes=0, **options)


def in_first_round(toy, **options):
    """Return a method that has begun its second epoch, and with it its first round."""
    method = toy.make("cleannet", start=1, **options)
    method.begin_epoch(1, toy.train_batches)
    return method


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.9, 0.0, 0.1, 0.05]),
        ({"kind": "hard"}, [1, 0, 1, 0]),
        ({"kind": "hard", "threshold": 0.5}, [1, 0, 0, 0]),
    ],
)
def test_weights(toy, monkeypatch, options, expected):
    """Weights are positive cosines, or 1 from the threshold on; the loss is their weighted mean."""
    cos = torch.tensor([0.9, -0.4, 0.1, 0.05]).repeat(48)
    method = make_weighted(toy, monkeypatch, cos, **options)
    batch = toy.first_batch(method, 4)
    loss = method.loss(batch)

    assert method.example_weights[:4].tolist() == pytest.approx(expected)
    losses = method.example_losses[:4].tolist()
    assert loss.item() == pytest.approx(
        sum(w * e for w, e in zip(expected, losses, strict=True)) / sum(expected), rel=1e-5
    )


def test_encoders_get_what_the_network_sees(toy, monkeypatch):
    """The encoders get scaled features, labels, verdicts, 32 centres per class and steps of 32."""
    arguments = []
    monkeypatch.setattr(cleannet, "train_encoders", lambda *values: arguments.extend(values))
    monkeypatch.setattr(cleannet, "class_cosines", lambda *_: torch.ones(192))
    method = in_first_round(toy, passes=10)
    train, verified, is_correct, references, steps = arguments
    batch, expected_correct = next(iter(toy.verified()))
    f, _ = extract_features(method.net, toy.train_batches)
    verified_f, _ = extract_features(method.net, lambda: [batch])

    assert torch.equal(train.v, signed_log(f))
    assert torch.equal(train.y, toy.y)
    assert torch.equal(verified.v, signed_log(verified_f))
    assert torch.equal(verified.y, batch.y)
    assert torch.equal(is_correct, expected_correct)
    assert references.shape == (4, 32, 144)
    assert steps == 60


def test_until_its_turn_all_count(toy):
    """Before the first round all weights are 1; the encoders add no parameters to the method."""
    method = toy.make("cleannet", epochs=4, start=1, rounds=1)
    weights = []
    for _ in toy.epochs(method):
        weights.append(method.class_weight.clone())

    assert (weights[0] == 1).all()
    assert (weights[1] != 1).any()
    assert torch.equal(weights[1], weights[3])
    assert len(list(method.parameters())) == len(list(method.net.parameters()))


def test_right_labels_weigh_more(toy):
    """With enough steps, on a trained network, correct labels get larger weights."""
    method = toy.train(toy.make("cleannet", start=5, rounds=1, passes=30))
    right = toy.true == toy.y

    assert method.class_weight[right].mean() > method.class_weight[~right].mean() + 0.15


def test_a_class_with_few_examples_is_named(toy):
    """A class with fewer examples than references is refused, and the error gives a remedy."""
    with pytest.raises(
        ValueError, match="class 1 has 48 training examples, but references = 49: give no more"
    ):
        in_first_round(toy, references=49)


def test_a_class_with_few_examples_is_named_before_training(toy):
    """The counts of the given labels are known at the start; as many as references are enough."""
    task = replace(toy.task("cleannet"), label_counts=(48, 32, 60, 52))
    METHODS["cleannet"](task, references=32)
    with pytest.raises(ValueError, match="class 1 has 32 training examples, but references = 33"):
        METHODS["cleannet"](task, references=33)


def test_all_ranks_take_the_weights_of_the_first(toy, monkeypatch):
    """The weights are those of rank 0, though encoders differ between ranks."""
    monkeypatch.setattr(
        distributed, "broadcast_from_rank_zero", lambda tensors: [t.fill_(0.25) for t in tensors]
    )
    method = make_weighted(toy, monkeypatch, torch.ones(192))

    assert (method.class_weight == 0.25).all()
