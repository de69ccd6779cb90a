"""Tests of L2R: a loop over examples, a real virtual step, and batches without helpful examples."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from cnlw_tools.methods import Batch, ProbeSet, Task
from cnlw_tools.methods.components.lookahead import logits_and_derivative, normalise_gains
from cnlw_tools.methods.l2r import L2R, example_gains

K, B, M = 3, 6, 9


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.Tanh(), nn.Linear(8, K)).double()


def norm():
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(3, 5, 3, bias=False),
        nn.BatchNorm2d(5),
        nn.LeakyReLU(0.1),
        nn.MaxPool2d(2),
        nn.Flatten(),
    ]
    return nn.Sequential(*layers, nn.Linear(5, K)).double()


def make_batch(n, seed=0):
    x = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    return Batch(torch.arange(n), (x,), torch.arange(n) % K)


def single(batch):
    """Return a batch whose images are of 32 bits."""
    return replace(batch, views=(batch.x.float(),))


def make_method(net=norm, probe=lambda m: make_batch(m, 1), **options: Any) -> L2R:
    return L2R(Task(net, B, K, 1, probe=ProbeSet(probe, list)), **{"probe_size": M, **options})


@pytest.mark.parametrize("make_net", [plain, norm])
def test_weights_are_computed_in_full_precision(make_net):
    """Under autocast, too, for published results are those of float32."""
    method = make_method(lambda: make_net().float(), lambda m: single(make_batch(m, 1)))
    batch = single(make_batch(B))
    expected = method.weigh(batch)
    with torch.autocast("cpu", torch.bfloat16):
        weights = method.weigh(batch)

    assert torch.equal(expected, weights)


def test_the_fixture_of_three_examples():
    """For f = theta x and squared loss, gains 1, -1, 2 give weights 1/3, 0, 2/3."""
    net, x, y = (
        nn.Linear(1, 1, bias=False),
        torch.tensor([[1.0], [1], [2]]),
        torch.tensor([[1.0], [-1], [1]]),
    )
    nn.init.zeros_(net.weight)
    f, change = logits_and_derivative(
        net, {"weight": net.weight.detach()}, {"weight": torch.tensor([[-1.0]])}, x
    )
    gain = ((f - y) * change).squeeze(1)

    torch.testing.assert_close(torch.tensor([1.0, -1, 2]), gain)
    torch.testing.assert_close(torch.tensor([1 / 3, 0, 2 / 3]), normalise_gains(gain, 0))


def test_gains_are_those_of_the_virtual_step():
    """u equals minus the finite difference of L_v after a step with weights eps, at eps = 0."""
    method, batch, probe, step = make_method(plain), make_batch(B), make_batch(M, 1), 1e-4
    parameters = dict(method.net.named_parameters())

    def after(eps):
        losses = cross_entropy(method.net(batch.x), batch.y, reduction="none")
        g = torch.autograd.grad((eps * losses).sum(), list(parameters.values()))
        moved = {name: p - change for (name, p), change in zip(parameters.items(), g, strict=True)}
        return cross_entropy(functional_call(method.net, moved, (probe.x,)), probe.y)

    rows = step * torch.eye(B, dtype=torch.double)
    expected = torch.stack([(after(-row) - after(row)) / (2 * step) for row in rows])
    torch.testing.assert_close(
        normalise_gains(expected, 0), method.weigh(batch), rtol=1e-5, atol=1e-7
    )
    torch.testing.assert_close(
        normalise_gains(expected, 0.1),
        make_method(plain, delta=0.1).weigh(batch),
        rtol=1e-5,
        atol=1e-7,
    )


@pytest.mark.parametrize("net", [plain, norm])
def test_the_loss_is_that_of_a_loop_over_examples(net):
    """The loss equals that of a loop over the gradients of the examples."""
    method, batch, probe = make_method(net), make_batch(B), make_batch(M, 1)
    parameters = list(method.net.parameters())
    g_v = torch.autograd.grad(cross_entropy(method.net(probe.x), probe.y), parameters)
    losses = cross_entropy(method.net(batch.x), batch.y, reduction="none")
    u = []
    for b in range(B):
        g = torch.autograd.grad(losses[b], parameters, retain_graph=True)
        u.append(max(sum((p * q).sum().item() for p, q in zip(g, g_v, strict=True)), 0.0))
    w = torch.tensor([v / sum(u) for v in u], dtype=torch.double)
    expected = (w * losses).sum()

    actual = method.loss(batch)
    torch.testing.assert_close(expected, actual)
    torch.testing.assert_close(
        torch.autograd.grad(expected, parameters), torch.autograd.grad(actual, parameters)
    )
    torch.testing.assert_close((w / w.max()).float(), method.example_weights)
    torch.testing.assert_close(losses.detach().float(), method.example_losses)


def test_gains_are_an_inner_product_of_logits():
    """u_b = sum_k (p_bk - Y_bk) z'_bk, row by row."""
    z, change, y = torch.randn(4, K), torch.randn(4, K), torch.tensor([0, 1, 2, 1])
    expected = []
    for b in range(4):
        p = z[b].exp() / z[b].exp().sum()
        expected.append(sum((p[k] - float(k == y[b])) * change[b, k] for k in range(K)))

    torch.testing.assert_close(torch.stack(expected), example_gains(z, change, y))


