"""Mixed examples: the mathematics that Mixup, MentorMix and IEG share (Zhang, Cisse, Dauphin and Lopez-Paz 2018).

x' = lam x_i + (1 - lam) x_j        t' = lam t_i + (1 - lam) t_j        lam ~ Beta(alpha, alpha)

A beta is a ratio of gammas, g / (g + g'), with g = h u^(1 / alpha), h ~ Gamma(alpha + 1), u uniform. In logarithms
neither gamma underflows, however small alpha is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Gamma


def beta(alpha: float, shape: Sequence[int], like: Tensor) -> Tensor:
    """Draw from Beta(alpha, alpha) on the device of ``like``, without waiting for it; alpha <= 0 gives ones."""
    if alpha <= 0:
        return torch.ones(tuple(shape), device=like.device)
    shapes = torch.full((2, *shape), alpha + 1.0, device=like.device)
    h = Gamma(
        shapes, torch.ones_like(shapes), validate_args=False
    ).sample()  # to validate is to wait
    log = h.log() + torch.log1p(-torch.rand_like(h)) / alpha  # u = 1 - rand is never 0
    return torch.sigmoid(log[0] - log[1])


def folded(lam: Tensor) -> Tensor:
    """max(lam, 1 - lam): each example keeps at least half of itself."""
    return torch.maximum(lam, 1 - lam)


def mix(a: Tensor, b: Tensor, lam: Tensor) -> Tensor:
    """lam a + (1 - lam) b, both (B, ...), with lam (B,), or one for all, ()."""
    lam = lam.reshape(*lam.shape, *[1] * (a.dim() - lam.dim()))
    return lam * a + (1 - lam) * b


def one_hot(y: Tensor, classes: int) -> Tensor:
    """Return (B, K) targets of the labels; torch's own asks the device whether they are in range."""
    return (y.unsqueeze(-1) == torch.arange(classes, device=y.device)).float()
