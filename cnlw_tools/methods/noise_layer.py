"""Noise layer: a linear layer of label noise above the softmax (Sukhbaatar, Bruna, Paluri, Bourdev and Fergus 2015).

p~_b = Q p_b        Q[j, i] = P(given j | true i): columns sum to 1, T = Q^t
L = -mean_b log p~_b[y_b] + q_lambda / K r(Q)        r: trace tr(Q) | ridge |Q|^2 / 2, of a learned Q alone

With C[i, j] the mean of p_i over what is truly j, the loss is least where Q C is the true Q*. With Q fixed to Q*, that
is C = I: the network tells the true class. A learned Q would stay at I, since C = Q* explains as much; r spreads it.
So Q is frozen at I until the network tells the classes, then learned with it, and after every step each column goes
back to the probabilities (`simplex`: how, the paper does not say). Nor does it tell the rest, which is ours: 1 / K, so
that any K takes the same q_lambda; q_lambda = 1, the largest that leaves clean labels at Q = I; a short warm-up, since
a network that knows the wrong labels by heart needs no Q; a q_lr at which classes do not change places.

Not done here: the estimate of Q* from a few true labels.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.simplex import PROJECTIONS
from cnlw_tools.methods.components.transitions import given_label_nll, parse_transition
from cnlw_tools.methods.components.validation import check_choice, check_number, resolve_epochs


class NoiseLayer(Method):
    """A transition matrix above the network: ``q`` is learned, or stated (`transitions`)."""

    cross_entropy_options = {"q": "symmetric:0"}  # noqa: RUF012, read only
    paper = "Sukhbaatar et al. 2015"

    def __init__(
        self,
        task: Task,
        q: str | Sequence[Sequence[float]] = "learned",
        warmup: float = 0.1,
        regulariser: str = "ridge",
        q_lambda: float = 1.0,
        q_lr: float = 0.001,
        projection: str = "euclid",
    ) -> None:
        super().__init__(task)
        self.learned = q == "learned"
        self.q = nn.Parameter(
            torch.eye(task.n_classes) if self.learned else parse_transition(q, task.n_classes),
            self.learned,
        )
        self.warmup = resolve_epochs("warmup", warmup, task.epochs)
        self.regulariser = check_choice("regulariser", regulariser, ("trace", "ridge"))
        self.q_lambda, self.q_lr = (
            check_number("q_lambda", q_lambda, 0),
            check_number("q_lr", q_lr, 0),
        )
        self.project = PROJECTIONS[check_choice("projection", projection, PROJECTIONS)]

    def loss(self, batch: Batch) -> Tensor:
        """The given label's probability above the layer, and after the warm-up the price of a learned Q."""
        z = self.net(batch.x)
        self.log_examples(batch, cross_entropy(z, batch.y, reduction="none"))
        # by progress: a run that goes on in the middle of an epoch begins none
        learning = self.learned and self.progress * self.task.epochs > self.warmup - 1e-6
        q = self.q if learning else self.q.detach()
        loss = given_label_nll(log_softmax(z.float(), 1), q, batch.y).mean()
        if not learning:
            return loss
        r = q.trace() if self.regulariser == "trace" else q.square().sum() / 2
        return loss + self.q_lambda / len(q) * r

    def epoch_artifacts(self) -> dict[str, Tensor]:
        """T = Q^t."""
        return {"transition": self.q.T}

    @torch.no_grad()
    def after_step(self) -> None:
        """Make the columns of a learned Q probabilities again."""
        if self.learned:
            self.q.copy_(self.project(self.q))

    def param_groups(self) -> list[dict[str, Any]]:
        """Q learns at its own rate and does not decay."""
        return [
            {"params": list(self.net.parameters())},
            {"params": [self.q], "lr": self.q_lr, "weight_decay": 0.0},
        ]
