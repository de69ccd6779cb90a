"""Forward correction: compare the label with what noise makes of the prediction (Patrini et al., CVPR 2017).

L = -mean_b log sum_i p_b[i] T[i, y_b]        T[i, j] = P(given j | true i): rows sum to 1; Q = T^t

Giorgio Patrini, Alessandro Rozza, Aditya Krishna Menon, Richard Nock and Lizhen Qu, arXiv:1609.03683. If the noise
changes labels as T says, whatever the image, then the p that minimises this loss on given labels is the one that
minimises cross-entropy on true ones. T is stated as its transpose: `-o q=symmetric:0.4`, `pairflip:0.4`, or rows
q[j][i]; otherwise it is estimated by a first network (`correction`, `anchors`). On CIFAR-10 the authors estimate at
percentile 0.97, on CIFAR-100, where that would be another class's image, at 1.

That is the noise layer with Q fixed; there Q is learned, here estimated.

Not done here: the clip of p from below and above, which a sum of logarithms does not need; the choice of the epoch by
the loss on held-out noisy labels.
"""

from torch import Tensor

from cnlw_tools.methods.components.correction import Correction
from cnlw_tools.methods.components.transitions import given_label_nll


class Forward(Correction):
    """Cross-entropy of the label against the prediction behind T."""

    def matrix_for_loss(self, q: Tensor) -> Tensor:
        """Q itself."""
        return q

    def transition(self) -> Tensor:
        """Q^t."""
        return self.loss_matrix.T

    def corrected_losses(self, log_p: Tensor, y: Tensor) -> Tensor:
        """-log (Q p)[y]."""
        return given_label_nll(log_p, self.loss_matrix, y)
