"""Co-teaching: two networks, each of which chooses what the other learns (Han et al., NeurIPS 2018, arXiv:1804.06872).

R(e)  = tau^c e / (T - 1) for e < T, then tau        e: the epoch, from 0; tau: the noise rate; T: ``gradual``
S, S' = the (1 - R) B examples of least cross-entropy l by one network, and l' by the other; at least one
L     = mean of l over S' + mean of l' over S

Networks learn what is regular before they learn wrong labels by heart, so at first a small loss tells a right label.
One network that chooses for itself confirms its own mistakes; two that began differently make different ones, and
each filters the other's. What is dropped grows as the memory for wrong labels does.

Formula and c = 1 are the code's; the paper has tau min(e^c / T, 1). Noted are the mean of both losses, and the share
of the networks that learn from an example. With several ranks the smallest losses are those of the whole batch.

Not done here: the code divides the mean by (1 - R) B once more, which Adam does not feel; it trains in no epoch 0 and
at most 400 batches an epoch; its beta_1 of Adam falls from 0.9 to 0.1 where the learning rate begins to fall.
"""

from typing import cast

from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.validation import check_number, resolve_epochs
from cnlw_tools.methods.components.weighting_rules import mask_of_smallest


def forgotten(epoch: int, rate: float, gradual: int, exponent: float = 1.0) -> float:
    """R(e), the share that is dropped."""
    return rate**exponent * epoch / max(gradual - 1, 1) if epoch < gradual else rate


class CoTeaching(Method):
    """Two networks that choose examples of small loss for each other."""

    requires = ("noise_rate",)
    paper = "Han et al. 2018"
    relative_cost = 2.0
    distributed_loss = "gathered"

    def __init__(self, task: Task, gradual: float = 10, exponent: float = 1.0) -> None:
        super().__init__(task)
        self.other = task.make_net()
        self.gradual = resolve_epochs("gradual", gradual, task.epochs)
        self.exponent = check_number("exponent", exponent, 0)

    def loss(self, batch: Batch) -> Tensor:
        """Each network's mean cross-entropy on the other's choice."""
        epoch = int(self.progress * self.task.epochs + 1e-6)
        dropped = forgotten(epoch, cast(float, self.task.noise_rate), self.gradual, self.exponent)
        many = distributed.world_size() * len(batch.y)
        count = max(
            1, int(round(many * (1 - dropped), 6))
        )  # 10 (1 - 0.9) is 1, and a little less in floats
        one, two = (
            cross_entropy(net(batch.x), batch.y, reduction="none") for net in (self.net, self.other)
        )
        by_one, by_two = (
            distributed.local_rows(mask_of_smallest(distributed.all_gather(each), count))
            for each in (one, two)
        )
        self.log_examples(batch, (one + two) / 2, (by_one + by_two) / 2)
        # the trainer takes the mean over ranks
        return distributed.world_size() / count * (by_two * one + by_one * two).sum()

    def predict(self, x: Tensor) -> Tensor:
        """The mean of both networks' logits."""
        out: Tensor = (self.net(x) + self.other(x)) / 2
        return out
