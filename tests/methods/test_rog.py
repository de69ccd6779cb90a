"""Tests of RoG: the Gaussians as loops, the heads, their weights, and when they predict."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from cnlw_tools.methods import Task
from cnlw_tools.methods.rog import (
    Gaussians,
    RoG,
    fit_gaussians,
    fit_robust_gaussians,
    fit_unit_weights,
    linear_classifier,
    smallest_of_each_class,
)


def features(n=300, d=5, seed=0):
    """Return skewed features of three classes with different means, and their labels."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=draw)
    mix = torch.randn(d, d, generator=draw, dtype=torch.float64)
    return torch.randn(n, d, generator=draw, dtype=torch.float64) @ mix + y[:, None], y


def test_fixture():
    """For means 0 and 2 and variance 1/2, w = (0, 4) and the boundary is at 1."""
    unit = torch.ones(1, 1, dtype=torch.float64)
    w, b = linear_classifier(
        Gaussians(torch.tensor([[0.0], [2.0]]).double(), 2 * unit, torch.tensor([3, 3]))
    )

    assert w.tolist() == [[0], [4]]
    assert b.tolist() == pytest.approx([-0.693147, -4.693147], abs=1e-6)
    assert (b[0] - b[1]) / (w[1, 0] - w[0, 0]) == pytest.approx(1.0)


def test_gaussians():
    """The fit equals class means and the covariance around them, computed by a loop."""
    f, y = features()
    fit = fit_gaussians(f, y, 4)
    means = [f[y == c].mean(0).tolist() for c in range(3)]
    cov = (
        sum(
            np.outer(row - means[c], row - means[c])
            for row, c in zip(f.numpy(), y.tolist(), strict=True)
        )
        / 300
    )

    assert np.allclose(fit.mean[:3], means)
    assert np.allclose(fit.precision, np.linalg.inv(cov))
    assert fit.class_count.tolist() == [*torch.bincount(y).tolist(), 0]
    far = [(f[i] - fit.mean[y[i]]) @ fit.precision @ (f[i] - fit.mean[y[i]]) for i in range(9)]
    assert fit.distance(f[:9], y[:9]).tolist() == pytest.approx([d.item() for d in far])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.7, 1.0])
def test_least(share):
    """The share of each class with the least score is selected; of equal ones the first."""
    score, y = (
        torch.tensor([3.0, 1, 2, 2, 9, 5, 4, 7, 7, 7, 7, 7, 7]),
        torch.tensor([0, 0, 0, 0, 1] + [2] * 8),
    )
    is_selected = smallest_of_each_class(score, y, share, 4)

    for c in range(3):
        rows = [i for i in range(13) if y[i] == c]
        count = max(1, math.floor(share * len(rows) + 1e-9))
        assert [i for i in rows if is_selected[i]] == sorted(
            sorted(rows, key=lambda i: score[i])[:count]
        )


def test_robust():
    """A random share, then the share closest to its fit, as computed in numpy by class."""
    f, y = features()
    torch.manual_seed(0)
    dice = torch.rand(300).numpy()
    torch.manual_seed(0)
    fit = fit_robust_gaussians(f, y, 3, 0.7)

    x, label = f.numpy(), y.numpy()
    rows = [np.flatnonzero(label == c) for c in range(3)]
    selected = [r[np.argsort(dice[r])][: int(0.7 * len(r))] for r in rows]
    for _ in range(2):  # the random share, and the nearest by what it says
        mean = [x[r].mean(0) for r in selected]
        cov = sum((x[r] - m).T @ (x[r] - m) for r, m in zip(selected, mean, strict=True)) / sum(
            map(len, selected)
        )
        inverse = np.linalg.inv(cov)
        away = [
            np.einsum("ij,jk,ik->i", x[r] - m, inverse, x[r] - m)
            for r, m in zip(rows, mean, strict=True)
        ]
        selected = [r[np.argsort(a)][: int(0.7 * len(r))] for r, a in zip(rows, away, strict=True)]

    assert np.allclose(fit.mean, mean)
    assert np.allclose(fit.precision, inverse)


