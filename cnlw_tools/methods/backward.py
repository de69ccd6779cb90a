"""Backward correction combines the losses of all labels into a loss that is unbiased under noise.

l_b = sum_j T^-1[y_b, j] (-log p_b[j])        T[i, j] = P(given j | true i): rows sum to 1; Q = T^t
sum_j T[i, j] l(j) = -log p[i]                l(j): the loss l_b if the given label is j

Source: Patrini, Rozza, Menon, Nock and Qu, CVPR 2017, arXiv:1609.03683.

The second line says that the combined loss is unbiased. Images of true class i get the given label
j with probability T[i, j]. For any prediction p, the mean of their combined losses is therefore the
cross-entropy of p with the true label i. However, the loss of a single example may be negative, and
the variance of the losses grows with the entries of T^-1. Before the logarithm, p is clipped to
[1e-7, 1 - 1e-7]; otherwise, the loss could fall without limit. The option q gives the transpose of
T. By default, a first network estimates T, as in forward.py.

With symmetric noise, for example, all entries of T^-1 outside the diagonal are negative, so the
loss can become negative. On a finite training set, its minimum is reached when the network has
memorised the given labels, and the probabilities of all other labels are as small as the clipping
allows.

On `shapes` (blue 40, 16 x 16 pixels, one seed) with 30 epochs, backward correction ends at an
accuracy of 57.1 %, forward correction at 56.5 %, and `vanilla` at 44.3 %. With 12 epochs, they end
at 47.7, 52.3 and 55.2 %, respectively. In both corrections, the first half of the epochs is
spent on training the network that estimates T.

If an estimate of T has no inverse, the paper suggests mixing it with the identity matrix. This
implementation stops with an error instead.
"""

import math

import torch
from torch import Tensor

from cnlw_tools.methods.components.correction import Correction

MIN_P = 1e-7
MAX_CONDITION = 1e6  # beyond this condition number an inverse in 32 bits is rounding error


class Backward(Correction):
    """Combines the cross-entropies of all classes with the inverse of a noise transition matrix."""

    def matrix_for_loss(self, q: Tensor) -> Tensor:
        """Return T^-1.

        Raises:
            ValueError: T has no inverse
        """
        condition = float(torch.linalg.cond(q.double()))
        if not condition < MAX_CONDITION:
            raise ValueError(
                "Backward needs a matrix q that has an inverse, but the condition number of "
                "this one is "
                f"{condition:.1g}: use forward, less noise or, if q is estimated, another "
                "percentile or a longer first phase"
            )
        inverse: Tensor = torch.linalg.inv(q.T.double())
        return inverse.float()

    def transition(self) -> Tensor:
        """Return the inverse of T^-1."""
        t: Tensor = torch.linalg.inv(self.loss_matrix.double())
        return t

    def corrected_losses(self, log_p: Tensor, y: Tensor) -> Tensor:
        """Return (T^-1 (-log p))[y], (B,)."""
        min_log_p, max_log_p = math.log(MIN_P), math.log1p(-MIN_P)
        class_losses = -log_p.clamp(min_log_p, max_log_p)
        return (self.loss_matrix[y] * class_losses).sum(1)
