"""Rules that weigh examples by their losses: the curricula that need no learning.

Source: Jiang, Zhou, Leung, Li and Fei-Fei 2018 (MentorNet, arXiv:1712.05055) and their code.

l_b loss of example b, delta_b = l_b - gamma its difference to a threshold, e epoch percent from 0 to 99:

    rule          v_b
    baseline      1
    threshold     1[delta < 0]                  the mentor of the MentorMix paper
    self_paced    1[delta <= 0]
    hard_mining   1[delta >= 0]
    focal         (1 - exp(-l))^2
    spcl          clip(1 - delta, 0, 1)
    pd            1 if e <= 18, self_paced if e < 90, spcl from there on

Not done here: other constants than those of the code, gamma = 2 of focal and gamma = 1 of spcl, delta / gamma.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Rule = Callable[[Tensor, Tensor, Tensor], Tensor]  # l, delta, e -> v; each (B,)


def percentile(losses: Tensor, p: float) -> Tensor:
    """Return the loss at the nearest rank, p (B - 1) from below; of two equally near ranks the lower one."""
    rank = math.ceil(p * (len(losses) - 1) - 0.5)
    return losses.sort().values[rank]


def smallest(losses: Tensor, count: int | Tensor) -> Tensor:
    """Return 1 for the ``count`` smallest of (n,) losses, the earlier of equal ones, and 0 for the others."""
    return (losses.argsort(stable=True).argsort() < count).float()


def baseline(losses: Tensor, difference: Tensor, e: Tensor) -> Tensor:
    """Everything: 1."""
    return torch.ones_like(losses)


def threshold(losses: Tensor, difference: Tensor, e: Tensor) -> Tensor:
    """What lies below the threshold: 1[delta < 0]."""
    return (difference < 0).float()


def self_paced(losses: Tensor, difference: Tensor, e: Tensor) -> Tensor:
    """The easy: 1[delta <= 0]."""
    return (difference <= 0).float()


def hard_mining(losses: Tensor, difference: Tensor, e: Tensor) -> Tensor:
    """The hard: 1[delta >= 0]."""
    return (difference >= 0).float()


def focal(losses: Tensor, difference: Tensor, e: Tensor) -> Tensor:
    """The less sure the more: (1 - exp(-l))^2, with exp(-l) the probability of the label."""
    return (1 - torch.exp(-losses)) ** 2


def spcl(losses: Tensor, difference: Tensor, e: Tensor) -> Tensor:
    """The easy, and others the less the harder they are: clip(1 - delta, 0, 1)."""
    return (1 - difference).clamp(0, 1)


def pd(losses: Tensor, difference: Tensor, e: Tensor) -> Tensor:
    """Everything at first, then the easy, and at the end some of the others: the predefined curriculum."""
    late = torch.where(e < 90, self_paced(losses, difference, e), spcl(losses, difference, e))
    return torch.where(e <= 18, 1.0, late)


RULES: Mapping[str, Rule] = {
    "baseline": baseline,
    "threshold": threshold,
    "self_paced": self_paced,
    "hard_mining": hard_mining,
    "focal": focal,
    "spcl": spcl,
    "pd": pd,
}
