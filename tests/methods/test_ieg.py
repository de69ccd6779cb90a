"""Tests of IEG: the virtual step by finite differences, the loss as a loop, and every switch."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, one_hot, softmax

from cnlw_tools.methods import Batch, ProbeSet, Task
from cnlw_tools.methods.components.batchnorm import batch_statistics
from cnlw_tools.methods.components.lookahead import logits_and_derivative, normalise_gains
from cnlw_tools.methods.components.pseudo_labels import (
    kl_divergence,
    rms_normalise,
    sharpened_pseudo_labels,
)
from cnlw_tools.methods.ieg import IEG, virtual_step
from cnlw_tools.methods.l2r import L2R

K, B, M = 3, 6, 9
F3 = torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 0, 0]])
HAT = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 1]])
BARE = {"anchors": False, "k": 0.0, "relabel": False}


def norm():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5), nn.LeakyReLU(0.1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(20, K)).double()


def make_batch(n, seed=0, views=2):
    draw = torch.Generator().manual_seed(seed)
    xs = tuple(torch.randn(n, 3, 4, 4, generator=draw, dtype=torch.double) for _ in range(views))
    return Batch(torch.arange(n), xs, torch.arange(n) % K)


def make_method(
    net=norm, probe=lambda m: make_batch(m, 1, 1), buffers=False, decay=0.0, **options: Any
) -> IEG:
    """Return a method with an optimiser, with momentum buffers from a step if wanted."""
    method = IEG(Task(net, B, K, 1, probe=ProbeSet(probe, list)), **{"probe_size": M, **options})
    method.optimiser = torch.optim.SGD(
        method.parameters(), lr=0.01, momentum=0.9, weight_decay=decay
    )
    if buffers:
        cross_entropy(method.net(make_batch(4, 2).x), make_batch(4).y).backward()
        method.optimiser.step()
        method.optimiser.zero_grad()
    return method


def slopes(method, batch):
    """Return the derivatives that the loss computes on the trusted examples."""
    with batch_statistics(method.net):
        return method.probe_derivatives(
            batch, make_batch(M, 1, 1), *(method.net(x) for x in batch.views)
        )


def close(expected, actual, tolerance=1e-5):
    torch.testing.assert_close(torch.as_tensor(expected), actual, rtol=tolerance, atol=tolerance)


def test_a_guess_is_sharpened():
    """P = (0.6, 0.3, 0.1) becomes P^2, normalised, at tau = 1/2, and stays P at tau = 1."""
    z = torch.tensor([[0.6, 0.3, 0.1]]).log()

    close([[0.782609, 0.195652, 0.021739]], sharpened_pseudo_labels([z], 0.5, False))
    close([[0.6, 0.3, 0.1]], sharpened_pseudo_labels([z], 1.0, False))


def test_guesses_of_two_views_with_and_without_logit_norm():
    """The pseudo-labels agree with numbers worked out by hand, also at a tiny temperature."""
    plain = [
        [0.807676, 0.154451, 0.037873],
        [0.106507, 0.786986, 0.106507],
        [0.209126, 0.209126, 0.581748],
    ]
    normed = [
        [0.860830, 0.126627, 0.012542],
        [0.052338, 0.895323, 0.052338],
        [0.155842, 0.155842, 0.688315],
    ]

    close(plain, sharpened_pseudo_labels([F3, HAT], 0.5, False))
    close(normed, sharpened_pseudo_labels([F3, HAT], 0.5, True))
    close(torch.eye(K), sharpened_pseudo_labels([F3, HAT], 0.001, False))


def test_logits_are_divided_by_their_root_mean_square():
    """The root mean square of the fixture is 0.745356, and a batch of zeros stays zero."""
    close(F3 / 0.745356, rms_normalise(F3))
    close(torch.zeros(2, K), rms_normalise(torch.zeros(2, K)))


def test_divergence_of_two_views():
    """The divergence agrees with hand-made numbers; its gradient is (p^ - p) / B for z^ only."""
    z, z_hat = F3.clone().requires_grad_(), HAT.clone().requires_grad_()
    divergences = kl_divergence(z, z_hat, True)
    divergences.mean().backward()

    close([0.302929, 0.0, 0.119499], divergences)
    assert z.grad is None
    close((softmax(HAT, 1) - softmax(F3, 1)) / 3, z_hat.grad)


def test_a_divergence_that_is_not_detached_pulls_both_ways():
    """The gradient for z is that of sum_k p (log p - log p^)."""
    z = F3.clone().requires_grad_()
    p = z.softmax(1)
    expected = torch.autograd.grad((p * (p.log() - softmax(HAT, 1).log())).sum(), z)[0]

    close(expected, torch.autograd.grad(kl_divergence(z, HAT, False).sum(), z)[0])


@pytest.mark.parametrize(
    ("buffer", "theta", "slope", "weight"),
    [
        (0.0, 0.066667, [-0.093333, 0.093333, -0.186667], [0.333321, 0.0, 0.666643]),
        (1.0, -0.023333, [-0.102333, 0.102333, -0.204667], [0.333322, 0.0, 0.666645]),
    ],
)
def test_the_fixture_of_the_meta_step(buffer, theta, slope, weight):
    """For f = theta x and squared loss, step and weights agree with hand-made numbers."""
    net, x, y = (
        nn.Linear(1, 1, bias=False),
        torch.tensor([[1.0], [1], [2]]),
        torch.tensor([1.0, -1, 1]),
    )
    parameters = {"weight": torch.zeros(1, 1)}
    gradient = (0 - y) @ x / 3
    stepped = virtual_step(parameters["weight"], gradient, torch.tensor([[buffer]]), 0.1, 0.9, 0.0)
    f, change = logits_and_derivative(net, parameters, {"weight": stepped - 1}, x)
    actual = -0.1 * (f.squeeze(1) - y) * change.squeeze(1)

    close([[theta]], stepped)
    close(slope, actual)
    close(weight, normalise_gains(-actual, 1e-5))


def test_weight_decay_shrinks_the_step_ahead():
    """Theta' = Theta - eta (g + decay Theta) without a buffer."""
    close(
        [2 - 0.1 * (3 + 0.5 * 2)],
        virtual_step(torch.tensor([2.0]), torch.tensor([3.0]), None, 0.1, 0.9, 0.5),
    )


