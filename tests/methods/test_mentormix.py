"""Tests of MentorMix: algorithm 1 as a loop, edge cases, and the state after the first pass."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax
from torch.utils._python_dispatch import TorchDispatchMode

from cnlw_tools.methods import METHODS, Batch, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.mentor import PACKAGED_MENTOR, read_mentor
from cnlw_tools.methods.components.mixing import sample_beta
from cnlw_tools.methods.mentormix import draw_partners, example_shares, partner_probabilities

B, K = 12, 4


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 36, K)
    )


def make_method(**options: object):
    method = METHODS["mentormix"](Task(net, n_examples=30, n_classes=K, epochs=2), **options)
    method.progress = 0.5
    return method


def batch(seed=0, n=B):
    draw = torch.Generator().manual_seed(seed)
    index = torch.randperm(30, generator=draw)[:n]
    return Batch(
        index, (torch.randn(n, 3, 8, 8, generator=draw),), torch.randint(0, K, (n,), generator=draw)
    )


def weighed(losses, gamma, mentor):
    if mentor == "threshold":
        return [float(loss < gamma) for loss in losses]
    loss = torch.tensor(losses)
    return read_mentor(mentor)(loss, loss - gamma, torch.full((len(losses),), 50)).tolist()


def naive(
    examples,
    network,
    gammas,
    alpha=8.0,
    percentile=0.7,
    mentor="threshold",
    decay=0.5,
    temperature=1.0,
    **how: bool,
):
    """Return images, weights and loss by algorithm 1, line by line, with the same draws."""
    x, y, n = examples.x, examples.y.tolist(), len(examples.y)
    first = (-log_softmax(network(x), 1)[range(n), y]).tolist()
    gammas[0] = decay * gammas[0] + (1 - decay) * sorted(first)[round(percentile * (n - 1))]
    v = weighed(first, gammas[0], mentor)
    clocks = torch.empty(n, n).exponential_().tolist()
    lams = sample_beta(alpha, (n,), x).tolist()
    images, targets = [], []
    for i in range(n):
        j = min(
            range(n), key=lambda j: clocks[i][j] / math.exp(v[j] / temperature)
        )  # softmax's sum is the same for all
        lam, w = lams[i], float(v[i] >= 0.5) if how.get("hard_switch") else v[i]
        lam = w * max(lam, 1 - lam) + (1 - w) * min(lam, 1 - lam)
        images.append(lam * x[i] + (1 - lam) * x[j])
        targets.append([lam * (k == y[i]) + (1 - lam) * (k == y[j]) for k in range(K)])
    z = log_softmax(network(torch.stack(images)), 1)
    mixed = [-sum(t * z[i][k] for k, t in enumerate(targets[i])) for i in range(n)]
    values = [loss.item() for loss in mixed]
    gammas[1] = decay * gammas[1] + (1 - decay) * sorted(values)[round(percentile * (n - 1))]
    again = weighed(values, gammas[1], mentor) if how.get("second_reweight", True) else [1.0] * n
    return v, sum(w * m for w, m in zip(again, mixed, strict=True)) / n


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"second_reweight": True, "alpha": 4.0, "percentile": 0.2},
        {"second_reweight": False, "percentile": 0.8},
        {"mentor": PACKAGED_MENTOR, "percentile": 0.6, "second_reweight": False},
        {"mentor": PACKAGED_MENTOR, "hard_switch": True, "second_reweight": True},
        {"temperature": 0.2, "decay": 0.0, "alpha": 0.3},
    ],
    ids=str,
)
def test_oracle(options):
    """Loss, weights, gradient and thresholds equal those of the algorithm, batch after batch."""
    method, gammas = make_method(**options), [0.0, 0.0]
    for seed in range(3):
        examples, plain = batch(seed), net()
        torch.manual_seed(seed)
        v, expected = naive(examples, plain, gammas, **options)
        expected.backward()

        torch.manual_seed(seed)
        method.zero_grad()
        loss = method.loss(examples)
        loss.backward()

        assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
        assert method.example_weights[examples.index].tolist() == pytest.approx(v, abs=1e-4)
        assert method.curriculum.threshold.item() == pytest.approx(gammas[0], rel=1e-4)
        for actual, reference in zip(method.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(actual.grad, reference.grad, atol=1e-5)


def test_the_second_threshold_is_its_own():
    """One threshold follows the losses of images, the other those of mixed images."""
    method, plain, gammas = make_method(second_reweight=True), net(), [0.0, 0.0]
    torch.manual_seed(5)
    naive(batch(), plain, gammas)
    torch.manual_seed(5)
    method.loss(batch())

    assert [
        method.curriculum.threshold.item(),
        method.second_curriculum.threshold.item(),
    ] == pytest.approx(gammas)
    assert gammas[0] != pytest.approx(gammas[1], rel=1e-2)


def test_chances():
    """Weights 1, 1, 0, 0 give probabilities 0.3655 and 0.1345; equal weights equal ones."""
    v = torch.tensor([1.0, 1.0, 0.0, 0.0])

    assert partner_probabilities(v).tolist() == pytest.approx(
        [0.365529] * 2 + [0.134471] * 2, abs=1e-6
    )
    assert partner_probabilities(v, temperature=0.01).tolist() == pytest.approx([0.5, 0.5, 0, 0])
    assert partner_probabilities(torch.ones(5)).tolist() == pytest.approx([0.2] * 5)


def test_partners_are_drawn_by_their_chances():
    """Of 20,000 draws each partner has its share within five deviations, also at probability 0."""
    torch.manual_seed(0)
    p = torch.tensor([0.5, 0.25, 0.2, 0.05, 0.0])

    partners = torch.stack([draw_partners(p) for _ in range(4000)])  # (4000, 5)

    often = torch.stack([(partners == j).float().mean(0) for j in range(5)], 1)  # (i, j)
    assert ((often - p).abs() <= 5 * (p * (1 - p) / 4000).sqrt()).all()


@pytest.mark.parametrize(
    ("v", "soft", "hard"), [(1.0, 0.7, 0.7), (0.0, 0.3, 0.3), (0.25, 0.4, 0.3), (0.5, 0.5, 0.7)]
)
@pytest.mark.parametrize("raw_lam", [0.3, 0.7])
def test_own_share(v, soft, hard, raw_lam):
    """The paper's formula and the code's switch agree for weights of 0 and 1."""
    lam, weight = torch.tensor([raw_lam]), torch.tensor([v])

    assert example_shares(lam, weight).item() == pytest.approx(soft)
    assert example_shares(lam, weight, hard=True).item() == pytest.approx(hard)


def record_inputs(method):
    """Record the inputs of the network, and whether they are passed with a gradient."""
    inputs = []
    method.net.register_forward_pre_hook(
        lambda _, args: inputs.append((args[0], torch.is_grad_enabled()))
    )
    return inputs


def test_only_the_mixed_forward_leaves_a_trace():
    """The first pass has no gradient and moves no running average; nor have weights any."""
    method, examples = make_method(second_reweight=True), batch()
    inputs = record_inputs(method)
    method.loss(examples).backward()

    plain = net()
    plain(inputs[1][0])

    assert [grad for _, grad in inputs] == [False, True]
    assert torch.equal(inputs[0][0], examples.x)
    assert not inputs[1][0].requires_grad
    assert not method.example_weights.requires_grad
    for actual, expected in zip(method.net.buffers(), plain.buffers(), strict=True):
        assert torch.equal(actual, expected)


def picture(n=B):
    """Return images with one bright pixel each, which shows in a blend who is part of it."""
    return Batch(torch.arange(n), (torch.eye(n, 192).reshape(n, 3, 8, 8),), torch.arange(n) % K)


@pytest.mark.parametrize("trusted", [True, False])
def test_all_weights_alike(monkeypatch, trusted):
    """With weights of 1 each example keeps more than half of itself, with weights of 0 less."""
    torch.manual_seed(0)
    method = make_method(alpha=1.0)
    monkeypatch.setattr(
        method.curriculum, "rule", lambda losses, difference, e: torch.full_like(losses, trusted)
    )
    inputs = record_inputs(method)
    method.loss(picture())

    shares = inputs[1][0].flatten(1)[:, :B]  # (i, j)
    own_shares, partner_shares = shares.diagonal(), shares - shares.diag().diag()
    assert shares.sum(1).tolist() == pytest.approx([1] * B)
    assert ((own_shares >= 0.5) == (trusted | (own_shares > 1 - 1e-6))).all()
    assert ((partner_shares > 0).sum(1) <= 1).all()
    assert (partner_shares > 0).sum(0).max() > 1


def test_a_large_alpha_mixes_half_and_half():
    """With lam close to 1/2 the weights no longer decide the proportions."""
    method = make_method(alpha=1e8)
    inputs = record_inputs(method)
    method.loss(picture())

    shares = inputs[1][0].flatten(1)[:, :B]
    assert (((shares - 0.5).abs() < 1e-3) | (shares == 0) | (shares > 0.999)).all()


def test_a_batch_of_one_is_its_own_partner():
    """A batch of one is not mixed and gives cross-entropy."""
    examples = batch(n=1)

    assert make_method(second_reweight=False).loss(examples).item() == pytest.approx(
        cross_entropy(net()(examples.x), examples.y).item(), rel=1e-5
    )


def test_during_burn_in_every_weight_is_one():
    """The burn-in takes nine percent by default, and the threshold moves already."""
    method = make_method()
    method.progress = 0.085
    method.loss(batch())

    assert method.example_weights[batch().index].tolist() == [1.0] * B
    assert method.curriculum.threshold > 0


def test_off_is_cross_entropy():
    """With its cross-entropy options the loss equals cross-entropy to the last bit."""
    method, examples = make_method(**METHODS["mentormix"].cross_entropy_options), batch()

    assert torch.equal(
        method.loss(examples), cross_entropy(net()(examples.x), examples.y, reduction="none").mean()
    )


def test_partners_stay_on_their_rank_and_the_threshold_does_not(monkeypatch):
    """Losses of another rank move the threshold, and partners are from this rank."""
    monkeypatch.setattr(distributed, "all_gather", lambda x: torch.cat([x, x + 10]))
    method = make_method(percentile=1.0, decay=0.0)
    loss = method.loss(batch())

    assert method.curriculum.threshold > 10
    assert method.example_weights[batch().index].tolist() == [1.0] * B
    assert loss.isfinite()


def test_the_batch_stays_as_it_was():
    """The loss does not change its batch."""
    examples, same = batch(), batch()
    make_method().loss(examples)

    assert torch.equal(examples.x, same.x)
    assert torch.equal(examples.y, same.y)


def test_a_mentor_does_not_learn():
    """The only parameters are the network's, and all of them get a gradient."""
    method = make_method(mentor=PACKAGED_MENTOR, second_reweight=True)
    method.loss(batch()).backward()

    assert len(list(method.parameters())) == len(list(net().parameters()))
    assert all(p.grad.abs().sum() > 0 for p in method.parameters() if p is not method.net[0].bias)