def test_trusted_examples_count_themselves():
    """If the batch is the trusted one, gains sum to |g_v|^2, and wrong labels get less weight."""
    batch = make_batch(B)
    weights = make_method(plain, probe=lambda m: batch).weigh(batch)
    assert weights.sum().item() == pytest.approx(1)

    turned = Batch(batch.index, batch.views, torch.cat([batch.y[:3], (batch.y[3:] + 1) % K]))
    weights = make_method(plain, probe=lambda m: batch).weigh(turned)
    assert weights[:3].sum() > weights[3:].sum()


def test_where_nothing_helps_nothing_is_learned():
    """If all gradients oppose the trusted one, weights and gradient are 0, and none is NaN."""
    x = torch.ones(4, 3, 4, 4, dtype=torch.double)
    method = make_method(plain, probe=lambda m: Batch(torch.arange(4), (x,), torch.full((4,), 1)))
    for p in method.parameters():
        nn.init.zeros_(p)
    batch = Batch(torch.arange(4), (x,), torch.tensor([0, 2, 0, 2]))
    loss = method.loss(batch)
    loss.backward()

    assert loss.item() == 0
    assert all(torch.equal(torch.zeros_like(p), p.grad) for p in method.parameters())
    assert torch.equal(torch.zeros(4), method.example_weights[:4])


def test_only_the_pass_that_is_learned_from_moves_running_averages():
    """The running averages are those after one pass over the batch."""
    method, batch = make_method(), make_batch(B)
    once = norm()
    once(batch.x)
    method.loss(batch)

    torch.testing.assert_close(dict(once.named_buffers()), dict(method.net.named_buffers()))


def test_bfloat16_is_near_float32():
    """Under autocast the weights are close to those without."""
    batch = Batch(torch.arange(B), (make_batch(B).x.float(),), make_batch(B).y)
    method = make_method(
        lambda: norm().float(),
        probe=lambda m: Batch(torch.arange(m), (make_batch(m, 1).x.float(),), make_batch(m).y),
    )
    expected = method.weigh(batch)
    with torch.autocast("cpu", torch.bfloat16):
        method.loss(batch).backward()
        actual = method.weigh(batch)

    torch.testing.assert_close(expected, actual, rtol=0.1, atol=0.05)


def test_it_needs_trusted_examples():
    """Without a probe set the error says how to get one."""
    with pytest.raises(ValueError, match=r"L2R needs a trusted set, .* `--probe 10`"):
        L2R(Task(plain, B, K, 1))


@pytest.mark.parametrize(("option", "value"), [("delta", -1.0), ("delta", float("nan"))])
def test_options_out_of_range_are_named(option, value):
    """The error names the option, its value and its range."""
    with pytest.raises(ValueError, match=rf"{option} = {value} is not allowed: give a number "):
        make_method(**{option: value})