@pytest.mark.parametrize(("label", "sign"), [(1, -1), (0, 1)])
def test_a_label_is_kept_if_it_helps(label, sign):
    """In logistic regression at 0 with a trusted 1, a label 1 is kept and a label 0 replaced."""

    class Logistic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.theta = nn.Parameter(torch.zeros(()))

        def forward(self, x):
            return torch.stack([torch.zeros_like(x), self.theta * x], 1)

    probe_y = torch.ones(1)
    method = IEG(Task(Logistic, 1, 2, 1, probe=ProbeSet(make_batch, list)), meta_lr=1e-4)
    method.optimiser = torch.optim.SGD(method.parameters(), lr=0.1)
    batch, probe = (
        Batch(torch.arange(1), (probe_y, probe_y), torch.tensor([label])),
        Batch(probe_y, (probe_y,), torch.tensor([1])),
    )
    z = method.net(probe_y)
    derivatives = method.probe_derivatives(batch, probe, z, z)

    close([[0.5, 0.5]], derivatives.guess)
    close([sign * 0.25 * 1e-4], derivatives.by_label, 1e-8)


@pytest.mark.parametrize("through_guess", [False, True])
@pytest.mark.parametrize("logit_norm", [False, True])
def test_slopes_are_those_of_the_virtual_step(through_guess, logit_norm):
    """Both derivatives equal finite differences of a real step with momentum and decay."""
    options = {"through_guess": through_guess, "logit_norm": logit_norm, "lam0": 0.6}
    method, batch, probe = (
        make_method(buffers=True, decay=0.3, **options),
        make_batch(B),
        make_batch(M, 1, 1),
    )
    parameters, label, step = (
        dict(method.net.named_parameters()),
        one_hot(batch.y, K).double(),
        1e-5,
    )

    def after(omega, lam):
        views = [method.net(x) for x in batch.views]
        p = torch.stack(
            [softmax(z / z.square().mean().sqrt() if logit_norm else z, 1) for z in views]
        ).mean(0)
        g = p**2 / (p**2).sum(1, keepdim=True)
        g = g if through_guess else g.detach()
        target = lam[:, None] * label + (1 - lam[:, None]) * g
        loss = -(omega[:, None] * target * views[0].log_softmax(1)).sum()
        loss = loss + 0.3 / 2 * sum((p**2).sum() for p in parameters.values())
        change = torch.autograd.grad(loss, list(parameters.values()))
        moved = {
            name: p - 0.1 * (c + 0.9 * method.optimiser.state[p]["momentum_buffer"])
            for (name, p), c in zip(parameters.items(), change, strict=True)
        }
        decay = 0.3 / 2 * sum((p**2).sum() for p in moved.values())
        return cross_entropy(functional_call(method.net, moved, (probe.x,)), probe.y) + decay

    omega, lam = torch.full((B,), 1 / B).double(), torch.full((B,), 0.6).double()
    derivatives = slopes(method, batch)
    with batch_statistics(method.net):
        for b, row in enumerate(step * torch.eye(B).double()):
            by_weight = (after(omega + row, lam) - after(omega - row, lam)) / (2 * step)
            by_label = (after(omega, lam + row) - after(omega, lam - row)) / (2 * step)
            torch.testing.assert_close(by_weight, derivatives.by_weight[b], rtol=1e-4, atol=1e-8)
            torch.testing.assert_close(by_label, derivatives.by_label[b], rtol=1e-4, atol=1e-8)


