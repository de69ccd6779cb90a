"""Tests of INCV: estimates, halves as sets, the selecting network, the last stage as a loop."""

from copy import deepcopy

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods import Phase
from cnlw_tools.methods import incv as module
from cnlw_tools.methods.incv import (
    CANDIDATE,
    REMOVED,
    SELECTED,
    estimate_noise,
    plan_iterations,
    selected_noise,
)


def test_fixture():
    """With half of the labels wrong in ten classes 0.277778 agree, of which 0.9 are correct."""
    assert estimate_noise(0.25 + 0.25 / 9, 10) == pytest.approx(0.5)
    assert selected_noise(torch.tensor(0.5), 9).item() == pytest.approx(0.1)
    assert 1 - selected_noise(torch.tensor(0.5), 9).item() == pytest.approx(
        0.25 / (0.25 + 0.25 / 9)
    )
    assert selected_noise(torch.tensor(0.4), 1).item() == pytest.approx(0.16 / 0.52)


@pytest.mark.parametrize(
    ("agreement", "eps"), [(1.0, 0.0), (0.99801, 0.001), (0.1, 0.9), (0.05, 0.9), (0.0, 0.9)]
)
def test_estimated(agreement, eps):
    """The estimate is the least in steps of 0.001: 0 at full agreement, limited by chance."""
    assert estimate_noise(agreement, 10) == pytest.approx(eps)


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (1, (0, 0)),
        (2, (0, 0)),
        (3, (1, 1)),
        (10, (1, 3)),
        (18, (2, 3)),
        (30, (3, 3)),
        (60, (4, 5)),
        (600, (4, 50)),
    ],
)
def test_lengths(total, expected):
    """600 epochs give the authors' eight times 50; fewer epochs give fewer iterations."""
    assert plan_iterations(total, 2 / 3, 4) == expected


def test_phases(on_logits):
    """All phases restart, and the last one is the longest."""
    assert on_logits("incv", 600).phases() == [Phase(50, restart="init")] * 8 + [
        Phase(200, restart="init")
    ]
    assert on_logits("incv", 5, iterations=0).phases() == [Phase(5, restart="init")]


