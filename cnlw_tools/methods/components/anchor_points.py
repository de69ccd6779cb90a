"""The transition matrix is estimated from one confidently predicted image of each class.

Source: Patrini, Rozza, Menon, Nock and Qu 2017, arXiv:1609.03683, equations 12 and 13.

x_i = argmax_x p_i(x)        T^_ij = p_j(x_i)        T_ij = P(given j | true i): rows sum to 1

A network that was trained on given labels predicts the probability p_j(x) that image x has the
given label j. If x clearly belongs to class i, these probabilities are close to row i of T. Row i
of the estimate T^ is the prediction for x_i, the image with the highest p_i.

The image x_i may be an outlier, such as an image of another class. If the option `percentile` is
below 1, the images with the highest p_i are therefore discarded before x_i is chosen. Of N images,
ranked by p_i from 0 (the lowest) to N - 1, those with the rank ceil(percentile (N - 1)) or higher
are discarded.
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
    """Return T^, (K, K), with the anchor of each class chosen as ``percentile``, 0 to 1, says.

    If all images of a class would be discarded, as a single one would, the first is the anchor.

    The matrix is averaged over ranks, whose running averages of batch normalisation differ.
    """
    p = []
    for _, z in predict_batches(net, batches):
        p.append(z.double().softmax(1))
    transition = anchor_predictions(torch.cat(p), percentile)
    distributed.average_over_ranks([transition])
    return transition.float()


def anchor_predictions(p: Tensor, percentile: float) -> Tensor:
    """Return the prediction for the anchor image of each class, (K, K), among p, (N, K).

    As in the authors' code, images with the same p_i as a discarded one are discarded, too. That
    code also sets p_i of a discarded image to 0 in p itself, so that this 0 becomes an entry of T^
    if the image is chosen for a later class; here, p does not change.
    """
    if percentile < 1:
        last_rank = len(p) - 1
        rank = math.ceil(round(percentile * last_rank, 6))
        threshold = p.sort(0).values[rank]  # (K,)
        candidates = torch.where(p < threshold, p, 0)
    else:
        candidates = p
    return p[candidates.argmax(0)]
