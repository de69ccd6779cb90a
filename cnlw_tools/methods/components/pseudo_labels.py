"""Guesses in place of labels, and what two views of an image should agree on: IEG and MixMatch share them.

P  = mean over views of softmax(z)        g = P^(1/tau) / sum P^(1/tau)        tau < 1 sharpens (Berthelot et al. 2019)
KL(softmax(z_b) || softmax(z^_b))         z^: the logits of another view       (Zhang et al. 2020, equation 4)
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax


def unit(z: Tensor) -> Tensor:
    """z / sqrt(mean z^2 + 1e-8), the mean over all of (B, K)."""
    return z * (z.square().mean() + 1e-8).rsqrt()


def guessed(views: Sequence[Tensor], temperature: float, logit_norm: bool) -> Tensor:
    """g = P^(1/tau) / sum P^(1/tau), P the mean of the softmax of views, each (B, K)."""
    log_p = torch.stack([log_softmax(unit(z) if logit_norm else z, 1) for z in views]).logsumexp(0)
    return (log_p / temperature).softmax(1)


def divergence(z: Tensor, z_hat: Tensor, detach: bool) -> Tensor:
    """KL(softmax(z) || softmax(z^)); (B, K), (B, K) -> (B,)."""
    log_p = log_softmax(z.detach() if detach else z, 1)
    return kl_div(log_softmax(z_hat, 1), log_p, reduction="none", log_target=True).sum(1)
