"""`dropout` trains with cross-entropy and dropout at a rate that you set (Srivastava et al. 2014).

L = mean_b CE(y_b, head(m_b * h_b / (1 - p)))        m_b ~ Bernoulli(1 - p)^D        h_b: D features

Each step trains a different sub-network, so a feature cannot rely on the other features. The
network therefore memorises fewer labels. The formula shows the dropout layer before the head, which
is the last layer of a network. The vector h_b has the D features that enter this layer, and the
mask m_b sets a random part of them to 0. The method sets p in all dropout layers of the network. If
the network has none, the run stops with an error. With several ranks, each rank draws its own
masks.

Jiang et al. give neither the values of p that they tried nor the best one. The default, 0.5, is the
value of Srivastava et al. for hidden layers.
"""

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.validation import check_number


class Dropout(Method):
    """Trains with cross-entropy and dropout at rate p.

    Args:
        task: the learning task
        p: share of the features that is dropped in each step
    """

    cross_entropy_options = {"p": 0.0}  # noqa: RUF012, read only
    paper = "Srivastava et al. 2014; a baseline of Jiang et al. 2020"
    repeats_within = "epoch"
    distributed_loss = "per_rank"

    def __init__(self, task: Task, p: float = 0.5) -> None:
        super().__init__(task)
        check_number("p", p, 0, 0.99)
        layers = [layer for layer in self.net.modules() if isinstance(layer, nn.Dropout)]
        if not layers:
            raise ValueError(
                f"p = {p}: this network has no dropout layer to set: add a torch.nn.Dropout before "
                "its last layer, or use one of `cnlw list nets`"
            )
        for layer in layers:
            layer.p = p

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean of -log p_y."""
        losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        self.log_examples(batch, losses)
        return losses.mean()
