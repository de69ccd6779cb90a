"""k-means: groups of points, each near its mean, sum |x - mean|^2 least.

lloyd      points to the nearest centre, centres to their points' mean, in turn (Lloyd 1982): a local optimum
on_a_line  numbers: the groups of an optimum are intervals, so the best last cut before each place, given the best
           cuts before that, finds it exactly (Fisher 1958); cost(i, j) of places i to j - 1 is
           sum x^2 - (sum x)^2 / count, from running sums

scikit-learn has the first, but it would be all that learning needs of it.
"""

import torch
from torch import Tensor

BLOCK = 256  # places whose last cuts are looked for together


def lloyd(x: Tensor, k: int, rounds: int = 100) -> Tensor:
    """Return the (k, D) centres of (n, D) points, from k points that are drawn; a centre without points stays.

    Raises:
        ValueError: there are fewer points than centres
    """
    if len(x) < k:
        raise ValueError(f"{len(x)} points for {k} centres: ask for fewer")
    centres = x[torch.randperm(len(x))[:k].to(x.device)]
    for _ in range(rounds):
        nearest = torch.cdist(x, centres).argmin(1)
        count = torch.bincount(nearest, minlength=k)
        sums = torch.zeros_like(centres).index_add_(0, nearest, x)
        moved = torch.where(count[:, None] > 0, sums / count.clamp(min=1)[:, None], centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def on_a_line(values: Tensor, k: int) -> Tensor:
    """Return the group of each of (n,) numbers, 0 for that of the smallest; fewer than k where fewer numbers differ."""
    x, place, count = torch.unique(values.double(), return_inverse=True, return_counts=True)
    n, k = len(x), min(k, len(x))
    sums = [
        torch.nn.functional.pad((count * x**power).cumsum(0), (1, 0)) for power in range(3)
    ]  # each (n + 1,)
    least, cuts = (
        _cost(sums, torch.zeros(1, dtype=torch.long, device=x.device), _places(0, n + 1, x))[:, 0],
        [],
    )
    for _ in range(k - 1):
        found = [
            _last_cut(sums, least, _places(j, min(j + BLOCK, n + 1), x))
            for j in range(0, n + 1, BLOCK)
        ]
        least, cut = (torch.cat(parts) for parts in zip(*found, strict=True))
        cuts.append(cut)
    group, end = torch.zeros(n, dtype=torch.long, device=x.device), n
    for cut in reversed(cuts):
        end = int(cut[end])
        group[end:] += 1
    return group[place]


def _last_cut(sums: list[Tensor], least: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least cost of the places before each j with one group more, and where the last group begins."""
    total = least + _cost(sums, torch.arange(len(least), device=j.device), j)
    best = total.min(1)
    return best.values, best.indices


def _cost(sums: list[Tensor], i: Tensor, j: Tensor) -> Tensor:
    """Return cost(i, j) for all pairs, (j, i); infinite where no place lies between."""
    count, first, second = (s[j][:, None] - s[i] for s in sums)
    cost = (second - first.square() / count.clamp(min=1)).clamp(min=0)
    return torch.where(j[:, None] > i, cost, torch.inf)


def _places(begin: int, end: int, like: Tensor) -> Tensor:
    return torch.arange(begin, end, device=like.device)
