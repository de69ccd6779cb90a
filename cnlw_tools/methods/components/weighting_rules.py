"""A weighting rule is a fixed formula for the weight of an example, given its loss.

Source: Jiang et al. 2018, MentorNet, and their code.

The weight v of an example is computed from its loss l, the difference delta = l - gamma from the
threshold gamma, and the completed percentage e of the training (see curriculum.py):

    rule          v
    baseline      1
    threshold     1[delta < 0]                  the mentor of the MentorMix paper
    self_paced    1[delta <= 0]
    hard_mining   1[delta >= 0]
    focal         (1 - exp(-l))^2
    spcl          clip(1 - delta, 0, 1)
    pd            1 if e <= 18, self_paced if 18 < e < 90, spcl if e >= 90

The rule `pd` is the predefined curriculum of the MentorNet paper. The constants of all rules are
those of the authors' code, and cannot be set.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Rule = Callable[[Tensor, Tensor, Tensor], Tensor]  # losses l, differences delta, e -> v; each (B,)


def nearest_rank_percentile(losses: Tensor, p: float) -> Tensor:
    """Return the loss whose rank is nearest to p (B - 1); of two equally near ranks the lower.

    The percentile p is from 0 to 1.
    """
    last_rank = len(losses) - 1
    rank = math.ceil(p * last_rank - 0.5)
    return losses.sort().values[rank]


def mask_of_smallest(losses: Tensor, count: int | Tensor) -> Tensor:
    """Return (n,) 1 for the ``count`` smallest losses, of equal ones the first, else 0."""
    ranks = losses.argsort(stable=True).argsort()
    return (ranks < count).float()


def baseline(
    losses: Tensor,
    difference: Tensor,
    e: Tensor,
) -> Tensor:
    """Weight all examples by 1."""
    return torch.ones_like(losses)


def threshold(
    losses: Tensor,
    difference: Tensor,
    e: Tensor,
) -> Tensor:
    """Keep the examples below the threshold: 1[delta < 0]."""
    return (difference < 0).float()


def self_paced(
    losses: Tensor,
    difference: Tensor,
    e: Tensor,
) -> Tensor:
    """Keep the easy examples: 1[delta <= 0]."""
    return (difference <= 0).float()


def hard_mining(
    losses: Tensor,
    difference: Tensor,
    e: Tensor,
) -> Tensor:
    """Keep the hard examples: 1[delta >= 0]."""
    return (difference >= 0).float()


def focal(
    losses: Tensor,
    difference: Tensor,
    e: Tensor,
) -> Tensor:
    """Weight uncertain examples more: (1 - exp(-l))^2; exp(-l) is the probability of the label."""
    return (1 - torch.exp(-losses)) ** 2


def spcl(
    losses: Tensor,
    difference: Tensor,
    e: Tensor,
) -> Tensor:
    """Keep the easy examples, and weight harder ones less: clip(1 - delta, 0, 1)."""
    return (1 - difference).clamp(0, 1)


def pd(
    losses: Tensor,
    difference: Tensor,
    e: Tensor,
) -> Tensor:
    """Keep all examples at first, then the easy ones, and in the end weight harder ones less.

    This is the predefined curriculum of the paper.
    """
    after_start = torch.where(
        e < 90, self_paced(losses, difference, e), spcl(losses, difference, e)
    )
    return torch.where(e <= 18, 1.0, after_start)


RULES: Mapping[str, Rule] = {
    "baseline": baseline,
    "threshold": threshold,
    "self_paced": self_paced,
    "hard_mining": hard_mining,
    "focal": focal,
    "spcl": spcl,
    "pd": pd,
}
