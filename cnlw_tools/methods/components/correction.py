"""What forward and backward correction share: the matrix, stated or estimated, and the two trainings it takes.

If T is not stated, a first network learns from the labels as they are, for ``first`` epochs or a share of them; it
gives the estimate (`anchors`); then the network begins anew, from its first weights, and learns with the correction.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods.base import Batch, BatchSource, Method, Phase, Task
from cnlw_tools.methods.components.anchor_points import estimated
from cnlw_tools.methods.components.transitions import stated
from cnlw_tools.methods.components.validation import epochs, number


class Correction(Method):
    """A loss corrected by a transition matrix: ``q`` is estimated, or stated (`transitions`)."""

    cross_entropy_options = {"q": "symmetric:0"}  # noqa: RUF012, read only
    paper = "Patrini et al. 2017"
    matrix: Tensor

    def __init__(
        self,
        task: Task,
        q: str | Sequence[Sequence[float]] = "estimated",
        percentile: float = 1.0,
        first: float = 0.5,
    ) -> None:
        super().__init__(task)
        self.percentile = number("percentile", percentile, 0, 1)
        self.first = epochs("first", first, task.epochs)
        self.estimates = q == "estimated"
        start = (
            torch.eye(task.n_classes) if self.estimates else stated(q, task.n_classes, "estimated")
        )
        self.register_buffer("matrix", self.prepared(start))

    def prepared(self, q: Tensor) -> Tensor:
        """Return what the loss needs of Q, (K, K)."""
        raise NotImplementedError

    def epoch_artifacts(self) -> dict[str, Tensor]:
        """T, which is I until there is an estimate."""
        return {"transition": self.transition()}

    def transition(self) -> Tensor:
        """Return T, (K, K), of what `prepared` made of it."""
        raise NotImplementedError

    def corrected(self, log_p: Tensor, y: Tensor) -> Tensor:
        """Return the losses, (B,), of (B, K) log-probabilities."""
        raise NotImplementedError

    def loss(self, batch: Batch) -> Tensor:
        """The corrected cross-entropy; until there is an estimate, cross-entropy."""
        z = self.net(batch.x)
        self.log_examples(batch, cross_entropy(z, batch.y, reduction="none"))
        return self.corrected(log_softmax(z.float(), 1), batch.y).mean()

    def phases(self) -> list[Phase]:
        """One training, or one for the estimate and a new one with it."""
        if not self.estimates or not 0 < self.first < self.task.epochs:
            return [Phase(self.task.epochs)]
        return [Phase(self.first), Phase(self.task.epochs - self.first, restart="init")]

    def begin_phase(self, phase: int, train_batches: BatchSource) -> None:
        """Estimate when the first training is over."""
        if self.estimates and phase == int(self.first > 0):
            self.matrix.copy_(self.prepared(estimated(self.net, train_batches, self.percentile).T))
