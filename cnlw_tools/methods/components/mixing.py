"""Several methods blend pairs of examples, as mixup does.

Source: Zhang, Cisse, Dauphin and Lopez-Paz 2018, "mixup: beyond empirical risk minimization".

x' = lam x_i + (1 - lam) x_j        t' = lam t_i + (1 - lam) t_j        lam ~ Beta(alpha, alpha)

Here, x_i is an image, t_i is its label as a vector, and x' and t' are the blends. The share lam is
drawn at random, and alpha is an option. Some methods choose lam in another way; their pages say
how.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Gamma


def sample_beta(
    alpha: float,
    shape: Sequence[int],
    like: Tensor,
) -> Tensor:
    """Draw from Beta(alpha, alpha) on the device of ``like``; alpha <= 0 gives ones.

    A draw is g / (g + g') of two Gamma(alpha) variates. Each of them is h u^(1 / alpha), where h is
    drawn from Gamma(alpha + 1), and u is uniform between 0 and 1. In logarithms, g does not
    underflow, even if alpha is very small. The function does not synchronise with the device.
    """
    if alpha <= 0:
        return torch.ones(tuple(shape), device=like.device)
    shapes = torch.full((2, *shape), alpha + 1.0, device=like.device)
    gamma = Gamma(shapes, torch.ones_like(shapes), validate_args=False)  # validation synchronises
    h = gamma.sample()
    log_u = torch.log1p(-torch.rand_like(h))  # u = 1 - rand is never 0
    log_g = h.log() + log_u / alpha
    return torch.sigmoid(log_g[0] - log_g[1])


def at_least_half(lam: Tensor) -> Tensor:
    """Return max(lam, 1 - lam), so that each example keeps at least half of itself."""
    return torch.maximum(lam, 1 - lam)


def mix(
    a: Tensor,
    b: Tensor,
    lam: Tensor,
) -> Tensor:
    """Return lam a + (1 - lam) b, for a and b (B, ...) and lam (B,), or () for one of all."""
    while lam.dim() < a.dim():
        lam = lam.unsqueeze(-1)
    return lam * a + (1 - lam) * b
