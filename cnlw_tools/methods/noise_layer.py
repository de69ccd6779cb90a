"""The noise layer models label noise with a linear layer on top of the softmax.

Source: Sukhbaatar, Bruna, Paluri, Bourdev and Fergus 2015, "Training convolutional networks with
noisy labels".

The predicted probabilities of the given labels are p~. The option q_lambda is the strength of a
regulariser r, which is the trace or the ridge:

p~_b = Q p_b        Q[j, i] = P(given j | true i): columns sum to 1, T = Q^t
L = -mean_b log p~_b[y_b] + q_lambda / K r(Q)     r: tr(Q) or |Q|^2 / 2; 0 for a fixed Q

Let C[i, j] be the mean predicted probability of class i over images whose true class is j, and let
Q* be the true noise matrix. Without the regulariser, the loss is smallest if Q C = Q*. If Q is
fixed to Q*, this means C = I: the network predicts the true class. A learned Q, which starts at I,
would stay there, because Q = I with C = Q* gives the same loss as Q = Q* with C = I. To prevent
this, the regulariser r moves Q away from I. During a warm-up, in which the network learns to
distinguish the classes, Q is frozen at I. Then Q is learned together with the network. After every
step, each column of Q is projected back to probabilities (`simplex`). The paper does not say how to
project.

The paper leaves other details open. These are our choices:

- the factor 1 / K, so that the same q_lambda suits any K;
- q_lambda = 1, the largest value that keeps Q = I for clean labels;
- a short warm-up, because Q can no longer be learned once the network has memorised the wrong
  labels;
- a learning rate q_lr so small that Q cannot swap two classes.

If you know Q* or have an estimate of it, give it with the option `q`. Q is then fixed.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.simplex import PROJECTIONS
from cnlw_tools.methods.components.transitions import given_label_nll, parse_transition
from cnlw_tools.methods.components.validation import (
    check_choice,
    check_number,
    resolve_epochs,
    resolve_first_epochs,
)


class NoiseLayer(Method):
    """Puts a noise matrix Q, which is learned or given by the user, on top of the network.

    Args:
        task: the learning task
        q: the matrix Q: learned, a name such as symmetric:0.4 or pairflip:0.4, or a list of rows,
            in which q[j][i] is the probability of the given label j if the true class is i
        warmup: epochs before Q is learned; a value below 1 is a share of all epochs
        regulariser: what moves a learned Q away from the identity: ridge or trace
        q_lambda: strength of the regulariser
        q_lr: learning rate of Q
        projection: way to project columns of Q back to probabilities: euclid or clip, see `simplex`
    """

    cross_entropy_options = {"q": "symmetric:0"}  # noqa: RUF012, read only
    paper = "Sukhbaatar et al. 2015"
    repeats_within = "epoch"

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
        self.is_learned = q == "learned"
        if self.is_learned:
            matrix = torch.eye(task.n_classes)
        else:
            matrix = parse_transition(q, task.n_classes)
        self.q = nn.Parameter(matrix, requires_grad=self.is_learned)
        if self.is_learned:
            self.warmup = resolve_first_epochs("warmup", warmup, task.epochs, least=0)
            self.is_staged = self.warmup > 0
        else:
            self.warmup = resolve_epochs("warmup", warmup, task.epochs)
        self.regulariser = check_choice("regulariser", regulariser, ("trace", "ridge"))
        self.q_lambda = check_number("q_lambda", q_lambda, 0)
        self.q_lr = check_number("q_lr", q_lr, 0)
        self.project = PROJECTIONS[check_choice("projection", projection, PROJECTIONS)]

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of the labels behind the layer, plus the penalty of a learned Q."""
        z = self.net(batch.x)
        self.log_examples(batch, cross_entropy(z, batch.y, reduction="none"))
        # A run that resumes within an epoch calls no begin_epoch, so `progress` decides.
        epochs_done = self.progress * self.task.epochs
        learns_q = self.is_learned and epochs_done > self.warmup - 1e-6
        q = self.q if learns_q else self.q.detach()
        log_p = log_softmax(z.float(), 1)
        loss = given_label_nll(log_p, q, batch.y).mean()
        if not learns_q:
            return loss
        if self.regulariser == "trace":
            r = q.trace()
        else:
            r = q.square().sum() / 2
        return loss + self.q_lambda / len(q) * r

    def epoch_artifacts(self) -> dict[str, Tensor]:
        """Return T = Q^t."""
        return {"transition": self.q.T}

    @torch.no_grad()
    def after_step(self) -> None:
        """Project the columns of a learned Q back to probabilities."""
        if self.is_learned:
            self.q.copy_(self.project(self.q))

    def param_groups(self) -> list[dict[str, Any]]:
        """Return the network, and Q with its own learning rate and without weight decay."""
        return [
            {"params": list(self.net.parameters())},
            {"params": [self.q], "lr": self.q_lr, "weight_decay": 0.0},
        ]