def test_the_momentum_of_the_optimiser_counts():
    """Without momentum, or before there is a buffer, the virtual step is another one."""
    batch = make_batch(B)
    by_weight = slopes(make_method(buffers=True), batch).by_weight

    assert not torch.allclose(
        by_weight, slopes(make_method(buffers=True, momentum=0.0), batch).by_weight
    )
    close(
        slopes(make_method(), batch).by_weight, slopes(make_method(momentum=0.0), batch).by_weight
    )


def test_l2_is_the_decay_of_each_group():
    """Without l2 or with decay 0 there is no decay, and each parameter group has its own."""
    batch, bare = make_batch(B), slopes(make_method(), make_batch(B)).by_weight
    close(bare, slopes(make_method(decay=0.3, l2=False), batch).by_weight)
    assert not torch.allclose(bare, slopes(make_method(decay=0.3), batch).by_weight)

    method = make_method()
    *body, bias = method.parameters()
    groups = [{"params": body, "weight_decay": 0.0}, {"params": [bias], "weight_decay": 0.3}]
    method.optimiser = torch.optim.SGD(groups, lr=0.1)
    by_weight = slopes(method, batch).by_weight
    assert not torch.allclose(bare, by_weight)
    assert not torch.allclose(slopes(make_method(decay=0.3), batch).by_weight, by_weight)


