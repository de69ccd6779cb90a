"""The step: groups, decay, averages."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from cnlw_tools.methods import Method, Task
from cnlw_tools.methods.vanilla import Vanilla
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.trainer.optimiser import EMA, build_optimiser

PRESET = Preset(net="any", epochs=1, lr=0.1, momentum=0.9, weight_decay=0.01)


def net():
    """Return a layer and a normalisation."""
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def method(kind=Vanilla):
    """Return a method with this network."""
    torch.manual_seed(0)
    return kind(Task(net, 4, 2, 1))


class TwoRates(Method):
    """A method whose layer learns at its own rate and does not decay."""

    def param_groups(self):
        """Return one group with a rate and a decay of its own, and one without."""
        return [
            {"params": list(self.net[0].parameters()), "lr": 0.5, "weight_decay": 0.0},
            {"params": list(self.net[1].parameters())},
        ]


def test_everything_decays_where_the_paper_has_it_so():
    """w <- w (1 - lr wd) without a gradient, for biases and normalisation too."""
    m = method()
    old_weights = [p.detach().clone() for p in m.parameters()]
    step = build_optimiser(m, PRESET)

    for p in m.parameters():
        p.grad = torch.zeros_like(p)
    step.step()

    for p, was in zip(m.parameters(), old_weights, strict=True):
        torch.testing.assert_close(p.detach(), was * (1 - 0.1 * 0.01))


def test_kernels_alone_decay_where_the_paper_has_it_so():
    """Biases and the scales of normalisation stay."""
    m = method()
    old_weights = {name: p.detach().clone() for name, p in m.named_parameters()}
    step = build_optimiser(m, replace(PRESET, decays="kernels"))

    for p in m.parameters():
        p.grad = torch.zeros_like(p)
    step.step()

    moved = [name for name, p in m.named_parameters() if not torch.equal(p, old_weights[name])]
    assert moved == ["net.0.weight"]


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_the_formula(nesterov):
    """Two steps by hand: b <- mu b + g + wd w, and Nesterov looks ahead."""
    m, gradient = method(), 0.3
    w = next(m.parameters())
    by_hand, buffer = w.detach().clone(), torch.zeros_like(w)
    step = build_optimiser(m, replace(PRESET, nesterov=nesterov))

    for _ in range(2):
        for p in m.parameters():
            p.grad = torch.full_like(p, gradient)
        step.step()
        g = gradient + 0.01 * by_hand
        buffer = 0.9 * buffer + g
        by_hand = by_hand - 0.1 * (g + 0.9 * buffer if nesterov else buffer)

    torch.testing.assert_close(w.detach(), by_hand)


def test_a_group_keeps_what_it_says():
    """Its own rate and decay take precedence over the preset's; a scale multiplies all rates."""
    step = build_optimiser(method(TwoRates), PRESET, lr_scale=0.5)

    assert [(g["base_lr"], g["weight_decay"]) for g in step.param_groups] == [
        (0.25, 0.0),
        (0.05, 0.01),
    ]


def test_adam_is_adam():
    """A preset may ask for it."""
    assert isinstance(
        build_optimiser(method(), replace(PRESET, optimiser="adam")), torch.optim.Adam
    )


def test_an_average_is_the_formula():
    """d = min(decay, (1 + t) / (10 + t))."""
    w = nn.Parameter(torch.zeros(3))
    ema = EMA({"w": w}, 0.25)
    expected = torch.zeros(3)

    for t in range(1, 6):
        w.data += 1
        ema.update()
        d = min(0.25, (1 + t) / (10 + t))
        expected = d * expected + (1 - d) * w.data

    torch.testing.assert_close(ema.averages[0], expected)


def test_an_average_stands_in_for_a_block():
    """Inside the block the parameters are the averages, after it the weights again."""
    w = nn.Parameter(torch.zeros(3))
    ema = EMA({"w": w}, 0.9)
    w.data += 1
    ema.update()

    with ema.swap_in():
        inside = w.detach().clone()

    assert torch.equal(inside, ema.averages[0])
    assert torch.equal(w.detach(), torch.ones(3))


def test_an_average_goes_on_from_its_state():
    """Steps and means both."""
    w = nn.Parameter(torch.zeros(3))
    ema = EMA({"w": w}, 0.9)
    w.data += 1
    ema.update()
    restored = EMA({"w": w}, 0.9)
    restored.load_state_dict(ema.state_dict())

    ema.update()
    restored.update()

    assert torch.equal(ema.averages[0], restored.averages[0])