@pytest.mark.parametrize("noise", ["symmetric", "asymmetric"])
def test_the_halves_as_sets(toy, monkeypatch, noise):
    """Learned, selected and removed examples equal those of a loop over sets, for random losses."""
    draw = torch.Generator().manual_seed(0)
    losses = torch.rand(192, generator=draw)
    agrees = torch.rand(192, generator=draw) < 0.5
    monkeypatch.setattr(module, "evaluate_dataset", lambda net, train_batches: (losses, agrees))
    monkeypatch.setattr(module.INCV, "_keep_best", lambda *_: None)
    method = toy.make_unstarted("incv", epochs=30, noise=noise)
    selected, removed, newly_selected, newly_removed = set(), set(), set(), set()
    halves = [set(), set()]
    for phase in range(7):
        rows = method.begin_phase(phase, toy.train_batches).tolist()
        if phase:
            test = halves[1 - (phase - 1) % 2]
            good = {i for i in test if agrees[i]}
            if phase == 1:
                eps = estimate_noise(len(good) / len(test), 4)
                ratio = min(2, eps / (1 - eps))
            if noise == "symmetric":
                worst = sorted(test, key=lambda i: -losses[i].item())[: int(ratio * len(good))]
                newly_removed |= set(worst) - good
            newly_selected |= good
        if phase % 2 == 0:
            selected, removed, newly_selected, newly_removed = (
                selected | newly_selected,
                removed | newly_removed,
                set(),
                set(),
            )
            halves = [set((method.half_index == s).nonzero().flatten().tolist()) for s in (0, 1)]
        if phase < 6:
            assert halves[0] | halves[1] == set(range(192)) - selected - removed
            assert abs(len(halves[0]) - len(halves[1])) <= 1
            assert set(rows) == halves[phase % 2] | selected | newly_selected

    assert method.eps.item() == pytest.approx(eps)
    assert set((method.status == SELECTED).nonzero().flatten().tolist()) == selected
    assert set((method.status == REMOVED).nonzero().flatten().tolist()) == removed
    rest = set(range(192)) - selected - removed
    assert selected <= set(rows) <= selected | rest
    assert len(set(rows) & rest) == min(len(rest), len(selected) // 2)
    assert (len(removed) > 0) == (noise == "symmetric")


@pytest.mark.parametrize(
    ("eps", "noise", "until"), [(0.2, "symmetric", 4), (0.4, "symmetric", 2), (0.7, "symmetric", 1)]
)
@pytest.mark.parametrize("iteration", [1, 2, 3, 4])
def test_which_network_selects(toy, monkeypatch, eps, noise, until, iteration):
    """The best network selects in the first iterations, and the last one afterwards."""
    method, selectors = toy.make_unstarted("incv", epochs=60, noise=noise), []
    monkeypatch.setattr(
        module,
        "evaluate_dataset",
        lambda net, train_batches: selectors.append(net) or (torch.rand(192), torch.ones(192) > 0),
    )
    method.eps.fill_(eps)
    method._select(2 * iteration - 1, toy.train_batches)

    assert selectors == [method.other_net if iteration <= until else method.net]


def test_the_best_state_is_kept(toy, monkeypatch):
    """The second network stores the first as it was when it agreed best with the other half."""
    method = toy.make("incv", epochs=30)
    states = []
    for right in (10, 30, 20, 30):
        with torch.no_grad():
            method.net.head.bias.add_(1)
        states.append(method.net.head.bias.clone())
        monkeypatch.setattr(
            module,
            "evaluate_dataset",
            lambda net, train_batches, r=right: (torch.zeros(40), torch.arange(40) < r),
        )
        method._keep_best(0, toy.train_batches)

    assert torch.equal(method.other_net.head.bias, states[1])
    assert method.best_accuracy == 0.75


@pytest.mark.parametrize("phase", [0, 1, 2, 3])
def test_the_best_network_is_chosen_on_the_half_that_it_does_not_learn(toy, phase):
    """By the share of its given labels that are predicted, as the code does; none is held out."""
    method = toy.make("incv", epochs=30)
    method.half_index.copy_(torch.arange(192) % 3)
    method._keep_best(phase, toy.train_batches)
    tested = [i for i in range(192) if i % 3 == 1 - phase % 2]
    z = method.net.eval()(toy.x[tested])

    assert method.task.holdout is None
    assert method.best_accuracy == (z.argmax(1) == toy.y[tested]).float().mean()


def test_a_half_of_nobody_chooses_no_network(toy):
    """All examples may have been selected or removed before."""
    method = toy.make("incv", epochs=30)
    method.half_index.fill_(2)
    method._keep_best(0, toy.train_batches)

    assert method.best_accuracy == -1


def naive(method, batch, quota, may):
    """Return each network's mean loss over the other's least losses, example by example.

    What is least is found in evaluation mode.
    """
    nets = (method.net, method.other_net)
    tested = [cross_entropy(net.eval()(batch.x), batch.y, reduction="none") for net in nets]
    costs = [cross_entropy(net.train()(batch.x), batch.y, reduction="none") for net in nets]
    total, easy_sets = 0.0, []
    for losses, other_losses in ((costs[0], tested[1]), (costs[1], tested[0])):
        easy = sorted(
            (i for i in range(len(batch.y)) if may[i]), key=lambda i: other_losses[i].item()
        )[:quota]
        easy_sets.append(easy)
        total = total + sum(losses[i] for i in easy) / len(easy)
    return total, [sum(i in easy for easy in easy_sets) / 2 for i in range(len(batch.y))]


@pytest.mark.parametrize("noise", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("epoch", [0, 1, 3, 4, 5, 9])
def test_oracle(any_toy, epoch, noise):
    """Loss, weights and gradient of the last stage equal those of the loop."""
    method = any_toy.make("incv", epochs=30, noise=noise, warmup=2, ramp=4, iterations=3)
    assert method.validation_epochs == 18
    method.eps.fill_(0.4)
    method.status[:32] = torch.tensor([SELECTED] * 20 + [CANDIDATE] * 12)[torch.randperm(32)]
    with torch.no_grad():
        for p in method.other_net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    method.progress = (18 + epoch) / 30
    twin, batch = deepcopy(method), any_toy.first_batch(method)
    wrong = 0.16 / (0.16 + (1 if noise == "asymmetric" else 3) * 0.36)
    quota = round(20 * (1 - wrong * min(1, epoch / 4)))
    late = epoch > (4 if noise == "asymmetric" else 2)
    expected, weights = naive(
        twin, batch, quota, [late or s == SELECTED for s in method.status[:32].tolist()]
    )
    loss = method.loss(batch)
    loss.backward()
    expected.backward()

    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert method.example_weights[:32].tolist() == weights
    for actual, reference in zip(method.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(actual.grad, reference.grad, atol=1e-5)


@pytest.mark.parametrize(("eps", "noise"), [(0.7, "symmetric"), (0.3, "asymmetric")])
@pytest.mark.parametrize(("last", "warmup"), [(4, 2), (3, 1), (2, 0)])
def test_a_doubled_warmup_leaves_the_last_epoch(any_toy, eps, noise, last, warmup):
    """Then candidates are selected too, so that the stage after the warm-up is there."""
    method = any_toy.make(
        "incv", epochs=last + 2, validation=2 / (last + 2), warmup=0.99, noise=noise
    )
    assert (method.last_epochs, method.warmup) == (last, warmup)
    method.eps.fill_(eps)
    method.status.fill_(CANDIDATE)
    method.status[:8] = SELECTED
    batch = any_toy.first_batch(method)
    easy = method.find_easy(method.net, batch, last - 1)
    before = method.find_easy(method.net, batch, min(warmup, last - 2))

    assert easy[8:].any()
    assert not before[8:].any()


def test_the_first_network_predicts(toy):
    """In all stages, as the authors test each network apart."""
    method = toy.make("incv", epochs=4).eval()
    with torch.no_grad():
        method.other_net.head.bias.add_(1)
    assert torch.equal(method.predict(toy.x), method.net(toy.x))

    toy.skip_to_last_epoch(method)
    assert torch.equal(method.predict(toy.x), method.net(toy.x))


def test_both_predict_in_the_end_if_asked_for(toy):
    """Before the last stage the first network predicts, and then the mean of both logits."""
    method = toy.make("incv", epochs=4, predict="mean").eval()
    with torch.no_grad():
        method.other_net.head.bias.add_(1)
    assert torch.equal(method.predict(toy.x), method.net(toy.x))

    toy.skip_to_last_epoch(method)
    assert torch.allclose(method.predict(toy.x), (method.net(toy.x) + method.other_net(toy.x)) / 2)


def test_it_finds_the_right_labels(toy):
    """On the toy problem nine tenths of the selected labels are correct."""
    method = toy.train(toy.make("incv", epochs=12))
    selected, right = method.status == SELECTED, toy.y == toy.true

    assert 0.15 < method.eps < 0.4  # the estimate takes the network to be as wrong as the labels
    assert selected.sum() > 80
    assert (selected & right).sum() / selected.sum() > 0.9
    assert method.example_weights[~right].mean() < 0.2 < 0.7 < method.example_weights[right].mean()


def test_without_time_for_an_iteration_everybody_is_selected(toy):
    """With one epoch, and without iterations, both networks learn from all examples."""
    assert (toy.make("incv", epochs=6, iterations=0).status == SELECTED).all()
    method = toy.make("incv", epochs=1)

    assert (method.status == SELECTED).all()
    assert len(method.begin_phase(0, toy.train_batches)) == 192


@pytest.mark.parametrize(("epochs", "validation"), [(2, 2 / 3), (10, 0.1), (10, 0.01)])
def test_iterations_that_have_no_epochs_are_refused(toy, epochs, validation):
    """Without a word both networks would learn from all examples."""
    message = f"this share of {epochs} epochs is too short to train on each of the two halves: give"
    with pytest.raises(ValueError, match=f"^validation = {validation}: {message}"):
        toy.make_unstarted("incv", epochs=epochs, validation=validation)


def test_nobody_selected_is_an_error(toy):
    """The error gives a remedy."""
    method = toy.make("incv", epochs=3)
    method.half_index.fill_(2)  # in neither half

    with pytest.raises(
        ValueError,
        match="predicts any label correctly in the half that it was not trained on: give more epochs",
    ):
        method.begin_phase(2, toy.train_batches)


def test_goes_on_in_the_middle_of_a_half(toy):
    """A copy from a checkpoint selects the same examples, by the same best network."""
    method = toy.make("incv", epochs=10)
    for epoch in toy.epochs(method):
        if epoch == 2:
            break
    toy.step(method, toy.first_batch(method))
    twin = toy.make_unstarted("incv", epochs=10, seed=1)
    twin.load_state_dict(deepcopy(method.state_dict()))

    assert method.best_accuracy > 0
    assert torch.equal(
        method.begin_phase(1, toy.train_batches), twin.begin_phase(1, toy.train_batches)
    )
    assert method.eps > 0
    assert torch.equal(method.status, twin.status)
