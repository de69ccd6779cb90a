"""Dropout, tuned: the baseline of Jiang et al. 2020 (Srivastava et al. 2014).

L = mean_b CE(y_b, head(m_b * h_b / (1 - p)))        m_b ~ Bernoulli(1 - p)^D        h_b: features

Each step trains another sub-network, and features that must do without each other learn fewer labels by heart.
The network has the layers, with its default p; this method sets p in all of them. With several ranks each draws masks
of its own.

The paper tells neither its grid nor the best value; 0.5 is that of Srivastava et al. for hidden layers.

Not done here: dropout in networks that have none.
"""

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.validation import check_number


class Dropout(Method):
    """Cross-entropy with another dropout."""

    cross_entropy_options = {"p": 0.0}  # noqa: RUF012, read only
    paper = "the baseline of Jiang et al. 2020"
    distributed_loss = "per_rank"

    def __init__(self, task: Task, p: float = 0.5) -> None:
        super().__init__(task)
        check_number("p", p, 0, 0.99)
        layers = [layer for layer in self.net.modules() if isinstance(layer, nn.Dropout)]
        if not layers:
            raise ValueError(
                f"p = {p}: this network has no dropout layer to set; choose another network"
            )
        for layer in layers:
            layer.p = p

    def loss(self, batch: Batch) -> Tensor:
        """-log p_y, averaged."""
        each = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        self.log_examples(batch, each)
        return each.mean()
