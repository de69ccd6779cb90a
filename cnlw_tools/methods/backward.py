"""Backward correction: a mix of losses whose mean over the noise is the loss of the true label (Patrini et al. 2017).

l_b = sum_j T^-1[y_b, j] (-log p_b[j])        T[i, j] = P(given j | true i): rows sum to 1; Q = T^t
sum_j T[i, j] l(j) = -log p[i]                what a class i costs, on average over its given labels

Patrini, Rozza, Menon, Nock and Qu, CVPR 2017, arXiv:1609.03683. The loss is unbiased for every p, not just at the
minimum, but single losses may be below 0, and they vary by as much as T^-1 is large. -log p is what it would be for p
clipped to [1e-7, 1 - 1e-7]: nothing else keeps the loss from running away downwards. T as in `forward`.

On a finite training set the loss is least, and below 0, where the given labels are known by heart and all others are
pushed to the clip. So on `shapes` blue 40 it ends level with vanilla, where forward correction ends above.

Not done here: mixing an estimate that has no inverse with the identity, as the paper suggests.
"""

import math

import torch
from torch import Tensor

from cnlw_tools.methods.components.correction import Correction

LEAST = 1e-7
STEEPEST = 1e6  # condition number: beyond it an inverse in 32 bits is noise


class Backward(Correction):
    """Cross-entropies of all labels, mixed by the inverse of T."""

    def matrix_for_loss(self, q: Tensor) -> Tensor:
        """Return T^-1.

        Raises:
            ValueError: there is none
        """
        steep = float(torch.linalg.cond(q.double()))
        if not steep < STEEPEST:
            raise ValueError(
                f"Backward needs a q with an inverse, and the condition number of this one is {steep:.1g}: "
                "take forward, less noise or, if q is estimated, another percentile or longer first"
            )
        inverse: Tensor = torch.linalg.inv(q.T.double())
        return inverse.float()

    def transition(self) -> Tensor:
        """The inverse of T^-1."""
        t: Tensor = torch.linalg.inv(self.loss_matrix.double())
        return t

    def corrected_losses(self, log_p: Tensor, y: Tensor) -> Tensor:
        """(T^-1 (-log p))[y]."""
        costs = -log_p.clamp(math.log(LEAST), math.log1p(-LEAST))
        return (self.loss_matrix[y] * costs).sum(1)