@pytest.mark.parametrize("halve", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.2, 1.0])
def test_the_loss_is_that_of_a_loop_over_examples(monkeypatch, halve, threshold):
    """All terms of the loss and their gradient equal those of a loop over examples."""
    monkeypatch.setattr(torch, "randint", lambda high, size, device: torch.arange(*size) + 2)
    monkeypatch.setattr(torch, "randperm", lambda n, device: torch.arange(n).flip(0))
    monkeypatch.setattr(torch, "rand", lambda n, device: torch.linspace(0, 1, n))
    method, batch, probe = (
        make_method(halve=halve, threshold=threshold),
        make_batch(B),
        make_batch(M, 1, 1),
    )
    derivatives = slopes(method, batch)
    gain = [max(-s.item(), 0.0) for s in derivatives.by_weight]
    weight = [v / (sum(gain) + 1e-5) for v in gain]
    label, hot = torch.eye(K).double()[batch.y], torch.eye(K).double()
    with batch_statistics(method.net):
        z, z_hat = (method.net(x) for x in batch.views)
        weighted, relabelled, kl = 0.0, 0.0, 0.0
        for b in range(B):
            log_p, g = z[b].log_softmax(0), derivatives.guess[b]
            weighted -= weight[b] * ((0.9 * label[b] + 0.1 * g) * log_p).sum()
            relabelled -= ((label[b] if derivatives.by_label[b] < 0 else g) * log_p).sum() / B
            p = log_p.detach().exp()
            kl += (p * (p.log() - z_hat[b].log_softmax(0))).sum() / B
        guess = [derivatives.guess[b] if weight[b] < threshold else label[b] for b in range(B)]
        pool = [*zip(probe.x[2 : B + 2], hot[probe.y[2 : B + 2]], strict=True)]
        pool += [*zip(batch.views[0], guess, strict=True), *zip(batch.views[1], guess, strict=True)]
        beta = [max(u * u / 2, 1 - u * u / 2) for u in torch.linspace(0, 1, 3 * B).tolist()]
        x, target = (
            torch.stack([s * pool[i][j] + (1 - s) * pool[-1 - i][j] for i, s in enumerate(beta)])
            for j in (0, 1)
        )
        out = method.net(x)
        mixed = 0.0
        for i in range(3 * B):
            third = out[i // B * B : i // B * B + B]
            log_p = (out[i] / third.square().mean().sqrt()).log_softmax(0)
            mixed -= (target[i] * log_p).sum() * (1 / B if i < B else 5 / (2 * B))
    expected = (weighted + relabelled) / (2 if halve else 1) + mixed + 20 * kl

    actual = method.loss(batch)
    parameters = list(method.net.parameters())
    torch.testing.assert_close(expected, actual, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        torch.autograd.grad(expected, parameters),
        torch.autograd.grad(actual, parameters),
        rtol=1e-5,
        atol=1e-6,
    )
    close([v / max(weight) for v in weight], method.example_weights, 1e-4)
    close(cross_entropy(z, batch.y, reduction="none").detach().float(), method.example_losses)


def test_without_all_but_weights_it_is_l2r():
    """M-1: weights and loss equal those of L2R with delta = 1e-5 / eta."""
    batch, task = (
        make_batch(B),
        Task(norm, B, K, 1, probe=ProbeSet(lambda m: make_batch(m, 1, 1), list)),
    )
    method = make_method(omega0=0.0, momentum=0.0, l2=False, decay=0.3, buffers=False, **BARE)
    l2r = L2R(task, probe_size=M, delta=1e-5 / 0.1)

    torch.testing.assert_close(l2r.loss(batch), method.loss(batch))
    torch.testing.assert_close(l2r.example_weights, method.example_weights)


def test_every_component_can_be_left_out():
    """M-3, M-4, M-6, M-8, M-9: the loss is the sum of the remaining terms."""
    batch, only = make_batch(B), {"anchors": False, "k": 0.0}

    def total(**options: Any) -> Tensor:
        torch.manual_seed(0)
        return make_method(**options).loss(batch).detach()

    pair, mixed = total(**only), total(k=0.0) - total(**only)
    consistent = total(anchors=False) - pair
    assert mixed > 0
    assert consistent > 0
    torch.testing.assert_close(pair + mixed + consistent, total())
    torch.testing.assert_close(total(anchors=False, k=10.0) - pair, consistent / 2)
    assert not torch.allclose(total(**BARE), pair)
    unmixed = total(k=0.0, alpha=0.0) - pair
    assert not torch.allclose(unmixed, mixed)


def test_without_relabelling_the_target_is_the_label():
    """M-8: L_omega uses Y only, is not halved, and there is no L_lam."""
    method, batch = make_method(**BARE), make_batch(B)
    weight = normalise_gains(-slopes(method, batch).by_weight, 1e-5)
    expected = (weight * cross_entropy(method.net(batch.x), batch.y, reduction="none")).sum()

    torch.testing.assert_close(expected, method.loss(batch))


def test_rows_that_are_not_mixed_are_seen_as_they_are():
    """M-9: with alpha = 0 L_mix is the loss of trusted rows plus p times that of both views."""
    method, batch, probe = (
        make_method(alpha=0.0, logit_norm=False),
        make_batch(3),
        make_batch(3, 1, 1),
    )
    same = Batch(probe.index, (probe.x[:1],), probe.y[:1])  # whichever is drawn, it is this
    guess = softmax(torch.randn(3, K, dtype=torch.double), 1)
    with batch_statistics(method.net):
        z = method.net(torch.cat([same.x.expand(3, -1, -1, -1), *batch.views]))
        expected = cross_entropy(z[:3], same.y.expand(3)) + 5 * cross_entropy(
            z[3:], torch.cat([guess, guess])
        )

        torch.testing.assert_close(expected, method.mixing_loss(batch, same, guess))


@pytest.mark.parametrize(("approximate", "mean"), [(True, 5 / 6), (False, 0.5 + 1 / math.pi)])
def test_shares_are_folded(approximate, mean):
    """Each row keeps at least half; the mean is 5/6 for the code's draw, 1/2 + 1/pi for Beta."""
    torch.manual_seed(0)
    shares = make_method(approximate=approximate).draw_shares(torch.zeros(40_000))

    assert 0.5 <= shares.min() <= shares.max() <= 1
    assert shares.mean().item() == pytest.approx(mean, abs=0.003)


def test_only_the_pass_over_the_first_view_moves_running_averages():
    """The running averages are those after one pass over the first view."""
    method, batch, once = make_method(), make_batch(B), norm()
    once(batch.x)
    method.loss(batch)

    torch.testing.assert_close(dict(once.named_buffers()), dict(method.net.named_buffers()))


def test_where_no_example_helps_the_rest_still_learns():
    """If no example helps, all weights are 0 and the other terms are finite."""
    x = torch.ones(4, 3, 4, 4).double()
    probe = Batch(torch.arange(4), (x,), torch.full((4,), 1))
    batch = Batch(torch.arange(4), (x, x), torch.tensor([0, 2, 0, 2]))

    def zero():
        net = nn.Sequential(nn.Flatten(), nn.Linear(48, K)).double()
        for p in net.parameters():
            nn.init.zeros_(p)
        return net

    method = make_method(zero, lambda m: probe)
    loss = method.loss(batch)
    loss.backward()

    assert torch.equal(torch.zeros(4), method.example_weights[:4])
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in method.parameters())


