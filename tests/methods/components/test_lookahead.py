"""Tests of the virtual step: gradients on trusted examples against loops and finite differences."""

import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from cnlw_tools.methods import METHODS, Batch, ProbeSet, Task
from cnlw_tools.methods.components import lookahead
from cnlw_tools.methods.components.batchnorm import batch_statistics
from cnlw_tools.methods.components.lookahead import (
    at_least_float32,
    check_probe_size,
    draw_probe,
    logits_and_derivative,
    normalise_gains,
    probe_gradient,
    trainable_parameters,
)
from tests.methods.components import lookahead_rank

K = 3


class Dropped(nn.Dropout):
    """Dropout that draws the same mask every time."""

    def forward(self, x: Tensor) -> Tensor:
        """Seed the generator, then drop."""
        torch.manual_seed(1)
        return super().forward(x)


NETS = {
    "convolution": lambda: nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(20, K)),
    "batch norm": lambda: nn.Sequential(
        nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(20, K)
    ),
    "leaky": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(48, 8), nn.LeakyReLU(0.1), nn.Linear(8, K)
    ),
    "in place": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(48, 8), nn.ReLU(inplace=True), nn.Linear(8, K)
    ),
    "max pool": lambda: nn.Sequential(
        nn.Conv2d(3, 5, 1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(20, K)
    ),
    "average pool": lambda: nn.Sequential(
        nn.Conv2d(3, 5, 1), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, K)
    ),
    "dropout": lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 8), Dropped(0.5), nn.Linear(8, K)),
    "grouped": lambda: nn.Sequential(
        nn.Conv2d(3, 6, 3, groups=3), nn.GroupNorm(2, 6), nn.SiLU(), nn.Flatten(), nn.Linear(24, K)
    ),
}


def make_net(name: str) -> nn.Module:
    torch.manual_seed(0)
    return NETS[name]().double()


def make_batch(n: int) -> Batch:
    x = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(n), dtype=torch.double)
    return Batch(torch.arange(n), (x,), torch.arange(n) % K)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", NETS)
def test_logits_move_as_finite_differences_say(name, layout):
    """The derivative along a direction equals finite differences, for each type of layer."""
    if name == "grouped" and layout == torch.channels_last and torch.__version__ < "2.12":
        pytest.skip("torch 2.11 has no forward mode for it")
    net, x = (
        make_net(name).to(memory_format=layout),
        make_batch(6).x.contiguous(memory_format=layout),
    )
    parameters, step = trainable_parameters(net), 1e-6
    direction = {name: torch.randn_like(p) for name, p in parameters.items()}
    with batch_statistics(net):
        z, derivative = logits_and_derivative(net, parameters, direction, x)
        ends = []
        for sign in (1, -1):
            shifted = {name: p + sign * step * direction[name] for name, p in parameters.items()}
            ends.append(torch.func.functional_call(net, shifted, (x,)))
        expected = (ends[0] - ends[1]) / (2 * step)

        torch.testing.assert_close(net(x), z)
    torch.testing.assert_close(expected, derivative, rtol=1e-6, atol=1e-7)
    assert not z.requires_grad
    assert not derivative.requires_grad


def test_an_inner_product_of_gradients_is_one_of_logits():
    """<g_p, grad l_b> by a loop equals <dl_b / dz, z'>, also with batch normalisation."""
    net, batch, probe = make_net("batch norm"), make_batch(6), make_batch(9)
    parameters = list(net.parameters())
    with batch_statistics(net):
        g_p = probe_gradient(net, trainable_parameters(net), probe)
        g = torch.autograd.grad(cross_entropy(net(probe.x), probe.y), parameters)
        expected = []
        for b in range(6):
            example_gradient = torch.autograd.grad(
                cross_entropy(net(batch.x), batch.y, reduction="none")[b], parameters
            )
            expected.append(sum((p * q).sum() for p, q in zip(g, example_gradient, strict=True)))
        z, derivative = logits_and_derivative(net, trainable_parameters(net), g_p, batch.x)
        z = z.requires_grad_()
        loss_gradient = torch.autograd.grad(cross_entropy(z, batch.y, reduction="sum"), z)[0]

    torch.testing.assert_close(torch.stack(expected), (loss_gradient * derivative).sum(1))


def test_a_layout_without_forward_mode_is_refused(monkeypatch):
    """As an operation without it is; other errors of torch are passed on."""
    net, batch = make_net("grouped"), make_batch(2)
    texts = iter(["view size is not compatible with input tensor's size", "another"])

    def fail(*_):
        raise RuntimeError(next(texts))

    monkeypatch.setattr(lookahead, "functional_call", fail)
    for error, message in ((ValueError, "use another network"), (RuntimeError, "another")):
        with pytest.raises(error, match=message):
            logits_and_derivative(net, {}, {}, batch.x)


