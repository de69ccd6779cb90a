"""Co-teaching trains two networks that select training examples for each other.

Source: Han et al., NeurIPS 2018, arXiv:1804.06872.

In epoch e, each network learns from the share 1 - R(e) of the batch that the other network selects:

R(e)  = tau^c e / (T - 1) for e < T, then tau     e: epoch, from 0; tau: noise rate; T: `gradual`
l, l' = the cross-entropies of the first and of the second network
S, S' = the (1 - R) B examples, at least one, with the smallest l, and those with the smallest l'
L     = mean of l over S' + mean of l' over S

Networks learn regular patterns before they memorise wrong labels, so at first a small loss
indicates a correct label. A single network that selects for itself confirms its own mistakes. Two
networks with different initial weights make different mistakes, and each of them filters out the
other's mistakes. At first, the networks have memorised nothing, and all examples are used. R(e),
the share of dropped examples, then grows to the noise rate.

This formula for R(e), and the default c = 1, are those of the authors' code; in the paper, R(e) =
tau min(e^c / T, 1). The logged loss is the mean over both networks. The logged weight is 0, 1/2 or
1: the share of the two networks that learns from the example. With several ranks, the examples
with the smallest losses are selected from the whole batch.

The paper does not say which of the two networks its accuracies refer to. The authors' code tests
both separately and records both numbers. By default, only the first network predicts here
(``predict`` = one). With ``predict`` = mean, predictions use the mean of the logits of both
networks. The resulting accuracy cannot be compared with the numbers of the paper.

The authors' code differs from this implementation in four points. It divides the mean loss by (1 -
R) B once more, which hardly matters with Adam. It skips training in epoch 0, and it limits an epoch
to 400 batches. It lowers Adam's beta_1 from 0.9 to 0.1 when the learning rate begins to fall.

In our study `methods_cifar10`, the option `noise_rate` is the true share of wrong labels. For
symmetric noise, this is the level divided by 100; for asymmetric noise at level 40, it is 0.2.
"""

from typing import cast

from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.validation import check_choice, check_number, resolve_epochs
from cnlw_tools.methods.components.weighting_rules import mask_of_smallest


def dropped_share(
    epoch: int,
    rate: float,
    gradual: int,
    exponent: float = 1.0,
) -> float:
    """Return R(e), the share of the examples that is dropped in an epoch."""
    if epoch >= gradual:
        return rate
    share: float = rate**exponent * epoch / max(gradual - 1, 1)
    return share


class CoTeaching(Method):
    """Trains two networks, each on the examples for which the other one has a small loss.

    Args:
        task: the learning task
        gradual: number of epochs during which the share of dropped examples grows
        exponent: c, the exponent of the noise rate in R(e)
        predict: what predicts: the first network (one) or the mean of both networks (mean)
    """

    requires = ("noise_rate",)
    paper = "Han et al. 2018"
    repeats_within = "epoch"
    relative_cost = 2.0
    distributed_loss = "gathered"

    def __init__(
        self,
        task: Task,
        gradual: float = 10,
        exponent: float = 1.0,
        predict: str = "one",
    ) -> None:
        super().__init__(task)
        self.other_net = task.make_net()
        self.gradual = resolve_epochs("gradual", gradual, task.epochs)
        self.exponent = check_number("exponent", exponent, 0)
        self.predicts_mean = check_choice("predict", predict, ("one", "mean")) == "mean"

    def loss(self, batch: Batch) -> Tensor:
        """Return the sum of each network's mean cross-entropy on the other's selection."""
        batch_size = distributed.world_size() * len(batch.y)
        n_selected = self.count_selected(batch_size)
        losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        other_losses = cross_entropy(self.other_net(batch.x), batch.y, reduction="none")
        selected = select_smallest(losses, n_selected)
        other_selected = select_smallest(other_losses, n_selected)
        mean_losses = (losses + other_losses) / 2
        self.log_examples(batch, mean_losses, weights=(selected + other_selected) / 2)
        total = (other_selected * losses + selected * other_losses).sum()
        # the trainer averages gradients over ranks
        return distributed.world_size() / n_selected * total

    def count_selected(self, batch_size: int) -> int:
        """Return (1 - R) B, the number of examples to select from a batch in the current epoch."""
        epoch = int(self.progress * self.task.epochs + 1e-6)
        noise_rate = cast(float, self.task.noise_rate)
        dropped = dropped_share(epoch, noise_rate, self.gradual, self.exponent)
        # rounded, since 10 (1 - 0.9) is a little less than 1 in floats
        return max(1, int(round(batch_size * (1 - dropped), 6)))

    def predict(self, x: Tensor) -> Tensor:
        """Return the first network's logits; if asked for, the mean of both networks'."""
        logits: Tensor = self.net(x)
        if self.predicts_mean:
            logits = (logits + self.other_net(x)) / 2
        return logits


def select_smallest(losses: Tensor, count: int) -> Tensor:
    """Return (B,) 1 for this rank's examples among the ``count`` smallest losses of all ranks."""
    all_losses = distributed.all_gather(losses)
    return distributed.local_rows(mask_of_smallest(all_losses, count))
