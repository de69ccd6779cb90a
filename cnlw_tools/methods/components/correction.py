"""What forward and backward correction share: the transition matrix and the training phases.

The matrix T is stated or estimated. To estimate it, a first network learns from the given labels as
they are, for ``first`` epochs or a share of them, and gives the estimate (`anchor_points`). Then
the network restarts from its initial weights and learns with the corrected loss.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods.base import Batch, BatchSource, Method, Phase, Task
from cnlw_tools.methods.components.anchor_points import estimate_transition
from cnlw_tools.methods.components.transitions import parse_transition
from cnlw_tools.methods.components.validation import (
    check_number,
    resolve_epochs,
    resolve_first_epochs,
)


class Correction(Method):
    """A loss that a transition matrix corrects. ``q`` is "estimated" or stated (`transitions`).

    Args:
        task: the learning task
        q: the matrix Q, the transpose of T: estimated, a name such as symmetric:0.4 or
            pairflip:0.4, or a list of rows, in which q[j][i] is the probability of the given label
            j if the true class is i
        percentile: which image represents a class in the estimate; with 1, the image with the
            highest predicted probability of the class; with 0.97, the 3 % of the images with the
            highest probabilities are discarded first
        first: epochs of the first network, which estimates T; a value below 1 is a share of all
            epochs
    """

    cross_entropy_options = {"q": "symmetric:0"}  # noqa: RUF012, read only
    paper = "Patrini et al. 2017"
    repeats_within = "epoch"
    loss_matrix: Tensor

    def __init__(
        self,
        task: Task,
        q: str | Sequence[Sequence[float]] = "estimated",
        percentile: float = 1.0,
        first: float = 0.5,
    ) -> None:
        super().__init__(task)
        self.percentile = check_number("percentile", percentile, 0, 1)
        self.is_estimated = q == "estimated"
        self.is_staged = self.is_estimated
        resolve = resolve_first_epochs if self.is_estimated else resolve_epochs
        self.first = resolve("first", first, task.epochs)
        if self.is_estimated:
            matrix = torch.eye(task.n_classes)
        else:
            matrix = parse_transition(q, task.n_classes, "estimated")
        self.register_buffer("loss_matrix", self.matrix_for_loss(matrix))

    def matrix_for_loss(self, q: Tensor) -> Tensor:
        """Return the matrix that the loss uses, (K, K), from Q = T^t."""
        raise NotImplementedError

    def transition(self) -> Tensor:
        """Return T, (K, K), computed back from ``loss_matrix``."""
        raise NotImplementedError

    def corrected_losses(self, log_p: Tensor, y: Tensor) -> Tensor:
        """Return the losses, (B,), of (B, K) log-probabilities and (B,) given labels."""
        raise NotImplementedError

    def epoch_artifacts(self) -> dict[str, Tensor]:
        """Return T, which is the identity until it is estimated."""
        return {"transition": self.transition()}

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean corrected loss, which is cross-entropy until T is estimated."""
        z = self.net(batch.x)
        self.log_examples(batch, cross_entropy(z, batch.y, reduction="none"))
        log_p = log_softmax(z.float(), 1)
        return self.corrected_losses(log_p, batch.y).mean()

    def phases(self) -> list[Phase]:
        """Return one phase, or one for the estimate and one for the corrected training."""
        has_two_phases = self.is_estimated and self.first < self.task.epochs
        if not has_two_phases:
            return [Phase(self.task.epochs)]
        corrected_epochs = self.task.epochs - self.first
        return [Phase(self.first), Phase(corrected_epochs, restart="init")]

    def begin_phase(self, phase: int, train_batches: BatchSource) -> None:
        """Estimate T when the first training has ended."""
        if phase == 1:
            t = estimate_transition(self.net, train_batches, self.percentile)
            self.loss_matrix.copy_(self.matrix_for_loss(t.T))
