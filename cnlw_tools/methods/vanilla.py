"""`vanilla`, the baseline for all other methods, trains with cross-entropy on the given labels.

L = mean_b CE(y_b, z_b) = -mean_b log p_b[y_b]
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method


class Vanilla(Method):
    """Trains with cross-entropy on the given labels, without any treatment of noise."""

    cross_entropy_options = {}  # noqa: RUF012, read only
    paper = "a baseline of Jiang et al. 2020"
    repeats_within = "epoch"

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean of -log p_y."""
        losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        self.log_examples(batch, losses)
        return losses.mean()
