"""To estimate the transition matrix, the given labels are counted for each predicted class.

The estimate c_ij of T[i, j] is computed from the given label y_t of each training image t, and from
the probabilities p_t that a network predicts for the classes of the image. With ``hard``, c_ij is
the share of images with the given label j among the images to which the network assigns class i.
With ``soft``, every image counts for every class i, with the weight p_t(i):

hard    c_ij = #{t: argmax p_t = i, y_t = j} / #{t: argmax p_t = i}
soft    c_ij = sum_t p_t(i) 1[y_t = j] / sum_t p_t(i)

S-Model (s_model.py) starts from these estimates. Its option `fit` is `hard` or `soft`.
"""

import torch
from torch import Tensor, nn

from cnlw_tools.methods.base import BatchSource
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.inference import predict_batches
from cnlw_tools.methods.components.labels import one_hot


def label_frequencies(
    net: nn.Module,
    batches: BatchSource,
    n_classes: int,
    kind: str,
) -> Tensor:
    """Return c, (K, K). Its rows sum to 1, and the row of a class that is never predicted is 0."""
    counts = count_labels(net, batches, n_classes, kind)
    return (counts / counts.sum(1, keepdim=True).clamp(min=1e-8)).float()


def count_labels(
    net: nn.Module,
    batches: BatchSource,
    n_classes: int,
    kind: str,
) -> Tensor:
    """Return the numerators of c, (K, K): predicted classes by given labels.

    The counts are in double precision, so that autocast does not round them. They are averaged over
    ranks, because the batch normalisation statistics of the ranks differ.
    """
    counts = torch.zeros(n_classes, n_classes, dtype=torch.float64)
    for batch, z in predict_batches(net, batches):
        p = z.double().softmax(1)
        if kind == "hard":
            p = one_hot(p.argmax(1), n_classes).double()
        labels = one_hot(batch.y, n_classes).double()
        counts = counts.to(p.device)
        counts = counts + p.T @ labels
    distributed.average_over_ranks([counts])
    return counts
