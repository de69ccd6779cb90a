"""Bootstrap mixes the given label with the network's own prediction (Reed et al. 2015).

soft    l = -sum_k (beta Y_k + (1 - beta) p_k) log p_k
          = beta CE + (1 - beta) H(p)
hard    l = -sum_k (beta Y_k + (1 - beta) 1[k = argmax p]) log p_k
          = beta CE - (1 - beta) log max_k p_k

A network fits most correct labels before it memorises the wrong ones. The second term lets the
network keep its own prediction if a label contradicts this prediction. The soft target is not
treated as a constant: with a constant target, the gradient of the second term would be p - p = 0,
and only beta CE would remain. In the hard variant, the argmax has no gradient, so the target
is a constant in any case.

In the paper, beta is 0.95 (soft) or 0.8 (hard). Jiang et al. (2020) used the hard variant.

The paper also proposes a loss with which a noise matrix is learned (the reconstruction loss). This
implementation does not include this loss.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.validation import check_choice, check_number

DEFAULT_BETA = {"soft": 0.95, "hard": 0.8}


def prediction_losses(z: Tensor, kind: str) -> Tensor:
    """Return the cross-entropy, (B,), of logits, (B, K), against their own prediction.

    The prediction is the softmax if ``kind`` is "soft", and the likeliest class if it is "hard".
    """
    log_p = log_softmax(z.float(), 1)
    if kind == "soft":
        return -(log_p.exp() * log_p).sum(1)
    return -log_p.max(1).values


class Bootstrap(Method):
    """Replaces a part of each label with the network's own prediction.

    Args:
        task: the learning task
        kind: what the label is mixed with: the probabilities (soft) or the most likely class
            (hard)
        beta: share of the given label in the target; 0.95 (soft) or 0.8 (hard) by default
    """

    cross_entropy_options = {"beta": 1.0}  # noqa: RUF012, read only
    paper = "Reed et al. 2015"
    repeats_within = "epoch"

    def __init__(
        self,
        task: Task,
        kind: str = "hard",
        beta: float | None = None,
    ) -> None:
        super().__init__(task)
        self.kind = check_choice("kind", kind, DEFAULT_BETA)
        if beta is None:
            beta = DEFAULT_BETA[kind]
        self.beta = check_number("beta", beta, 0, 1)

    def loss(self, batch: Batch) -> Tensor:
        """Return beta times the mean loss of the labels, plus the rest of the predictions."""
        z = self.net(batch.x)
        losses = cross_entropy(z, batch.y, reduction="none")
        self.log_examples(batch, losses)
        own_losses = prediction_losses(z, self.kind)
        mixed = self.beta * losses + (1 - self.beta) * own_losses
        return mixed.mean()