def test_far_outliers_hardly_count():
    """A quarter of outliers hardly moves the robust mean, but moves the plain one."""
    f, y = features()
    rows = (y == 1).nonzero().flatten()
    f[rows[: len(rows) // 4]] += 50
    torch.manual_seed(0)
    inside = f[rows[len(rows) // 4 :]].mean(0)

    moved = [
        (fit.mean[1] - inside).norm()
        for fit in (fit_robust_gaussians(f, y, 3, 0.7), fit_gaussians(f, y, 3))
    ]

    assert moved[0] < 1 < 20 < moved[1]


def test_units_do_not_matter():
    """Scaled or rotated features give the same predictions."""
    f, y = features()
    turn = torch.linalg.qr(
        torch.randn(5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    )[0]
    answers = []
    for g in (f, 1000 * f @ turn):
        w, b = linear_classifier(fit_gaussians(g, y, 3))
        answers.append((g @ w.T + b).softmax(1))

    assert torch.allclose(*answers, atol=1e-6)


def test_dead_features_and_absent_classes():
    """Constant features have no effect, and a class without examples is never predicted."""
    f, y = features()
    f = torch.cat([f, torch.zeros(300, 2, dtype=torch.float64)], 1)
    torch.manual_seed(0)
    w, b = linear_classifier(fit_robust_gaussians(f, y, 5, 0.7))
    p = (f @ w.T + b).softmax(1)

    assert p.isfinite().all()
    assert not w[:, 5:].any()
    assert not p[:, 3:].any()


def test_layers_weigh_what_they_are_worth():
    """Unit weights equal Adam written out; a better unit gets more, and equal ones stay equal."""
    draw = torch.Generator().manual_seed(0)
    p = torch.rand(120, 3, generator=draw, dtype=torch.float64).clamp(min=0.1)
    p[:, 1] = 0.95
    torch.manual_seed(0)
    weights = fit_unit_weights(p)

    torch.manual_seed(0)
    a, m, v, t = np.ones(3), np.zeros(3), np.zeros(3), 0
    for _ in range(20):
        for part in torch.randperm(120).split(50):
            s, q = np.exp(a) / np.exp(a).sum(), p[part].numpy()
            g = -(q / (q @ s)[:, None]).mean(0)
            g = s * (g - s @ g)
            t, m, v = t + 1, 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            a = a - 0.02 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    assert weights.tolist() == pytest.approx((np.exp(a) / np.exp(a).sum()).tolist(), abs=1e-6)
    assert weights[1] > 0.6
    assert fit_unit_weights(torch.full((7, 2), 0.3)).tolist() == pytest.approx([0.5, 0.5])


def test_the_network_predicts_until_the_end(toy):
    """After training the weighted heads predict, also in a copy that loads the state."""
    method, twin = toy.make("rog").eval(), toy.make("rog", seed=1).eval()
    assert torch.equal(method.predict(toy.x[:5]), method.net(toy.x[:5]))

    toy.train(method.train())
    method.eval()
    twin.load_state_dict(deepcopy(method.state_dict()))
    maps, logits = method.net.unit_features(toy.x[:5])
    features = [maps.mean((2, 3)), logits]
    parts = [head(f.double()).softmax(1) for head, f in zip(method.heads, features, strict=True)]
    expected = sum(share * p for share, p in zip(method.unit_weights, parts, strict=True))

    assert torch.allclose(method.predict(toy.x[:5]).exp(), expected.float(), atol=1e-5)
    assert torch.equal(twin.predict(toy.x[:5]), method.predict(toy.x[:5]))
    assert method.unit_weights.sum().item() == pytest.approx(1)


def test_the_end_changes_nothing_in_the_network(toy):
    """Fitting changes neither weights nor running averages nor the mode."""
    method = toy.make("rog")
    initial_state = deepcopy(method.net.state_dict())
    method.finish(toy.train_batches)

    assert method.training
    assert all(
        torch.equal(value, initial_state[key]) for key, value in method.net.state_dict().items()
    )


def test_only_typical_holdout_counts(toy, monkeypatch):
    """Unit weights use the half of the holdout closest to its labels' means in the last unit."""
    method, probabilities = toy.make("rog"), []
    monkeypatch.setattr(
        "cnlw_tools.methods.rog.fit_robust_gaussians",
        lambda f, y, classes, share: fit_gaussians(f, y, classes),
    )
    monkeypatch.setattr(
        "cnlw_tools.methods.rog.fit_unit_weights", lambda p: probabilities.append(p) or p.mean(0)
    )
    method.finish(toy.train_batches)
    batch = next(iter(toy.holdout()))
    far = (
        fit_gaussians(method.unit_features(toy.x)[1], toy.y, 4)
        .distance(method.unit_features(batch.x)[1], batch.y)
        .tolist()
    )
    rows = torch.tensor(sorted(range(40), key=lambda i: far[i])[:20])
    chances = method.unit_probabilities(
        [f[rows] for f in method.unit_features(batch.x)]
    )  # (20, K, L)

    assert torch.allclose(probabilities[0], chances[torch.arange(20), batch.y[rows]])


def test_a_network_without_units_is_an_error(toy):
    """The error tells what a network must return."""
    with pytest.raises(
        ValueError, match="needs a network with a method `unit_features`, which returns"
    ):
        RoG(Task(lambda: nn.Linear(4, 3), 5, 3, 1, holdout=toy.holdout))