def test_an_operation_without_forward_mode_is_refused():
    """The error names the network, the message of torch and the remedy."""

    class Backwards(torch.autograd.Function):
        @staticmethod
        def forward(x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
            pass

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            return g

    class Bent(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return Backwards.apply(super().forward(x.flatten(1)))

    net = Bent(48, K)
    with pytest.raises(
        ValueError, match=r"(?s)Bent has an operation without .* use another network .*jvp"
    ):
        logits_and_derivative(
            net, trainable_parameters(net), trainable_parameters(net), torch.randn(2, 3, 4, 4)
        )


def test_weights_are_rectified_and_sum_to_one():
    """Gains 1, -1, 2 give weights 1/3, 0, 2/3, whatever their scale."""
    expected = torch.tensor([1 / 3, 0, 2 / 3])

    torch.testing.assert_close(expected, normalise_gains(torch.tensor([1.0, -1, 2]), 0))
    torch.testing.assert_close(expected, normalise_gains(torch.tensor([1e-30, -1e-30, 2e-30]), 0))


def test_no_gain_is_no_weight():
    """If no example helps, all weights are 0 and nothing is divided by 0."""
    for delta in (0, 1e-5):
        assert torch.equal(torch.zeros(3), normalise_gains(torch.tensor([-1.0, 0, -2]), delta))


def test_parameters_that_do_not_learn_stay_out():
    """A frozen layer is not part of the direction."""
    net = make_net("leaky")
    net[1].requires_grad_(False)

    assert {"3.weight", "3.bias"} == set(trainable_parameters(net))
    assert {"3.weight", "3.bias"} == set(
        probe_gradient(net, trainable_parameters(net), make_batch(4))
    )


def test_logits_of_autocast_are_widened_and_exact_ones_kept():
    """bfloat16 becomes float32; float64 stays."""
    assert at_least_float32(torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert at_least_float32(torch.zeros(1, dtype=torch.double)).dtype == torch.double


def test_one_rank_keeps_all_that_it_draws():
    """With a single rank the batch is the one that was drawn."""
    probe = draw_probe(Task(make_net, 1, K, 1, probe=ProbeSet(make_batch, list)), 7)

    assert torch.equal(make_batch(7).x, probe.x)
    assert torch.equal(make_batch(7).y, probe.y)


@pytest.mark.parametrize("value", [0, 2.5, True, "10"])
def test_trusted_examples_are_counted_in_whole_numbers(value):
    """A probe size that is no whole number from 1 up is refused."""
    with pytest.raises(
        ValueError,
        match=f"probe_size = {value!r} is not allowed: give a whole number of at least 1",
    ):
        check_probe_size(value)


@pytest.mark.parametrize("name", ["l2r", "ieg"])
def test_the_cost_is_counted(name):
    """The stated cost equals the operations of a step relative to vanilla, within 5 percent."""

    def net():
        layers = [
            nn.Conv2d(3, 8, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3),
            nn.BatchNorm2d(16),
        ]
        return nn.Sequential(
            *layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, K)
        )

    def images(n):
        return Batch(torch.arange(n), (torch.randn(n, 3, 8, 8),), torch.arange(n) % K)

    def count(name, **options: Any) -> int:
        method = METHODS[name](Task(net, 6, K, 1, probe=ProbeSet(images, list)), **options)
        method.optimiser = torch.optim.SGD(method.parameters(), lr=0.1)
        batch = Batch(torch.arange(6), images(6).views * len(method.views), torch.arange(6) % K)
        with FlopCounterMode(display=False) as counter:
            method.loss(batch).backward()
        return counter.get_total_flops()

    assert METHODS[name].relative_cost == pytest.approx(
        count(name, probe_size=6) / count("vanilla"), rel=0.05
    )


@pytest.mark.slow
def test_two_ranks_learn_what_one_does(tmp_path):
    """Two processes with half of each batch take the same steps as one with the whole."""
    program = [sys.executable, "-m", "tests.methods.components.lookahead_rank", str(tmp_path)]
    subprocess.run(program, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    lookahead_rank.write_states(str(tmp_path), "single")
    single, *parts = (torch.load(tmp_path / name) for name in ("single", "rank0", "rank1"))

    for name in ("l2r", "ieg", "through"):
        halves = torch.cat([part[name]["weights"] for part in parts])
        torch.testing.assert_close(single[name]["weights"], halves, rtol=1e-4, atol=1e-6)
        assert single[name]["weights"].unique().numel() > 3
        for part in parts:
            torch.testing.assert_close(single[name]["net"], part[name]["net"], rtol=1e-4, atol=1e-6)
