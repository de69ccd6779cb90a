"""Tests of projections onto the simplex: by hand, by search, and in extreme cases."""

import pytest
import torch

from cnlw_tools.methods.components.simplex import PROJECTIONS, clip_and_rescale, nearest_on_simplex

every = pytest.mark.parametrize("project", PROJECTIONS.values(), ids=PROJECTIONS)


@pytest.mark.parametrize(
    ("column", "nearest", "clipped"),
    [
        ([0.9, 0.4, -0.1], [0.75, 0.25, 0], [0.692308, 0.307692, 0]),
        ([0.5, 0.3, 0.1], [0.533333, 0.333333, 0.133333], [0.555556, 0.333333, 0.111111]),
        ([-1.0, -2.0, -1.0], [0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3]),
        ([5.0, 0.0, 0.0], [1.0, 0, 0], [1.0, 0, 0]),
    ],
)
def test_by_hand(column, nearest, clipped):
    """Each projection of a column agrees with numbers worked out by hand."""
    v = torch.tensor(column)[:, None]

    assert torch.allclose(nearest_on_simplex(v)[:, 0], torch.tensor(nearest), atol=1e-6)
    assert torch.allclose(clip_and_rescale(v)[:, 0], torch.tensor(clipped), atol=1e-6)


def test_nothing_is_nearer():
    """No point of a fine grid on the simplex is closer to v than the projection."""
    torch.manual_seed(0)
    steps = torch.arange(101) / 100
    a, b = torch.meshgrid(steps, steps, indexing="ij")
    grid = torch.stack([a, b, 1 - a - b]).flatten(1)
    grid = grid[:, (grid >= -1e-6).all(0)]  # (3, points)

    for v in torch.randn(20, 3, 1):
        assert (nearest_on_simplex(v) - v).norm() <= (grid - v).norm(dim=0).min() + 1e-6


@every
def test_gives_probabilities(project):
    """The columns have no negative entry and sum to 1, however far away they were."""
    torch.manual_seed(0)
    v = torch.randn(7, 50) * torch.logspace(-3, 30, 50)

    q = project(v)

    assert (q >= 0).all()
    assert torch.allclose(q.sum(0), torch.ones(50), atol=1e-6)
    assert torch.allclose(project(q), q, atol=1e-6)


@every
def test_leaves_probabilities(project):
    """Columns on the simplex do not change; the nearest point to the identity is exact."""
    q = torch.softmax(torch.randn(5, 5, generator=torch.Generator().manual_seed(0)), 0)

    assert torch.allclose(project(q), q, atol=1e-6)
    assert torch.allclose(project(torch.eye(5)), torch.eye(5), atol=1e-6)
    assert torch.equal(nearest_on_simplex(torch.eye(5)), torch.eye(5))
    assert project(torch.tensor([[-3.0]])).item() == 1