def test_a_batch_of_one():
    """One example and one trusted example give a finite loss."""
    assert make_method(probe_size=1).loss(make_batch(1)).isfinite()


def test_bfloat16_is_near_float32():
    """Under autocast loss and derivatives are close to those without."""

    def half(n, seed=0, views=2):
        return Batch(
            torch.arange(n),
            tuple(x.float() for x in make_batch(n, seed, views).views),
            make_batch(n).y,
        )

    def seen(**options: Any) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        method = make_method(lambda: norm().float(), lambda m: half(m, 1, 1), **options)
        loss = method.loss(half(B))
        loss.backward()
        return loss.detach(), method.example_weights

    for options in ({"through_guess": False}, {"through_guess": True}):
        expected = seen(**options)
        with torch.autocast("cpu", torch.bfloat16):
            actual = seen(**options)
        torch.testing.assert_close(expected, actual, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[
            ("p", -1),
            ("k", -1),
            ("k", float("nan")),
            ("temperature", 0),
            ("lam0", 1.1),
            ("omega0", -1),
        ],
        *[("meta_lr", 0), ("momentum", 1.1), ("delta", -1), ("alpha", -1), ("threshold", 2)],
    ],
)
def test_options_out_of_range_are_named(option, value):
    """The error names the option, its value and its range."""
    with pytest.raises(ValueError, match=rf"{option} = {value} is not allowed: give a number "):
        make_method(**{option: value})


def test_switches_are_true_or_false():
    """A word is no flag, and relabelling needs examples with weight."""
    with pytest.raises(ValueError, match="halve = 'no' is not allowed: give true or false"):
        make_method(halve="no")
    with pytest.raises(ValueError, match=r"omega0 = 0: .* relabel = false"):
        make_method(omega0=0)
