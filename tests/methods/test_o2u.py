"""Tests of O2U-Net: its stages, the ranking as a loop, and the removed examples."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from cnlw_tools.methods import Phase
from cnlw_tools.methods.o2u import O2U, centre_losses


def test_normalised():
    """Losses are centred on the mean of those recorded; missing ones are 0."""
    losses = torch.tensor([1.0, torch.nan, 4, 1, torch.nan])

    assert centre_losses(losses).tolist() == [-1, 0, 2, -1, 0]
    assert centre_losses(torch.full((3,), torch.nan)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("epochs", "lengths"),
    [(1, [1]), (3, [1, 1, 1]), (4, [2, 1, 1]), (10, [3, 3, 4]), (100, [30, 30, 40])],
)
def test_stages(toy, epochs, lengths):
    """The stages are 0.3, 0.3 and 0.4 of the epochs, or a single one of a single epoch."""
    assert [phase.epochs for phase in O2U(toy.task("o2u", epochs)).phases()] == lengths


def test_without_a_cyclic_stage_there_is_one_stage(toy):
    """This is what cyclic = 0 asks for; two epochs do not ask for it, and are refused."""
    assert O2U(toy.task("o2u", 10), cyclic=0).phases() == [Phase(10)]
    with pytest.raises(ValueError, match=r"^2 epochs are too few .* give 3 epochs or more$"):
        O2U(toy.task("o2u", 2))


def test_what_stages_do(toy):
    """The second stage is cyclic with small batches; the third restarts as `again` says."""
    task = toy.task("o2u", 100)
    swing = Phase(30, "cyclic:10:0.1", 1.0, 0.125)

    assert O2U(task).phases() == [Phase(30), swing, Phase(40, restart="init")]
    assert O2U(task, again="first").phases()[2] == Phase(40, restart=0)
    assert O2U(task, cyclic=4, rate=2.0).phases()[1] == Phase(
        4, "cyclic:4:0.1", 2.0, 0.125
    )  # one whole cycle


@pytest.mark.parametrize("epochs", [5, 8])
def test_the_ranking_is_the_sum_over_the_cyclic_epochs(toy, epochs):
    """The ranking equals the centred losses of the cyclic stage, as recorded from outside."""
    method = toy.make("o2u", epochs=epochs)
    recorded: list[dict[int, float]] = []
    plain = method.log_examples

    def note(batch, losses, weights=None):
        recorded[-1].update(zip(batch.index.tolist(), losses.tolist(), strict=True))
        plain(batch, losses, weights)

    method.log_examples = note
    for _ in toy.epochs(method):
        recorded.append({})
    expected = [0.0] * 192
    for epoch in recorded[method.first : method.first + method.cyclic]:
        mean = sum(epoch.values()) / len(epoch)
        assert len(epoch) == 192
        for i, loss in epoch.items():
            expected[i] += loss - mean

    assert method.cyclic >= 1
    assert method.loss_sums.tolist() == pytest.approx(expected, abs=1e-4)
    assert method.loss_sums.sum().item() == pytest.approx(0, abs=1e-3)
    worst = sorted(range(192), key=lambda i: -method.loss_sums[i].item())[:64]
    assert sorted(method.is_removed.nonzero().flatten().tolist()) == sorted(worst)
    assert set(recorded[-1]) == set(range(192)) - set(worst)


@pytest.mark.parametrize(
    ("n", "rate", "count"), [(10, 0.25, 3), (10, 0.4, 4), (10, 0.9, 9), (7, 0.5, 4), (5, 0.0, 0)]
)
def test_so_many_are_removed(toy, n, rate, count):
    """N - int((1 - r) N) with the highest sums are removed; of equal ones the first."""
    method = O2U(replace(toy.task("o2u"), n_examples=n, noise_rate=rate))
    method.loss_sums += torch.arange(n) // 2
    positions = method.begin_phase(2, toy.train_batches)
    worst = sorted(range(n), key=lambda i: -(i // 2))[:count]

    assert positions.tolist() == sorted(set(range(n)) - set(worst))


@pytest.mark.parametrize(("n", "rate"), [(10, 1), (10, 0.95), (1000, 0.9995)])
def test_a_rate_that_leaves_nothing_is_refused_before_training(toy, n, rate):
    """The last stage would have no example; with a single stage nothing is removed."""
    task = replace(toy.task("o2u"), n_examples=n, noise_rate=rate)
    with pytest.raises(ValueError, match=f"noise_rate = {rate}: O2U would keep 0 of {n} examples"):
        O2U(task)
    O2U(replace(task, epochs=1))
    O2U(task, cyclic=0)


def test_what_is_removed_weighs_nothing(toy):
    """Removed examples have a logged weight of 0, and most of them are labelled wrong."""
    method = toy.make("o2u", epochs=9)
    for epoch in toy.epochs(method):
        method.example_weights.fill_(torch.nan) if epoch < 6 else None
    wrong = toy.y != toy.true

    assert (method.example_weights[method.is_removed] == 0).all()
    assert (method.example_weights[~method.is_removed] == 1).all()
    assert (method.is_removed & wrong).sum() / method.is_removed.sum() > 0.9


@pytest.mark.parametrize("epoch", [3, 4, 5])
def test_goes_on_in_the_middle_of_an_epoch(toy, epoch):
    """A copy from a checkpoint within a stage has the same ranking."""
    method = toy.make("o2u", epochs=6)
    for now in toy.epochs(method):
        if now == epoch:
            break
    toy.step(method, toy.first_batch(method))
    twin = toy.make_unstarted("o2u", epochs=6)
    twin.load_state_dict(deepcopy(method.state_dict()))

    rows = [instance.begin_phase(2, toy.train_batches) for instance in (method, twin)]

    assert torch.equal(*rows)
    assert method.loss_sums.any()
    assert torch.equal(twin.loss_sums, method.loss_sums)
