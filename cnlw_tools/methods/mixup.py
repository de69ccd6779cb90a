"""Mixup: train on blends of two images and of their labels (Zhang, Cisse, Dauphin and Lopez-Paz 2018).

lam ~ Beta(alpha, alpha)        x'_b = lam x_b + (1 - lam) x_pi(b)        pi: a random permutation of the batch
L = mean_b CE(lam Y_b + (1 - lam) Y_pi(b), f(x'_b))  = mean_b lam CE(y_b, f(x'_b)) + (1 - lam) CE(y_pi(b), f(x'_b))

A network that is to be linear between examples cannot bend around a single wrong one, and each blend comes once, so
there is less to learn by heart. The larger alpha, the more it is a half of each: the paper takes 1, and 8 to 32 for
noisy labels.

The authors' code draws one lam a batch, that of MentorMix, MixMatch and IEG one an example: ``per``.
What is noted of an example is the cross-entropy of its own label on the blend.

Not done here: blends with other devices' examples.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.mixing import mix, sample_beta
from cnlw_tools.methods.components.validation import check_choice, check_number


class Mixup(Method):
    """Cross-entropy on blends of two examples."""

    cross_entropy_options = {"alpha": 0.0}  # noqa: RUF012, read only
    paper = "Zhang et al. 2018"
    distributed_loss = "per_rank"

    def __init__(self, task: Task, alpha: float = 1.0, per: str = "batch") -> None:
        super().__init__(task)
        self.alpha = check_number("alpha", alpha, 0)
        self.per = check_choice("per", per, ("batch", "example"))

    def loss(self, batch: Batch) -> Tensor:
        """The label's part of the blend, and the partner's."""
        x, y = batch.x, batch.y
        lam = sample_beta(self.alpha, () if self.per == "batch" else y.shape, x)
        partner = torch.randperm(len(y), device=y.device)
        z = self.net(mix(x, x[partner], lam))
        own = cross_entropy(z, y, reduction="none")
        self.log_examples(batch, own)
        return mix(own, cross_entropy(z, y[partner], reduction="none"), lam).mean()
