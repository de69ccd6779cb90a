"""Tests of CleanNet's encoders: match loss, attention, learning from verified labels."""

import pytest
import torch

from cnlw_tools.methods.components import cleannet_encoders
from cnlw_tools.methods.components.cleannet_encoders import (
    Encoders,
    LabelledFeatures,
    class_cosines,
    match_losses,
    signed_log,
    train_encoders,
)


def test_what_a_cosine_costs():
    """A correct label costs 1 - cos, and a wrong one five times the excess over 0.1."""
    cos = torch.tensor([0.3, 0.3, 0.05, 0.05])
    is_right = torch.tensor([1.0, 0, 0, 1])

    assert match_losses(cos, is_right).tolist() == pytest.approx([0.7, 1.0, 0.0, 0.95])


def test_scaled():
    """The scale is log(1 + v) for v >= 0, and an odd function."""
    v = torch.tensor([0.0, 1.0, 3.0])

    assert torch.equal(signed_log(v), (1 + v).log())
    assert torch.equal(signed_log(-v), -signed_log(v))


def new_encoders(width=6):
    torch.manual_seed(0)
    return Encoders(width).eval()


def test_reference_as_a_loop():
    """The attention is a softmax over the vectors of a set and sums to 1."""
    encoders, references = new_encoders(), torch.randn(2, 5, 6)
    expected = []
    for vectors in references:
        h = [encoders.reference_layers(s) for s in vectors]
        score = torch.stack([encoders.attention(v)[0] for v in h]).exp()
        a = score / score.sum()
        expected.append(encoders.class_layer(sum(share * v for share, v in zip(a, h, strict=True))))

    assert torch.allclose(encoders.encode_classes(references), torch.stack(expected), atol=1e-6)


def test_the_order_of_a_set_plays_no_part():
    """A permuted set has the same encoding."""
    encoders, references = new_encoders(), torch.randn(2, 32, 6)

    assert torch.allclose(
        encoders.encode_classes(references),
        encoders.encode_classes(references[:, torch.randperm(32)]),
        atol=1e-6,
    )


def test_cosines_are_those_of_the_labels(monkeypatch):
    """Each row is compared with the set of its label, in a batch as alone."""
    encoders, references, v, y = (
        new_encoders(),
        torch.randn(4, 3, 6),
        torch.randn(5, 6),
        torch.tensor([3, 0, 3, 2, 0]),
    )

    cos, v_hat = encoders(v, y, references)

    assert v_hat.shape == v.shape
    for i in range(5):
        q, s = encoders.query_layers(v[i]), encoders.encode_classes(references[y[i]][None])[0]
        assert cos[i].item() == pytest.approx((q @ s / q.norm() / s.norm()).item(), abs=1e-6)
    assert torch.allclose(
        cos, class_cosines(encoders, LabelledFeatures(v, y), references), atol=1e-6
    )


def noisy_clusters(n, seed):
    """Return scaled features of three classes, noisy labels, and which of them are right."""
    draw = torch.Generator().manual_seed(seed)
    true = torch.arange(n) % 3
    v = 2 * torch.eye(3, 6)[true] + 0.3 * torch.randn(n, 6, generator=draw).abs()
    y = torch.where(torch.arange(n) % 9 < 3, (true + 1) % 3, true)
    return signed_log(v), y, y == true


def test_learn_what_belongs():
    """Encoders trained on verified labels tell correct labels of others from wrong ones."""
    torch.manual_seed(0)
    v, y, is_right = noisy_clusters(180, 0)
    verified_v, verified_y, is_correct = noisy_clusters(60, 1)
    references = torch.stack([v[y == c][:8] for c in range(3)])

    train, verified = LabelledFeatures(v, y), LabelledFeatures(verified_v, verified_y)

    encoders = train_encoders(train, verified, is_correct, references, 200)
    cos = class_cosines(encoders, train, references)

    assert cos[is_right].min() > cos[~is_right].max()


def test_rate_falls_half_way(monkeypatch):
    """The learning rate falls to a tenth half-way."""
    rates = []

    class Spy(torch.optim.SGD):
        def step(self):
            rates.append(self.param_groups[0]["lr"])
            return super().step()

    monkeypatch.setattr(cleannet_encoders.torch.optim, "SGD", Spy)
    v, y, is_right = noisy_clusters(9, 0)
    examples = LabelledFeatures(v, y)
    train_encoders(examples, examples, is_right, torch.stack([v[:2]] * 3), 4)

    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001])


def test_a_step_is_that_of_the_formula():
    """An unverified example's match weighs a tenth of a verified one's, the distance likewise."""
    v, y, is_right = noisy_clusters(90, 0)
    train, verified = LabelledFeatures(v[:60], y[:60]), LabelledFeatures(v[60:], y[60:])
    references = torch.stack([v[y == c][:4] for c in range(3)])
    torch.manual_seed(5)
    trained = train_encoders(train, verified, is_right[60:], references, 1)

    torch.manual_seed(5)
    expected = Encoders(6)
    rows = [60 + int(i) for i in torch.randint(30, (32,))] + torch.randint(60, (32,)).tolist()
    total, n_agreeing = torch.zeros(()), 0
    for position, row in enumerate(rows):
        cos, v_hat = expected(v[row][None], y[row][None], references)
        is_verified = position < 32
        is_correct = is_right[row] if is_verified else cos.item() >= 0.1
        match = 1 - cos if is_correct else 5 * (cos - 0.1).relu()
        distance = ((v[row] - v_hat[0]) ** 2).sum()
        total = total + (1 if is_verified else 0.1) * match.sum() + 0.1 * distance
        n_agreeing += not is_verified and is_correct
    (total / 64).backward()

    assert 0 < n_agreeing < 32
    for actual, w in zip(trained.parameters(), expected.parameters(), strict=True):
        gradient = (w - actual) / 0.01
        torch.testing.assert_close(gradient, w.grad + 1e-4 * w, atol=2e-4, rtol=1e-3)
