"""Tests of k-means: in one dimension against all cuts, else by properties of a solution."""

from itertools import combinations

import pytest
import torch

from cnlw_tools.methods.components import kmeans as module
from cnlw_tools.methods.components.kmeans import kmeans, kmeans_1d


def spread(values, group):
    """Return the sum of squared distances to the means of the groups."""
    parts = [values[group == g] for g in set(group.tolist())]
    return sum(((part - part.mean()) ** 2).sum().item() for part in parts)


def cheapest(values, k):
    """Return the least spread of all ways to cut the sorted values into k intervals."""
    line = values.sort().values
    place = torch.arange(len(line))
    cuts = combinations(range(1, len(line)), k - 1)
    return min(
        spread(line, sum((place >= cut).long() for cut in cut_places) + 0 * place)
        for cut_places in cuts
    )


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_on_a_line_is_the_best_of_all_cuts(k, seed):
    """No other cut has a smaller spread, and groups are numbered in increasing order."""
    values = torch.randn(12, generator=torch.Generator().manual_seed(seed))

    group = kmeans_1d(values, k)

    assert spread(values, group) == pytest.approx(cheapest(values, k))
    assert sorted(group.tolist()) == group[values.argsort()].tolist()
    assert set(group.tolist()) == set(range(k))


def test_on_a_line_in_blocks(monkeypatch):
    """The block size has no effect."""
    values = torch.randint(60, (200,), generator=torch.Generator().manual_seed(0))
    expected = kmeans_1d(values, 3)
    monkeypatch.setattr(module, "BLOCK", 7)

    assert torch.equal(expected, kmeans_1d(values, 3))


def test_equal_numbers_share_a_group():
    """Equal numbers share a group, and three clusters are three groups whatever their sizes."""
    assert kmeans_1d(torch.full((5,), 3.0), 3).tolist() == [0] * 5
    assert kmeans_1d(torch.tensor([2.0, 1, 2, 1]), 3).tolist() == [1, 0, 1, 0]
    assert kmeans_1d(torch.tensor([9.0, 0, 5, 0, 0, 0, 9]), 3).tolist() == [2, 0, 1, 0, 0, 0, 2]


def test_lloyd_ends_where_nothing_moves():
    """Each centre is the mean of the points closest to it."""
    torch.manual_seed(0)
    x = torch.randn(60, 3)

    centres = kmeans(x, 4)
    nearest = torch.stack([((x - c) ** 2).sum(1) for c in centres]).argmin(0)

    for i, centre in enumerate(centres):
        assert torch.allclose(centre, x[nearest == i].mean(0), atol=1e-5)


def test_lloyd_ends_though_sums_differ_in_their_last_bits(monkeypatch):
    """As they do on a GPU: it ends when every point keeps its centre."""
    torch.manual_seed(0)
    x, rounds = torch.randn(60, 3), []
    index_add_ = torch.Tensor.index_add_

    def add_with_rounding(sums, *arguments):
        rounds.append(1)
        return index_add_(sums, *arguments).mul_(1 + len(rounds) * 2e-7)

    monkeypatch.setattr(torch.Tensor, "index_add_", add_with_rounding)
    kmeans(x, 4)

    assert len(rounds) < 30


def test_lloyd_is_exact_for_many_centres():
    """Beyond 25 centres, too, where torch would else subtract large numbers from each other."""
    x = 1e4 + torch.arange(60.0)[:, None].repeat(1, 3)  # far from 0, one beside the other

    assert torch.equal(kmeans(x, 60).sort(0).values, x)


def test_lloyd_finds_what_is_apart():
    """Distant clusters get one centre each if each has a starting point."""
    torch.manual_seed(1)
    heaps = torch.tensor([[0.0, 0], [50, 0], [0, 50]])
    x = torch.cat([heap + torch.randn(20, 2) for heap in heaps])

    best = min((kmeans(x, 3) for _ in range(10)), key=lambda c: torch.cdist(x, c).amin(1).sum())

    assert (torch.cdist(heaps, best).amin(1) < 1).all()


def test_as_many_centres_as_points():
    """Each point is its own centre, a duplicate keeps its centre, and more centres are refused."""
    x = torch.tensor([[1.0], [2], [3]])

    assert sorted(kmeans(x, 3).flatten().tolist()) == [1, 2, 3]
    assert sorted(kmeans(torch.tensor([[1.0], [1], [3]]), 3).flatten().tolist()) == [1, 1, 3]
    with pytest.raises(ValueError, match="there are 3 points, fewer than the 4 centres: lower the"):
        kmeans(x, 4)
