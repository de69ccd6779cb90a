"""Two Beta distributions over losses, of right and of wrong labels (Arazo et al. 2019).

x      = (l - P5) / (P95 - P5), kept within [0.001, 0.999]        P5, P95: percentiles of the losses l
p(x)   = sum_c weight_c Beta(x; alpha_c, beta_c)                  c = 0: right, c = 1: wrong; from (1, 2), (2, 1), 1/2
r_c    = weight_c Beta(x; alpha_c, beta_c) / p(x)                                                               E-step
alpha  = m (m (1 - m) / s^2 - 1)        beta = alpha (1 - m) / m                    M-step: m, s^2 mean and variance,
weight = mean r                                                                     weighed by r; ten times in all
w(l)   = r_1(x), in 100 bins, from its highest point on that height

Losses of right labels crowd near 0 and those of wrong ones have a long way down to them: both are skewed, which two
Gaussians cannot say. Loss by loss the posterior tells how likely a label is wrong. What lies beyond the percentiles
is not fitted. All is in double precision, and densities are compared by their logarithms.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

BINS, ROUNDS = 100, 10


class Mixture(NamedTuple):
    """Two components, (2,) each."""

    alpha: Tensor
    beta: Tensor
    weight: Tensor


def start(like: Tensor) -> Mixture:
    """Return the mixture before the first round; its posterior at x is x."""
    return Mixture(*(like.new_tensor(v, dtype=torch.float64) for v in ((1, 2), (2, 1), (0.5, 0.5))))


def moments(x: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Return alpha and beta, (2,) each, of values, (n,), that count as r, (2, n), says."""
    share = r / r.sum(1, keepdim=True)
    mean = (share * x).sum(1)
    variance = (
        (share * (x - mean[:, None]).square()).sum(1).clamp(min=1e-12)
    )  # of values that are all alike: 0
    alpha = mean * (mean * (1 - mean) / variance - 1)
    return alpha, alpha * (1 - mean) / mean


def responsibilities(x: Tensor, mixture: Mixture) -> Tensor:
    """Return r, (2, n)."""
    a, b = mixture.alpha[:, None], mixture.beta[:, None]
    norm = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    log = (a - 1) * x.log() + (b - 1) * torch.log1p(-x) - norm
    return (log + mixture.weight.log()[:, None]).softmax(0)


def fitted(x: Tensor) -> Mixture:
    """Fit values between 0 and 1, (n,)."""
    mixture = start(x)
    for _ in range(ROUNDS):
        r = responsibilities(x, mixture).clamp(
            min=1e-12
        )  # a component that nobody is of keeps its place
        mixture = Mixture(*moments(x, r), r.mean(1) / r.mean(1).sum())
    return mixture


def tabulated(mixture: Mixture) -> Tensor:
    """Return r_1 at 100 points from 0 to 1, (100,), which falls no more from its highest point on."""
    x = torch.linspace(0, 1, BINS, dtype=torch.float64, device=mixture.alpha.device).clamp(
        1e-12, 1 - 1e-12
    )
    wrong = responsibilities(x, mixture)[1]
    return torch.where(torch.arange(BINS, device=x.device) >= wrong.argmax(), wrong.max(), wrong)


class BetaMixture(nn.Module):
    """How likely a label is wrong, by its loss. What is fitted are buffers."""

    table: Tensor
    low: Tensor
    span: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(BINS))
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("span", torch.ones(()))

    @torch.no_grad()
    def fit(self, losses: Tensor) -> None:
        """Fit the losses of a whole training set, (n,)."""
        losses = losses.double()
        low, high = losses.quantile(0.05), losses.quantile(0.95)
        self.low.copy_(low + 1e-5)
        self.span.copy_((high - low - 1e-5).clamp(min=0) + 1e-6)
        self.table.copy_(tabulated(fitted(self.scaled(losses[(losses >= low) & (losses <= high)]))))

    def scaled(self, losses: Tensor) -> Tensor:
        """Return x, (n,)."""
        return ((losses.double() - self.low) / self.span).clamp(0.001, 0.999)

    def forward(self, losses: Tensor) -> Tensor:
        """Return w, (B,), from 0.0001 to 0.9999."""
        return self.table[(BINS * self.scaled(losses)).long()].clamp(1e-4, 1 - 1e-4)
