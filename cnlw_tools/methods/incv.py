"""INCV: cross-validation finds what is labelled right, then two networks learn from it (Chen et al., ICML 2019).

S = nobody, C = everybody; so many times: C is halved at random, and for each half, called H, the other one O:
    a network learns from S and O, from the beginning; what it takes in H for what the label says goes to S; of the
    rest, those among the int(r |selected|) that cost most in H leave C for good; r = min(2, eps / (1 - eps))
eps     = the least with (1 - eps)^2 + eps^2 / (K - 1) <= share of the first H that was selected, in steps of 0.001
eps_S   = eps^2 / (eps^2 + (K - 1) (1 - eps)^2): how much of S is labelled wrong
L       = mean CE of network 1 where network 2 finds the loss small, and the other way round
          small: the n = round(|B and S| (1 - eps_S min(1, e / ramp))) least of a batch B, in epoch e of this stage

A network does not know the wrong labels of examples that it has not seen by heart, so where it agrees with such a
label, the label is likely right: both would have to err alike. How often it agrees tells how many are wrong. What is
left in S of wrong ones is left to two networks that choose for each other, as in Co-teaching. After ``warmup`` they
also choose among what is left of C, of which at most half as many are drawn as S has.

The network that selects is the one that was best on the holdout, in the first iteration where eps > 0.6 or the noise
is asymmetric, in the first two where eps > 0.3, else always; afterwards the last (the longer it learns the more it
knows by heart). Asymmetric noise: nobody leaves C, K - 1 is 1 in eps_S, and the warm-up is twice as long, as it is
where eps > 0.6. The authors' shares of epochs are the defaults: eight halves of 50 epochs, then 200.
A network that has hardly learned selects but what it began with, so where epochs are few iterations are left out until
a half has three; if there is time for none, S is everybody and eps = 0.

Every training begins with the same weights, as in the code. While halves are learned the second network keeps the
best state of the first. With several ranks the first one's selection is everybody's, and small is small on a rank.
In the last stage whatever is not in S has a noted weight of 0, unless it is drawn.

On `shapes` (blue 40, 16 pixels, 12 epochs) it ends at 30 where vanilla has 58: halves and last stage share the epochs,
and networks that have learned for three agree with too few labels to select by.

Not done here: batches that grow by what is drawn from C; a new draw an epoch; agreement with one of several guesses.
"""

from math import ceil
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource, Method, Phase, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.inference import evaluate_dataset
from cnlw_tools.methods.components.validation import check_choice, check_number, resolve_epochs
from cnlw_tools.methods.components.weighting_rules import mask_of_smallest

CANDIDATE, SELECTED, DISCARDED = range(3)
LEAST = 3  # epochs of a half, before there is another iteration


def estimated(agreement: float, classes: int) -> float:
    """Return eps; less agreement than by chance is as much as by chance."""
    steps = (k / 1000 for k in range(1000))
    found = (e for e in steps if (1 - e) ** 2 + e**2 / (classes - 1) <= agreement + 1e-9)
    return next(found, 1 - 1 / classes)


def left(eps: Tensor, against: int) -> Tensor:
    """Return eps_S; against: K - 1, or 1 for asymmetric noise."""
    return eps**2 / (eps**2 + against * (1 - eps) ** 2)


