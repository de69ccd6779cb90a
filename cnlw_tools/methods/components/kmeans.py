"""k-means divides points x into groups such that the sum of |x - mean of its group|^2 is small.

There are two functions:

kmeans     divides vectors. It repeats two steps (Lloyd 1982): it assigns each point to the nearest
           centre, and it moves each centre to the mean of its points. The result is a local optimum
kmeans_1d  divides numbers. Each group is an interval of the sorted numbers, so dynamic programming
           finds the best division (Fisher 1958)
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

# scikit-learn has k-means, but it would be a dependency for this module alone.

BLOCK = 256  # end positions whose best last cuts are computed together


def kmeans(
    x: Tensor,
    k: int,
    rounds: int = 100,
) -> Tensor:
    """Return (k, D) centres of (n, D) points, starting from k random points.

    A centre without points stays where it is.

    Raises:
        ValueError: there are fewer points than centres
    """
    if len(x) < k:
        raise ValueError(
            f"there are {len(x)} points, fewer than the {k} centres: lower the option that sets "
            "the number of centres, such as references of cleannet"
        )
    first = torch.randperm(len(x))[:k]
    centres = x[first.to(x.device)]
    assigned: Tensor | None = None  # (n,) the centre of each point, one round before
    for _ in range(rounds):
        # |x|^2 + |c|^2 - 2 x c, the fast way, loses what TF32 rounds off.
        distances = torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = distances.argmin(1)
        # Sums on a GPU differ in their last bits from round to round, so centres never stay.
        if assigned is not None and torch.equal(nearest, assigned):
            break
        assigned = nearest
        count = torch.bincount(nearest, minlength=k)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, nearest, x)
        centres = torch.where(count > 0, sums / count.clamp(min=1), centres)
    return centres


def kmeans_1d(values: Tensor, k: int) -> Tensor:
    """Return the group of each of (n,) numbers, in increasing order, 0 for the smallest numbers.

    There are fewer than k groups if there are fewer distinct numbers.
    """
    x, position, count = torch.unique(values.double(), return_inverse=True, return_counts=True)
    n = len(x)
    running_sums = []
    for power in range(3):
        sums = (count * x**power).cumsum(0)
        running_sums.append(pad(sums, (1, 0)))  # (n + 1,)
    ends = _positions(0, n + 1, x)
    least_cost = _group_costs(running_sums, ends[:1], ends)[:, 0]
    cuts = []
    for _ in range(min(k, n) - 1):
        least_cost, cut = _best_last_cuts(running_sums, least_cost)
        cuts.append(cut)
    group = torch.zeros(n, dtype=torch.long, device=x.device)
    end = n
    for cut in reversed(cuts):
        end = int(cut[end])
        group[end:] += 1
    return group[position]


def _best_last_cuts(running_sums: list[Tensor], least_cost: Tensor) -> tuple[Tensor, Tensor]:
    """Add a group: return the least cost before each end position, and where its last group begins.

    ``least_cost`` is the least cost before each position with one group fewer, (n + 1,).
    """
    n_positions = len(least_cost)
    starts = _positions(0, n_positions, least_cost)
    costs, cuts = [], []
    for begin in range(0, n_positions, BLOCK):
        ends = _positions(begin, min(begin + BLOCK, n_positions), least_cost)
        total = least_cost + _group_costs(running_sums, starts, ends)
        best = total.min(1)
        costs.append(best.values)
        cuts.append(best.indices)
    return torch.cat(costs), torch.cat(cuts)


def _group_costs(
    running_sums: list[Tensor],
    i: Tensor,
    j: Tensor,
) -> Tensor:
    """Return the cost of a group from i to j - 1 for all pairs, (j, i); infinite if empty.

    The cost, sum x^2 - (sum x)^2 / count, is computed from running sums.
    """
    count, total, total_squares = (sums[j][:, None] - sums[i] for sums in running_sums)
    squared_mean = total.square() / count.clamp(min=1)
    cost = (total_squares - squared_mean).clamp(min=0)
    is_group = j[:, None] > i
    return torch.where(is_group, cost, torch.inf)


def _positions(
    begin: int,
    end: int,
    like: Tensor,
) -> Tensor:
    return torch.arange(begin, end, device=like.device)
