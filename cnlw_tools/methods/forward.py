"""Forward correction: the noise is applied to the prediction before the loss.

L = -mean_b log sum_i p_b[i] T[i, y_b]        T[i, j] = P(given j | true i): rows sum to 1; Q = T^t

Patrini, Rozza, Menon, Nock and Qu, CVPR 2017, arXiv:1609.03683. If the noise follows T and does not
depend on the image, then the p that minimises this loss on given labels also minimises the
cross-entropy on true labels. The user states T as its transpose: `-o q=symmetric:0.4`,
`pairflip:0.4`, or rows q[j][i]; otherwise a first network estimates it (`correction`,
`anchor_points`). On CIFAR-10 the authors estimate at percentile 0.97. On CIFAR-100, where the image
at that rank would belong to another class, they use 1.

This is the noise layer with a fixed Q. In the noise layer Q is learned; here it is estimated.

Not done here: p is not clipped, because the loss is computed from log-probabilities; the epoch is
not chosen by the loss on held-out noisy labels.
"""

from torch import Tensor

from cnlw_tools.methods.components.correction import Correction
from cnlw_tools.methods.components.transitions import given_label_nll


class Forward(Correction):
    """Multiplies the prediction by a noise transition matrix before the cross-entropy."""

    def matrix_for_loss(self, q: Tensor) -> Tensor:
        """Return Q itself."""
        return q

    def transition(self) -> Tensor:
        """Return Q^t."""
        return self.loss_matrix.T

    def corrected_losses(self, log_p: Tensor, y: Tensor) -> Tensor:
        """Return -log (Q p)[y], (B,)."""
        return given_label_nll(log_p, self.loss_matrix, y)
