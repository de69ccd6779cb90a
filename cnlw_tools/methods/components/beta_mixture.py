"""Two Beta distributions, for correct and for wrong labels, are fitted to the losses.

Source: Arazo, Ortego, Albert, O'Connor and McGuinness 2019, "Unsupervised label noise modeling and
loss correction".

The losses of correct labels are mostly near 0, and those of wrong labels are mostly high, with a
long tail towards 0. Both distributions are skewed, so Beta distributions fit them better than
Gaussians. The fit gives w(l), the probability that an example with the loss l has a wrong label:

x      = (l - P5) / (P95 - P5), clamped to [0.001, 0.999]   P5, P95: percentiles of the losses l
p(x)   = sum_c weight_c Beta(x; alpha_c, beta_c)            c = 0: correct, c = 1: wrong
         initially Beta(1, 2) and Beta(2, 1), 1/2 each
r_c    = weight_c Beta(x; alpha_c, beta_c) / p(x)           E-step
alpha  = m (m (1 - m) / s^2 - 1)                            M-step: m, s^2 are mean and variance
beta   = alpha (1 - m) / m                                  of x, weighted by r_c
weight = mean r_c
w(l)   = r_1(x), in 100 bins; constant from its maximum on

The E-step and the M-step alternate for ten rounds. The fit leaves out losses below P5 and above
P95. The fitted r_1 may decrease again at the highest losses, so w is held at its maximum there.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

N_BINS, N_ROUNDS = 100, 10


class MixtureParameters(NamedTuple):
    """Parameters of the two components, (2,) each."""

    alpha: Tensor
    beta: Tensor
    weight: Tensor


def initial_parameters(like: Tensor) -> MixtureParameters:
    """Return the parameters before the first round. Their posterior at x is x."""
    return MixtureParameters(
        alpha=like.new_tensor((1, 2), dtype=torch.float64),
        beta=like.new_tensor((2, 1), dtype=torch.float64),
        weight=like.new_tensor((0.5, 0.5), dtype=torch.float64),
    )


def match_moments(x: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Return alpha and beta, (2,) each, that match the moments of values x.

    The values, (n,), are weighted by r, (2, n).
    """
    share = r / r.sum(1, keepdim=True)
    mean = (share * x).sum(1)
    squares = (x - mean[:, None]).square()
    variance = (share * squares).sum(1)
    variance = variance.clamp(min=1e-12)  # it is 0 where all values are equal
    alpha = mean * (mean * (1 - mean) / variance - 1)
    beta = alpha * (1 - mean) / mean
    return alpha, beta


def responsibilities(x: Tensor, parameters: MixtureParameters) -> Tensor:
    """Return r, (2, n), of values x, (n,), from the logarithms of the densities."""
    a = parameters.alpha[:, None]
    b = parameters.beta[:, None]
    log_norm = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    log_density = (a - 1) * x.log() + (b - 1) * torch.log1p(-x) - log_norm
    log_weight = parameters.weight.log()[:, None]
    return (log_density + log_weight).softmax(0)


def fit_mixture(x: Tensor) -> MixtureParameters:
    """Fit the mixture to values x between 0 and 1, (n,), by expectation maximisation."""
    parameters = initial_parameters(x)
    for _ in range(N_ROUNDS):
        r = responsibilities(x, parameters)
        r = r.clamp(min=1e-12)  # keeps a component in place that no value belongs to
        alpha, beta = match_moments(x, r)
        weight = r.mean(1)
        parameters = MixtureParameters(alpha, beta, weight / weight.sum())
    return parameters


def tabulate_posterior(parameters: MixtureParameters) -> Tensor:
    """Return r_1 at 100 points from 0 to 1, (100,), constant from its maximum on."""
    device = parameters.alpha.device
    x = torch.linspace(0, 1, N_BINS, dtype=torch.float64, device=device)
    wrong = responsibilities(x.clamp(1e-12, 1 - 1e-12), parameters)[1]
    is_behind_maximum = torch.arange(N_BINS, device=device) >= wrong.argmax()
    return torch.where(is_behind_maximum, wrong.max(), wrong)


class BetaMixture(nn.Module):
    """The probability that a label is wrong, given its loss. The fitted values are buffers."""

    table: Tensor
    low: Tensor
    span: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(N_BINS))
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("span", torch.ones(()))

    @torch.no_grad()
    def fit(self, losses: Tensor) -> None:
        """Fit the mixture to the losses of a whole training set, (n,)."""
        losses = losses.double()
        low, high = losses.quantile(0.05), losses.quantile(0.95)
        span = (high - low - 1e-5).clamp(min=0)
        self.low.copy_(low + 1e-5)
        self.span.copy_(span + 1e-6)
        inner = losses[(losses >= low) & (losses <= high)]
        parameters = fit_mixture(self.to_unit_interval(inner))
        self.table.copy_(tabulate_posterior(parameters))

    def to_unit_interval(self, losses: Tensor) -> Tensor:
        """Return x of losses, (n,)."""
        x = (losses.double() - self.low) / self.span
        return x.clamp(0.001, 0.999)

    def forward(self, losses: Tensor) -> Tensor:
        """Return w, (B,), the probability that each label is wrong, 0.0001 to 0.9999."""
        bins = (N_BINS * self.to_unit_interval(losses)).long()
        return self.table[bins].clamp(1e-4, 1 - 1e-4)
