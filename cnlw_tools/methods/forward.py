"""Forward correction applies the noise matrix to the prediction before the loss is computed.

L = -mean_b log sum_i p_b[i] T[i, y_b]        T[i, j] = P(given j | true i): rows sum to 1; Q = T^t

Source: Patrini, Rozza, Menon, Nock and Qu, CVPR 2017, arXiv:1609.03683.

If the noise follows T and does not depend on the image, then the predictions p that minimise this
loss on given labels also minimise the cross-entropy on true labels. The option q gives the matrix
Q, which is the transpose of T. Its value is a name such as `symmetric:0.4` or `pairflip:0.4`, or a
list of rows, in which q[j][i] is the probability of the given label j if the true class is i.
Without this option, a first network is trained to estimate T (`anchor_points`).

To estimate T, one image is chosen to represent each class i. The probabilities that the first
network predicts for this image become the row T[i]. If the option `percentile` is 1, the image is
the one with the highest predicted probability of class i. On CIFAR-10, the authors set `percentile`
to 0.97: the 3 % of all images with the highest probabilities of class i are discarded first,
because they may be outliers. On CIFAR-100, each class has only 1 % of the images. Discarding the
top 3 % could remove every image of the class, so the authors set `percentile` to 1.

The loss is the same as that of the noise layer (noise_layer.py) with a fixed Q. The noise layer can
also learn Q while the network is trained. Forward correction needs a Q that is given or estimated
beforehand.

Unlike the authors' code, this implementation does not clip p, because it computes the loss from
log-probabilities, and does not select the best epoch by the loss on held-out noisy labels.

In our study `methods_cifar10`, the option q gives the method the true Q. The study has no run with
an estimated Q, which is the default.
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