def test_a_run_goes_on_where_it_stopped():
    """A copy with the same state has the same next loss."""
    old, new = (
        make_method(mentor=PACKAGED_MENTOR, second_reweight=True, percentile=0.5) for _ in range(2)
    )
    old.loss(batch(1))
    new.load_state_dict(old.state_dict())

    losses = []
    for method in (old, new):
        torch.manual_seed(3)
        losses.append(method.loss(batch(2)))

    assert torch.equal(*losses)
    assert new.second_curriculum.threshold == old.second_curriculum.threshold > 0


class NoWaiting(TorchDispatchMode):
    """Fails where the host would wait for the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> object:
        assert not {"_local_scalar_dense", "nonzero", "masked_select", "multinomial"} & {
            func.overloadpacket.__name__
        }
        return func(*args, **(kwargs or {}))


def test_a_step_never_waits_for_the_device():
    """A step asks for no value from the device."""
    method, examples = make_method(mentor=PACKAGED_MENTOR, second_reweight=True), batch()

    with NoWaiting():
        method.loss(examples)


def test_bfloat16_is_near():
    """Under autocast the loss is close to that without, and every parameter has a gradient."""
    losses = []
    for enabled in (False, True):
        method = make_method(mentor="baseline")
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(method.loss(batch()))
        losses[-1].backward()
        assert all(p.grad is not None for p in method.parameters())

    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.03)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("alpha", -1),
        ("alpha", math.inf),
        ("temperature", 0),
        ("percentile", 70),
        ("decay", 1),
        ("burn_in", 200),
        ("hard_switch", 1),
        ("second_reweight", "yes"),
    ],
)
def test_an_option_out_of_range_is_named(option, value):
    """The error names the option, its value and its range."""
    with pytest.raises(ValueError, match=rf"{option} = '?{value}'? is not allowed: give"):
        make_method(**{option: value})
