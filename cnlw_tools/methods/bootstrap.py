"""Bootstrap: trust the label in part, and the network's own guess for the rest (Reed et al. 2015).

soft    l = -sum_k (beta Y_k + (1 - beta) p_k) log p_k              = beta CE + (1 - beta) H(p)
hard    l = -sum_k (beta Y_k + (1 - beta) 1[k = argmax p]) log p_k  = beta CE - (1 - beta) log max_k p_k

A network that is consistent finds most labels right before it learns the wrong ones by heart. The second term lets
it keep what it believes against a label that says otherwise. The soft target is no constant: with the gradient
stopped there, that of the second term is p - p = 0, and what remains is beta CE. In the hard one the argmax is
constant by nature.

The paper's beta is 0.95 (soft) and 0.8 (hard). Jiang et al. ran the hard one.

Not done here: the paper's reconstruction loss, which learns a noise matrix beside the guess.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.validation import check_choice, check_number

BETA = {"soft": 0.95, "hard": 0.8}


def surprise(z: Tensor, kind: str) -> Tensor:
    """Return the (B,) cross-entropy of logits, (B, K), against their own guess: all of it, or its top."""
    log_p = log_softmax(z.float(), 1)
    if kind == "soft":
        return -(log_p.exp() * log_p).sum(1)
    return -log_p.max(1).values


class Bootstrap(Method):
    """Cross-entropy against a mix of the label and the network's guess."""

    cross_entropy_options = {"beta": 1.0}  # noqa: RUF012, read only
    paper = "Reed et al. 2015"

    def __init__(self, task: Task, kind: str = "hard", beta: float | None = None) -> None:
        super().__init__(task)
        self.kind = check_choice("kind", kind, BETA)
        self.beta = check_number("beta", BETA[kind] if beta is None else beta, 0, 1)

    def loss(self, batch: Batch) -> Tensor:
        """Beta times that of the label, the rest that of the guess."""
        z = self.net(batch.x)
        each = cross_entropy(z, batch.y, reduction="none")
        self.log_examples(batch, each)
        return (self.beta * each + (1 - self.beta) * surprise(z, self.kind)).mean()
