"""GCE: the generalised cross-entropy L_q, plain and truncated (Zhang and Sabuncu, NeurIPS 2018, arXiv:1805.07836).

L_q(p)   = (1 - p^q) / q,  p = p_y          q -> 0: cross-entropy l = -log p;  q = 1: 1 - p, the mean absolute error
grad L_q = p^q grad l                       p^q = exp(-q l)
l_b      = w_b L_q(p_b) + (1 - w_b) L_q(k)  truncated
w_b      = 1[p*_b > k]                      p* by the best network so far; 1 before the first such look

Cross-entropy pulls hardest where the network finds the label least likely, which is where labels are wrong; the mean
absolute error pulls all alike, which resists noise and hardly learns. q is in between. Truncated, what the network
takes for less likely than k costs a constant and pulls no more. To minimise the truncated loss directly would give
up at once what is not learned yet, so network and w take turns: from epoch ``start`` on, ``every`` so many epochs.

The best network is the one that tells most labels of a held-out share of the noisy training set; of equals the first.
The paper writes w (L_q(p) - L_q(k)), which is less by L_q(k) and has the same gradient. Noted weights are w p^q.

On `shapes` (blue 40, 16 pixels, 10 epochs) truncation at k = 0.5 ends at 31 where vanilla has 54: a network that young
believes few labels. With k = 0.3 it ends at 39 to vanilla's 56 after 12 epochs, 53 to 52 after 20; without
truncation L_q ends at 62.

Not done here: a copy of the best network when the training ends; the trainer reports last and best alike.
"""

import math
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.inference import predict_batches
from cnlw_tools.methods.components.validation import check_number, resolve_epochs


def generalised(losses: Tensor, q: float) -> Tensor:
    """L_q of cross-entropies, (1 - exp(-q l)) / q: exact for small q, with a gradient for every p; (B,) -> (B,)."""
    return -torch.expm1(-q * losses) / q if q else losses


class GCE(Method):
    """Cross-entropy that pulls the less, the less it believes the label."""

    cross_entropy_options = {"q": 0.0}  # noqa: RUF012, read only
    paper = "Zhang and Sabuncu 2018"

    def __init__(self, task: Task, q: float = 0.7) -> None:
        super().__init__(task)
        self.q = check_number("q", q, 0, 1)

    def loss(self, batch: Batch) -> Tensor:
        """Mean L_q."""
        each = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        self.log_examples(batch, each, torch.exp(-self.q * each))
        return generalised(each, self.q).mean()


class GCETruncated(GCE):
    """GCE on what its best network so far believes."""

    cross_entropy_options = {"q": 0.0, "k": 0.0}  # noqa: RUF012, read only
    requires = ("holdout",)
    relative_cost = 1.06  # a tenth of a forward pass an epoch, and a whole one every tenth
    kept: Tensor
    score: Tensor

    def __init__(
        self, task: Task, q: float = 0.7, k: float = 0.5, start: float = 0.33, every: int = 10
    ) -> None:
        super().__init__(task, q)
        self.k = check_number("k", k, 0, 1)
        self.dear = -math.log(max(k, 1e-30))  # the cross-entropy at p = k
        self.start, self.every = (
            resolve_epochs("start", start, task.epochs),
            int(check_number("every", every, 1)),
        )
        self.best = deepcopy(self.net).requires_grad_(False)
        self.register_buffer("kept", torch.ones(task.n_examples, dtype=torch.bool))  # w
        self.register_buffer("score", torch.zeros(()))  # of the best network

    def loss(self, batch: Batch) -> Tensor:
        """Mean L_q of what is kept, and a constant for the rest."""
        each = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        kept = self.kept[batch.index]
        self.log_examples(batch, each, kept * torch.exp(-self.q * each))
        return generalised(torch.where(kept, each, self.dear), self.q).mean()

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Keep the network if it is the best, and every so often what the best believes."""
        if not epoch:
            return
        holdout = cast(BatchSource, self.task.holdout)  # `Method` has refused a task without
        score = torch.cat(
            [(z.argmax(1) == batch.y).float() for batch, z in predict_batches(self.net, holdout)]
        ).mean()
        distributed.average_over_ranks([score])  # so that all ranks choose alike
        if score > self.score:
            self.score.copy_(score)
            self.best.load_state_dict(self.net.state_dict())
        if epoch >= self.start and (epoch - self.start) % self.every == 0:
            self.prune(train_batches)

    def prune(self, train_batches: BatchSource) -> None:
        """w = 1[p* > k]."""
        for batch, z in predict_batches(self.best, train_batches):
            p = z.softmax(1).gather(1, batch.y[:, None])[:, 0]
            self.kept[batch.index] = p > self.k if self.k else torch.ones_like(p, dtype=torch.bool)
