"""Mixup trains on blends of two images and of their labels.

Source: Zhang, Cisse, Dauphin and Lopez-Paz 2018, "mixup: beyond empirical risk minimization".

Each example b of the batch is blended with a partner pi(b), in a random proportion lam:

lam ~ Beta(alpha, alpha)
x'_b = lam x_b + (1 - lam) x_pi(b)          pi: a random permutation of the batch
L = mean_b CE(lam Y_b + (1 - lam) Y_pi(b), f(x'_b))
  = mean_b lam CE(y_b, f(x'_b)) + (1 - lam) CE(y_pi(b), f(x'_b))

Mixup makes a network nearly linear between examples, and such a network cannot closely fit a single
example with a wrong label. Each blend occurs only once, so there is less to memorise. For
noisy labels, the paper uses larger values of alpha (8 to 32) than for clean ones (1 for CIFAR).

The authors' code for mixup draws one lam per batch, which is also the default here; MentorMix,
MixMatch and IEG draw one per example. The logged loss of example b is CE(y_b, f(x'_b)); it ignores
the partner's label.

With several ranks, each rank blends only examples of its own batch.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.mixing import mix, sample_beta
from cnlw_tools.methods.components.validation import check_choice, check_number


class Mixup(Method):
    """Trains on blends of two images and of their labels.

    Args:
        task: the learning task
        alpha: parameter of the Beta distribution; with a larger alpha, lam tends to be closer to
            1/2
        per: whether lam is drawn once for each batch (batch) or for each example (example)
    """

    cross_entropy_options = {"alpha": 0.0}  # noqa: RUF012, read only
    paper = "Zhang et al. 2018"
    repeats_within = "epoch"
    distributed_loss = "per_rank"

    def __init__(
        self,
        task: Task,
        alpha: float = 1.0,
        per: str = "batch",
    ) -> None:
        super().__init__(task)
        self.alpha = check_number("alpha", alpha, 0)
        self.per = check_choice("per", per, ("batch", "example"))

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean cross-entropy of the blends against both of their labels."""
        x, y = batch.x, batch.y
        shape = () if self.per == "batch" else y.shape
        lam = sample_beta(self.alpha, shape, x)
        partner = torch.randperm(len(y), device=y.device)
        z = self.net(mix(x, x[partner], lam))
        losses = cross_entropy(z, y, reduction="none")
        partner_losses = cross_entropy(z, y[partner], reduction="none")
        self.log_examples(batch, losses)
        return mix(losses, partner_losses, lam).mean()