def lengths(total: int, share: float, iterations: int) -> tuple[int, int]:
    """Return how many iterations there is time for, and the epochs of each of their halves."""
    budget = min(ceil(round(share * total, 9)), total - 1)
    iterations = min(iterations, max(budget // (2 * LEAST), int(budget >= 2)))
    return iterations, budget // (2 * iterations) if iterations else 0


class INCV(Method):
    """Iterative cross-validation, then two networks on what was selected."""

    requires = ("holdout",)
    paper = "Chen et al. 2019"
    relative_cost = 1.3
    distributed_loss = "per_rank"
    eps: Tensor
    best: Tensor
    status: Tensor
    side: Tensor
    paired: Tensor

    def __init__(
        self,
        task: Task,
        iterations: int = 4,
        validation: float = 2 / 3,  # share of all epochs
        noise: str = "symmetric",
        warmup: float = 0.2,  # of the epochs of the last stage
        ramp: float = 0.05,  # of the epochs of the last stage
    ) -> None:
        super().__init__(task)
        self.other = task.make_net()
        share = check_number("validation", validation, 0, 1)
        self.iterations, self.each = lengths(
            task.epochs, share, int(check_number("iterations", iterations, 0))
        )
        self.before = 2 * self.iterations * self.each  # epochs of cross-validation
        self.asymmetric = check_choice("noise", noise, ("symmetric", "asymmetric")) == "asymmetric"
        self.warmup = resolve_epochs("warmup", warmup, task.epochs - self.before)
        self.ramp = max(1, resolve_epochs("ramp", ramp, task.epochs - self.before))
        self.register_buffer("eps", torch.zeros(()))
        self.register_buffer("best", torch.full((), -1.0))  # accuracy on the holdout
        self.register_buffer("status", torch.full((task.n_examples,), CANDIDATE))
        self.register_buffer("side", torch.zeros(task.n_examples, dtype=torch.long))
        self.register_buffer(
            "paired", torch.zeros((), dtype=torch.bool)
        )  # the last stage has begun

    def phases(self) -> list[Phase]:
        """Return a phase a half, and the last stage."""
        halves = [Phase(self.each, restart="init") for _ in range(2 * self.iterations)]
        return [*halves, Phase(self.task.epochs - self.before, restart="init")]

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy; in the last stage of two networks, on what the other one finds easy."""
        epoch = int(self.progress * self.task.epochs + 1e-6) - self.before
        own = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        if epoch < 0:
            self.log_examples(batch, own)
            return own.mean()
        other = cross_entropy(self.other(batch.x), batch.y, reduction="none")
        mine, yours = (self.easy(each.detach(), batch, epoch) for each in (own, other))
        self.log_examples(batch, (own + other) / 2, (mine + yours) / 2)
        return _mean(own, yours) + _mean(other, mine)

    def easy(self, losses: Tensor, batch: Batch, epoch: int) -> Tensor:
        """Return 1 for the n least losses, (B,), of those that may be chosen, and 0 for the others."""
        chosen = self.status[batch.index] == SELECTED
        against = 1 if self.asymmetric else self.task.n_classes - 1
        many = chosen.sum() * (1 - left(self.eps, against) * min(1, epoch / self.ramp))
        late = epoch > self.warmup * torch.where(self.eps > 0.6, 2, 2 if self.asymmetric else 1)
        return mask_of_smallest(torch.where(chosen | late, losses, torch.inf), many.round())

    def predict(self, x: Tensor) -> Tensor:
        """Return the mean of both networks' logits in the last stage, and those of the first before."""
        out: Tensor = self.net(x)
        return (out + self.other(x)) / 2 if self.paired else out

    @torch.no_grad()
    def begin_phase(self, phase: int, train_batches: BatchSource) -> Tensor:
        """Select from the half that was not learned, and return what is learned next."""
        last = phase == 2 * self.iterations
        if phase:
            self._keep_best()
            self._select(phase - 1, train_batches)
        elif last:
            self.status.fill_(SELECTED)
        self.best.fill_(-1.0)
        self.paired.fill_(last)
        if last:
            return self._drawn()
        if phase % 2 == 0:
            self._halve()
        return ((self.side == phase % 2) | (self.status == SELECTED)).nonzero().flatten()

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Keep the network while it is best on the holdout."""
        if epoch >= self.before:
            self.example_weights[self.status != SELECTED] = 0.0
        elif epoch % self.each:
            self._keep_best()

    def _halve(self) -> None:
        """Part the candidates at random; the others are in neither half."""
        rows = (self.status == CANDIDATE).nonzero().flatten()
        self.side.fill_(2)
        self.side[rows[torch.randperm(len(rows)).to(rows.device)]] = (
            torch.arange(len(rows), device=rows.device) % 2
        )
        distributed.broadcast_from_rank_zero([self.side])

    def _keep_best(self) -> None:
        _, agrees = evaluate_dataset(self.net, cast(BatchSource, self.task.holdout))
        accuracy = agrees.float().mean()
        distributed.average_over_ranks([accuracy])
        if accuracy > self.best:
            self.best.copy_(accuracy)
            self.other.load_state_dict(self.net.state_dict())

    def _select(self, learned: int, train_batches: BatchSource) -> None:
        """Select from, and discard of, the half that was not learned in phase ``learned``."""
        until = 1 if self.asymmetric or self.eps > 0.6 else 2 if self.eps > 0.3 else self.iterations
        losses, agrees = evaluate_dataset(
            self.other if learned // 2 < until else self.net, train_batches
        )
        test = self.side == 1 - learned % 2
        good, many = test & agrees, int(test.sum())
        if learned == 0:
            self.eps.fill_(estimated(int(good.sum()) / max(many, 1), self.task.n_classes))
        if not self.asymmetric:
            eps = float(self.eps)
            worst = torch.where(test, losses, -torch.inf).argsort(descending=True, stable=True)
            self.status[worst[: min(many, int(min(2, eps / (1 - eps)) * int(good.sum())))]] = (
                DISCARDED
            )
        self.status[good] = SELECTED
        distributed.broadcast_from_rank_zero([self.status, self.eps])

    def _drawn(self) -> Tensor:
        """Return S, and of C as many as are in S, or half of that."""
        own, rest = ((self.status == s).nonzero().flatten() for s in (SELECTED, CANDIDATE))
        if not len(own):
            raise ValueError(
                "INCV: no network agrees with a single label of what it did not see: give more epochs"
            )
        some = rest[torch.randperm(len(rest))[: len(own) // 2].to(rest.device)]
        rows = torch.cat([own, some]).sort().values
        distributed.broadcast_from_rank_zero([rows])
        return rows


def _mean(losses: Tensor, chosen: Tensor) -> Tensor:
    return (losses * chosen).sum() / chosen.sum().clamp(min=1)
