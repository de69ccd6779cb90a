"""The encoders of CleanNet: what a cosine costs, the attention, what verified labels teach."""

import pytest
import torch

from cnlw_tools.methods.components import cleannet_encoders
from cnlw_tools.methods.components.cleannet_encoders import (
    Encoders,
    learned,
    likeness,
    match,
    scaled,
)


def test_what_a_cosine_costs():
    """Right: 1 - cos; wrong: five times what is above 0.1."""
    cos = torch.tensor([0.3, 0.3, 0.05, 0.05])
    right = torch.tensor([1.0, 0, 0, 1])

    assert match(cos, right).tolist() == pytest.approx([0.7, 1.0, 0.0, 0.95])


def test_scaled():
    """log(1 + v) of what is not negative, and the same on the other side."""
    v = torch.tensor([0.0, 1.0, 3.0])

    assert torch.equal(scaled(v), (1 + v).log())
    assert torch.equal(scaled(-v), -scaled(v))


def made(width=6):
    torch.manual_seed(0)
    return Encoders(width).eval()


def test_reference_as_a_loop():
    """The attention is a softmax over the vectors of a set, and sums to 1."""
    one, sets = made(), torch.randn(2, 5, 6)
    expected = []
    for vectors in sets:
        h = [one.each(s) for s in vectors]
        score = torch.stack([one.attention(v)[0] for v in h]).exp()
        a = score / score.sum()
        expected.append(one.together(sum(share * v for share, v in zip(a, h, strict=True))))

    assert torch.allclose(one.reference(sets), torch.stack(expected), atol=1e-6)


def test_the_order_of_a_set_plays_no_part():
    """Permuted, it stands for the same."""
    one, sets = made(), torch.randn(2, 32, 6)

    assert torch.allclose(
        one.reference(sets), one.reference(sets[:, torch.randperm(32)]), atol=1e-6
    )


def test_cosines_are_those_of_the_labels(monkeypatch):
    """Each row against the set of its label, alone as in a batch, with classes left out; likeness says the same."""
    one, sets, v, y = made(), torch.randn(4, 3, 6), torch.randn(5, 6), torch.tensor([3, 0, 3, 2, 0])

    cos, rebuilt = one.cosine(v, y, sets)

    assert rebuilt.shape == v.shape
    for i in range(5):
        q, s = one.query(v[i]), one.reference(sets[y[i]][None])[0]
        assert cos[i].item() == pytest.approx((q @ s / q.norm() / s.norm()).item(), abs=1e-6)
    assert torch.allclose(cos, likeness(one, v, y, sets), atol=1e-6)


def heaps(n, seed):
    """Images of three classes, a third of which bears the label of another."""
    draw = torch.Generator().manual_seed(seed)
    true = torch.arange(n) % 3
    v = 2 * torch.eye(3, 6)[true] + 0.3 * torch.randn(n, 6, generator=draw).abs()
    y = torch.where(torch.arange(n) % 9 < 3, (true + 1) % 3, true)
    return scaled(v), y, y == true


def test_learn_what_belongs():
    """From labels that were checked they tell right labels of others from wrong ones."""
    torch.manual_seed(0)
    v, y, right = heaps(180, 0)
    checked, given, said = heaps(60, 1)
    sets = torch.stack([v[y == c][:8] for c in range(3)])

    cos = likeness(learned((v, y), (checked, given), said, sets, 200), v, y, sets)

    assert cos[right].min() > cos[~right].max()


def test_rate_falls_half_way(monkeypatch):
    """To a tenth; momentum and decay are the code's."""
    rates = []

    class Spy(torch.optim.SGD):
        def step(self):
            rates.append(self.param_groups[0]["lr"])
            return super().step()

    monkeypatch.setattr(cleannet_encoders.torch.optim, "SGD", Spy)
    v, y, right = heaps(9, 0)
    learned((v, y), (v, y), right, torch.stack([v[:2]] * 3), 4)

    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001])
