"""Tests of data parameters: gradients of temperatures, sparse steps, wrong labels heating up."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.data_parameters import Temperatures, temperature_gradient


def test_fixture(f3):
    """At sigma = 1 a likely label cools down, an unlikely one heats up, and a uniform one stays."""
    assert temperature_gradient(f3.x, f3.y, torch.ones(3)).tolist() == pytest.approx(
        [0.426028, -0.576117, 0], abs=1e-6
    )


def test_the_slope_is_the_derivative():
    """The gradient equals that of autograd at any temperature."""
    draw = torch.Generator().manual_seed(0)
    z, y, sigma = (
        3 * torch.randn(9, 4, generator=draw),
        torch.arange(9) % 4,
        0.1 + 3 * torch.rand(9, generator=draw),
    )
    sigma.requires_grad_()
    losses = cross_entropy(z / sigma[:, None], y, reduction="none")

    assert torch.allclose(
        temperature_gradient(z, y, sigma.detach()),
        torch.autograd.grad(losses.sum(), sigma)[0],
        atol=1e-5,
    )


@pytest.mark.parametrize("kind", ["instance", "class", "both"])
def test_oracle(toy, kind):
    """Three steps equal SGD with momentum on s, for the rows of each batch only."""
    options = {
        "instance_init": 1.5,
        "class_init": 0.8,
        "instance_decay": 0.01,
        "class_decay": 0.02,
        "class_lr": 0.3,
    }
    method = toy.make("data_parameters", of=kind, **options)
    s = {"instance": [math.log(1.5)] * 192, "class": [math.log(0.8)] * 4}
    v = {"instance": [0.0] * 192, "class": [0.0] * 4}
    parts = ["instance", "class"] if kind == "both" else [kind]
    lr, decay = {"instance": 0.2, "class": 0.3}, {"instance": 0.01, "class": 0.02}
    for rows in (torch.arange(0, 20), torch.arange(10, 30), torch.tensor([3, 50])):
        batch = toy.batch(rows)
        leaves = {part: torch.tensor(s[part], requires_grad=True) for part in parts}
        at = {"instance": batch.index, "class": batch.y}
        sigma = sum(leaves[part][at[part]].exp() for part in parts)
        losses = cross_entropy(
            method.net(batch.x).detach() / sigma[:, None], batch.y, reduction="none"
        )
        penalty = sum(decay[part] / 2 * leaves[part][at[part]].square().sum() for part in parts)
        (losses.mean() + penalty).backward()
        for part in parts:
            for i in set(at[part].tolist()):
                v[part][i] = 0.9 * v[part][i] + leaves[part].grad[i].item()
                s[part][i] -= lr[part] * v[part][i]

        loss = toy.step(method, batch)

        assert loss == pytest.approx(losses.mean().item(), rel=1e-4)
        assert method.example_weights[rows].tolist() == pytest.approx(
            (1 / sigma).clamp(max=1).tolist(), rel=1e-4
        )
    assert method.instances.s.tolist() == pytest.approx(s["instance"], abs=1e-5)
    assert method.classes.s.tolist() == pytest.approx(s["class"], abs=1e-5)


def test_untouched_rows_keep_value_and_momentum():
    """Rows outside the batch do not change, to the last bit."""
    temperatures = Temperatures(4, 0.2, 2.0, 0.0)
    temperatures.step(torch.tensor([1, 2]), torch.ones(2))
    s, v = temperatures.s.clone(), temperatures.v.clone()
    temperatures.step(torch.tensor([2, 3]), torch.ones(2))

    assert torch.equal(temperatures.s[:2], s[:2])
    assert torch.equal(temperatures.v[:2], v[:2])
    assert (temperatures.s[2:] < s[2:]).all()


def test_bounds():
    """Temperatures stay within 1/20 and 20."""
    temperatures = Temperatures(2, 1.0, 1.0, 0.0)
    temperatures.step(torch.tensor([0, 1]), torch.tensor([1e3, -1e3]))

    assert temperatures.s.exp().tolist() == pytest.approx([0.05, 20])


def test_predicts_without_temperatures(toy):
    """Predictions use no temperatures."""
    method = toy.make("data_parameters", instance_init=7.0).eval()

    assert torch.equal(method.predict(toy.x), method.net(toy.x))


def test_wrong_labels_heat_up(toy):
    """After training most wrong labels have higher temperatures than most correct ones."""
    method = toy.train(toy.make("data_parameters", epochs=8, instance_lr=5.0))
    wrong = toy.y != toy.true

    assert method.instances.s[wrong].median() > method.instances.s[~wrong].quantile(0.9)


@pytest.mark.parametrize("option", ["instance_init", "class_init"])
@pytest.mark.parametrize("value", [0.04, 21])
def test_begins_within_the_bounds(toy, option, value):
    """An initial temperature outside the bounds is refused."""
    with pytest.raises(
        ValueError, match=rf"{option} = {value} is not allowed: give a number from 0.05 to 20"
    ):
        toy.make("data_parameters", **{option: value})
