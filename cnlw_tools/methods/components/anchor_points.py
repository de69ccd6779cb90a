"""The transition matrix by examples that are surely of a class (Patrini et al. 2017, equations 12 and 13).

x_i = argmax_x p_i(x)        T^_ij = p_j(x_i)        T_ij = P(given j | true i): rows sum to 1

A network that was trained on given labels tells their probabilities; at an image that is beyond doubt of class i,
those are row i of T. An outlier may look more typical than anything: ``percentile`` below 1 takes the image at that
rank of p_i instead of the last, ceil(percentile (N - 1)) from below. Of equally likely images it is the first.

Not done here: the authors' code sets what lies above the rank to 0 for good, in the rows of later classes too.
"""

import math

import torch
from torch import Tensor, nn

from cnlw_tools.methods.base import BatchSource
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.inference import predictions


def estimated(net: nn.Module, batches: BatchSource, percentile: float = 1.0) -> Tensor:
    """Return T^, (K, K), the mean over ranks, whose batch normalisation differs."""
    t = rows(torch.cat([z.double().softmax(1) for _, z in predictions(net, batches)]), percentile)
    distributed.average_over_ranks([t])
    return t.float()


def rows(p: Tensor, percentile: float) -> Tensor:
    """Return the row of p, (N, K), at which p_i has that rank, for every class i: (K, K)."""
    rank = math.ceil(round(percentile * (len(p) - 1), 6))
    value = p.sort(0).values[rank]  # (K,)
    return p[(p == value).int().argmax(0)]
