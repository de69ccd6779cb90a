"""Tests of fitting a mentor: its samples, and how well it learns."""

import math

import pytest
import torch

from cnlw_tools.methods.components.mentor import PACKAGED_MENTOR, WEIGHT_SHAPES, read_mentor
from cnlw_tools.methods.components.mentor_fit import (
    data_driven_samples,
    evaluate_mentor,
    fit_mentor,
    losses_by_percent,
    predefined_samples,
)
from cnlw_tools.methods.components.weighting_rules import pd


def verified(n=2000, seed=0):
    """Return losses of n examples in two epochs, small for the three quarters of correct labels."""
    draw = torch.Generator().manual_seed(seed)
    correct = torch.rand(2, n, generator=draw) < 0.75
    losses = torch.where(correct, 0.5, 4.0) * torch.rand(2, n, generator=draw)
    return torch.tensor([20.0, 60.0]).repeat_interleave(n), losses.flatten(), correct.flatten()


def test_the_grid():
    """Each combination of 120 losses, 100 differences and 100 percents occurs once."""
    rows = predefined_samples(pd)

    keys = (rows.losses * 10).round() * 1e4 + (rows.difference * 10 + 50).round() * 100 + rows.epoch
    assert len(keys.unique()) == len(rows.target) == 120 * 100 * 100
    assert rows.losses.unique().tolist() == pytest.approx(
        [i / 10 for i in range(100)] + list(range(10, 30))
    )
    assert rows.difference.unique().tolist() == pytest.approx([i / 10 for i in range(-50, 50)])
    assert rows.epoch.unique().tolist() == list(range(100))
    assert torch.equal(rows.target, pd(rows.losses, rows.difference, rows.epoch))


@pytest.mark.parametrize("epochs", [1, 3, 100, 250])
def test_every_percent_has_the_losses_of_its_epoch(epochs):
    """Percent e of E epochs has the losses of epoch floor(e E / 100)."""
    history = torch.arange(epochs * 2.0).reshape(epochs, 2)

    percents, losses = losses_by_percent(history)

    assert percents.tolist() == [e for e in range(100) for _ in range(2)]
    assert losses.tolist() == [
        2.0 * math.floor(e * epochs / 100) + i for e in range(100) for i in range(2)
    ]


@pytest.mark.parametrize("by_epoch", [True, False])
def test_data_driven_oracle(by_epoch):
    """The difference is to the percentile of the epoch, or of all samples."""
    epoch, losses, correct = verified(n=51)

    rows = data_driven_samples(epoch, losses, correct, 0.9, by_epoch=by_epoch)

    for i in range(len(epoch)):
        sorted_losses = sorted(losses[epoch == epoch[i]].tolist() if by_epoch else losses.tolist())
        rank = round(0.9 * (len(sorted_losses) - 1))
        assert rows.difference[i].item() == pytest.approx(losses[i].item() - sorted_losses[rank])
    assert rows.target.tolist() == [float(c) for c in correct]
    assert torch.equal(rows.losses, losses)


def test_a_loss_that_is_not_finite_is_refused():
    """An example without a finite loss is refused."""
    with pytest.raises(ValueError, match="1 losses are not finite"):
        data_driven_samples(torch.zeros(2), torch.tensor([1.0, math.nan]), torch.ones(2), 0.9)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_mentor_learns_which_losses_mean_a_wrong_label(frozen):
    """The mentor detects the seven of eight wrong labels that have a large loss."""
    rows = data_driven_samples(*verified(), 0.75)

    fitted = fit_mentor(rows, seed=0, freeze_epoch=frozen, batch=128, steps=300)

    assert fitted.agreement > 0.94  # always "correct" would be 0.75, the best possible 0.969
    assert fitted.error < 0.05


def test_the_same_seed_gives_the_same_mentor():
    """Another seed gives another mentor."""
    rows = data_driven_samples(*verified(n=100), 0.75)

    first, same, different = (
        fit_mentor(rows, seed=seed, batch=8, steps=3).mentor for seed in (0, 0, 1)
    )

    for name in WEIGHT_SHAPES:
        assert torch.equal(first.get_buffer(name), same.get_buffer(name))
        assert not torch.equal(first.get_buffer(name), different.get_buffer(name))


def test_a_frozen_epoch_embedding_stays():
    """Only the embedding of the epoch keeps its initial values."""
    rows = data_driven_samples(*verified(n=100), 0.75)

    initial, learned = (
        fit_mentor(rows, seed=0, freeze_epoch=True, steps=steps).mentor for steps in (0, 3)
    )

    moved = {
        name
        for name in WEIGHT_SHAPES
        if not torch.equal(initial.get_buffer(name), learned.get_buffer(name))
    }
    assert moved == set(WEIGHT_SHAPES) - {"epoch"}


@pytest.mark.slow
def test_the_mentor_of_the_package_can_be_made_again():
    """A new fit, with another seed, agrees with PD as well as the packaged mentor."""
    rows = predefined_samples(pd)
    shipped = evaluate_mentor(read_mentor(PACKAGED_MENTOR), rows)
    fitted = fit_mentor(rows, seed=1)

    assert shipped[0] > 0.999
    assert fitted.agreement == pytest.approx(shipped[0], abs=1e-3)
    assert fitted.error < 1e-3
