"""Which labels are given to what a network takes for which class: a first estimate of the transition matrix.

hard    c_ij = #{t: argmax p_t = i, y_t = j} / #{t: argmax p_t = i}
soft    c_ij = sum_t p_t(i) 1[y_t = j] / sum_t p_t(i)
"""

import torch
from torch import Tensor, nn

from cnlw_tools.methods.base import BatchSource
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.inference import predictions
from cnlw_tools.methods.components.mixing import one_hot


def confusion(net: nn.Module, batches: BatchSource, classes: int, kind: str) -> Tensor:
    """Return c, (K, K); rows sum to 1, but that of a class that is never likeliest is 0."""
    count = counts(net, batches, classes, kind)
    return (count / count.sum(1, keepdim=True).clamp(min=1e-8)).float()


def counts(net: nn.Module, batches: BatchSource, classes: int, kind: str) -> Tensor:
    """Return c before its rows are divided by their sums, (K, K).

    Counts are in double precision, so that 16 bits elsewhere do not round them, and the mean over ranks, whose batch
    normalisation differs.
    """
    count = torch.zeros(classes, classes, dtype=torch.float64)
    for batch, z in predictions(net, batches):
        p = z.double().softmax(1)
        guess = p if kind == "soft" else one_hot(p.argmax(1), classes).double()
        count = count.to(p.device) + guess.T @ one_hot(batch.y, classes).double()
    distributed.average_over_ranks([count])
    return count
