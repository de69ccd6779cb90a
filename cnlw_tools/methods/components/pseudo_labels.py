"""A pseudo-label is the mean prediction for several views of an image, made more confident.

IEG, MixMatch and `mixmatch_kl` use pseudo-labels. IEG and `mixmatch_kl` also use KL, the
Kullback-Leibler divergence between the predictions for two views. Let z be the logits of a view, z^
those of another view, g the pseudo-label, and tau a temperature:

P = mean over views of softmax(z)
g = P^(1/tau) / sum P^(1/tau)               tau < 1: more confident (Berthelot et al. 2019)
KL(softmax(z_b) || softmax(z^_b))           Zhang et al. 2020, equation 4
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax


def rms_normalise(z: Tensor) -> Tensor:
    """Return z / sqrt(mean z^2 + 1e-8), with the mean over all entries of (B, K)."""
    return z * (z.square().mean() + 1e-8).rsqrt()


def sharpened_pseudo_labels(
    views: Sequence[Tensor],
    temperature: float,
    logit_norm: bool,
) -> Tensor:
    """Return (B, K) pseudo-labels g from the logits of several views, (B, K) each."""
    log_p = []
    for z in views:
        z = rms_normalise(z) if logit_norm else z
        log_p.append(log_softmax(z, 1))
    log_sum = torch.stack(log_p).logsumexp(0)
    return (log_sum / temperature).softmax(1)


def kl_divergence(
    z: Tensor,
    z_hat: Tensor,
    detach: bool,
) -> Tensor:
    """Return (B,) KL(softmax(z) || softmax(z^)) of (B, K) logits; ``detach`` makes z a constant."""
    log_p = log_softmax(z.detach() if detach else z, 1)
    divergence = kl_div(log_softmax(z_hat, 1), log_p, reduction="none", log_target=True)
    return divergence.sum(1)
