"""Tests of MentorNet: its loss example by example, and its curricula on a network."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from cnlw_tools.methods import METHODS, Batch, Task

B, K = 12, 4
RULES = {
    "baseline": lambda loss, gamma: 1.0,
    "self_paced": lambda loss, gamma: float(loss <= gamma),
    "hard_mining": lambda loss, gamma: float(loss >= gamma),
    "focal": lambda loss, gamma: (1 - math.exp(-loss)) ** 2,
    "spcl": lambda loss, gamma: min(1.0, max(0.0, 1 - (loss - gamma))),
}


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 36, K)
    )


def make_method(**options: object):
    return METHODS["mentornet"](Task(net, n_examples=30, n_classes=K, epochs=2), **options)


def batch(seed=0, n=B):
    draw = torch.Generator().manual_seed(seed)
    index = torch.randperm(30, generator=draw)[:n]
    return Batch(
        index, (torch.randn(n, 3, 8, 8, generator=draw),), torch.randint(0, K, (n,), generator=draw)
    )


@pytest.mark.parametrize("mentor", RULES)
def test_oracle(mentor):
    """The loss is the mean of weight times loss, with a moving threshold and example dropout."""
    method = make_method(mentor=mentor, percentile=0.6, decay=0.3, example_dropout="0.25,100")
    method.progress, gamma = 0.5, 0.0
    for seed in range(3):
        examples = batch(seed)
        losses = cross_entropy(net()(examples.x), examples.y, reduction="none").tolist()
        gamma = 0.3 * gamma + 0.7 * sorted(losses)[round(0.6 * (B - 1))]
        torch.manual_seed(seed)
        order = torch.rand(B).argsort().tolist()
        v = [RULES[mentor](losses[b], gamma) if order[b] < 9 else 0.0 for b in range(B)]

        torch.manual_seed(seed)
        loss = method.loss(examples)

        assert loss.item() == pytest.approx(sum(v[b] * losses[b] for b in range(B)) / B, rel=1e-5)
        assert method.example_weights[examples.index].tolist() == pytest.approx(v, abs=1e-5)
        assert method.example_losses[examples.index].tolist() == pytest.approx(losses, rel=1e-5)


def test_off_is_cross_entropy():
    """With all weights 1 the loss equals cross-entropy to the last bit."""
    method, examples = make_method(**METHODS["mentornet"].cross_entropy_options), batch()

    assert torch.equal(
        method.loss(examples), cross_entropy(net()(examples.x), examples.y, reduction="none").mean()
    )


@pytest.mark.parametrize("mentor", ["pd", "learned_pd"])
def test_the_gradient_is_that_of_constant_weights(mentor):
    """No gradient flows through v, and every parameter of the network has one."""
    method, examples = make_method(mentor=mentor, example_dropout="0,100"), batch()
    method.progress = 0.95
    method.loss(examples).backward()

    plain = net()
    (
        method.example_weights[examples.index]
        * cross_entropy(plain(examples.x), examples.y, reduction="none")
    ).mean().backward()

    assert 0 < method.example_weights[examples.index].sum() < B
    for (name, actual), expected in zip(method.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(actual.grad, expected.grad, atol=1e-6), name


def test_weights_of_zero_are_a_step_of_zero():
    """If all examples are dropped, loss and gradient are 0."""
    method = make_method(example_dropout="1,100")
    loss = method.loss(batch())
    loss.backward()

    assert loss.item() == 0
    assert all(not p.grad.any() for p in method.parameters())


def test_a_batch_of_one():
    """Half of its loss is the threshold of the first step, so self-paced drops it."""
    easy, hard = (
        make_method(example_dropout="0,100", mentor="hard_mining"),
        make_method(example_dropout="0,100", mentor="self_paced"),
    )
    examples = batch(n=1)

    assert easy.loss(examples).item() == pytest.approx(
        cross_entropy(net()(examples.x), examples.y).item()
    )
    assert hard.loss(examples).item() == 0


def test_a_run_goes_on_where_it_stopped():
    """A copy with the same state has the same next loss, also with a learned mentor."""
    old, new = (make_method(mentor="learned_pd", percentile=0.5) for _ in range(2))
    old.progress = new.progress = 0.5
    old.loss(batch(1))
    new.load_state_dict(old.state_dict())

    losses = []
    for method in (old, new):
        torch.manual_seed(3)
        losses.append(method.loss(batch(2)))

    assert torch.equal(*losses)


class NoWaiting(TorchDispatchMode):
    """Fails where the host would wait for the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> object:
        assert not {"_local_scalar_dense", "nonzero", "masked_select"} & {
            func.overloadpacket.__name__
        }, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mentor", ["pd", "learned_pd"])
def test_a_step_never_waits_for_the_device(mentor):
    """A step asks for no value from the device."""
    method, examples = make_method(mentor=mentor), batch()
    method.progress = 0.5

    with NoWaiting():
        method.loss(examples)


def test_bfloat16_is_near():
    """Under autocast the loss is close to that without."""
    exact, near = (
        make_method(example_dropout="0,100", mentor="spcl"),
        make_method(example_dropout="0,100", mentor="spcl"),
    )
    with torch.autocast("cpu", torch.bfloat16):
        loss = near.loss(batch())

    assert loss.item() == pytest.approx(exact.loss(batch()).item(), rel=0.03)


@pytest.mark.parametrize(
    ("option", "value"),
    [("percentile", 70), ("decay", 1), ("burn_in", 200), ("example_dropout", "0.5")],
)
def test_an_option_out_of_range_is_named(option, value):
    """The error names the option, its value and its range."""
    with pytest.raises(ValueError, match=rf"{option} = '?{value}'? is not allowed: give"):
        make_method(**{option: value})
