"""The transition matrix is estimated from the most typical image of each class.

Source: Patrini, Rozza, Menon, Nock and Qu 2017, arXiv:1609.03683, equations 12 and 13.

x_i = argmax_x p_i(x)        T^_ij = p_j(x_i)        T_ij = P(given j | true i): rows sum to 1

A network that was trained on given labels predicts their probabilities. For an image that clearly
belongs to class i, these probabilities are row i of T. An outlier may look more typical than any
real image of the class. If ``percentile`` is below 1, the method therefore discards the images with
the highest p_i. It sorts the N images by p_i, the lowest first, and counts their ranks from 0. It
discards the image with the rank ceil(percentile (N - 1)) and all images above it, as the authors'
code does. x_i is the remaining image with the highest p_i. If several images have the same
p_i, the first one is taken.

The authors' code sets p_i of the discarded images to 0, and these zeros also enter the rows of
later classes. This implementation leaves p_i unchanged.
"""

import math

import torch
from torch import Tensor, nn

from cnlw_tools.methods.base import BatchSource
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.inference import predict_batches


def estimate_transition(
    net: nn.Module,
    batches: BatchSource,
    percentile: float = 1.0,
) -> Tensor:
    """Return T^, (K, K), by the rank ``percentile``, from 0 to 1, of each class's predictions.

    If no image is below the rank, as of a single one, the first is the anchor.

    The matrix is averaged over ranks, whose running averages of batch normalisation differ.
    """
    p = []
    for _, z in predict_batches(net, batches):
        p.append(z.double().softmax(1))
    transition = anchor_predictions(torch.cat(p), percentile)
    distributed.average_over_ranks([transition])
    return transition.float()


def anchor_predictions(p: Tensor, percentile: float) -> Tensor:
    """Return the prediction for the anchor image of each class, (K, K), among p, (N, K)."""
    if percentile < 1:
        last_rank = len(p) - 1
        rank = math.ceil(round(percentile * last_rank, 6))
        threshold = p.sort(0).values[rank]  # (K,)
        candidates = torch.where(p < threshold, p, 0)
    else:
        candidates = p
    return p[candidates.argmax(0)]
