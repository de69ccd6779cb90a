"""GLC, gold loss correction: forward correction by a matrix that trusted labels tell (Hendrycks et al., NeurIPS 2018).

C[i, j] = mean of p_j over trusted images of class i        p: a network that learned from the noisy labels
L = (n L_noisy + m L_trusted) / (n + m)                     n noisy examples, m trusted ones
    L_noisy   = -mean_b log sum_i p_b[i] C[i, y_b]
    L_trusted = mean cross-entropy of trusted examples

Dan Hendrycks, Mantas Mazeika, Duncan Wilson and Kevin Gimpel, arXiv:1802.05300. A network that learned from noisy
labels predicts noisy labels, and its mean prediction over images that are truly of a class tells what becomes of that
class. So little is asked of the trusted set, K^2 numbers, that it may be small. Then the network begins anew, from its
first weights, and learns from all examples: noisy ones through C, trusted ones as they are.

Each step joins its batch with newly drawn trusted examples, as many as their share makes, at least one, in one forward
pass; the loss weighs them by what they are of the whole, n and m, and not by what they are of the batch.
With several ranks each joins its part of what was drawn.

On `shapes` (blue 40, 16 pixels) it ends at 52, as vanilla does, after 20 epochs, and below it after 10: the second
training, which counts, has half of them, and ten trusted images a class say little of a network that knows little.

Not done here: one shuffled set of both, in which every trusted example comes once an epoch.
"""

from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from cnlw_tools.methods.base import Batch, BatchSource, Method, Phase, ProbeSet, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.confusion import count_labels
from cnlw_tools.methods.components.lookahead import draw_probe
from cnlw_tools.methods.components.transitions import given_label_nll
from cnlw_tools.methods.components.validation import resolve_epochs


class GLC(Method):
    """Train, see what trusted classes became, and train anew with that and with the trusted examples."""

    requires = ("probe",)
    paper = "Hendrycks et al. 2018"
    distributed_loss = "per_rank"
    c: Tensor

    def __init__(self, task: Task, first: float = 0.5) -> None:
        super().__init__(task)
        self.first = resolve_epochs("first", first, task.epochs)
        labels = torch.cat([batch.y for batch in cast(ProbeSet, task.probe).batches()])
        missing = [
            i
            for i, count in enumerate(labels.bincount(minlength=task.n_classes).tolist())
            if not count
        ]
        if missing:
            raise ValueError(
                f"GLC needs trusted images of every class, and has none of {missing}: build with `--probe 10`"
            )
        self.m = len(labels)
        self.register_buffer("c", torch.eye(task.n_classes))

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy at first; then behind C, and that of trusted examples."""
        # by progress: a run that goes on in the middle of an epoch begins no phase
        if self.progress * self.task.epochs < self.first - 1e-6:
            each = cross_entropy(self.net(batch.x), batch.y, reduction="none")
            self.log_examples(batch, each)
            return each.mean()
        n, m, many = self.task.n_examples, self.m, len(batch.y)
        gold = draw_probe(self.task, distributed.world_size() * max(1, round(many * m / n)))
        z = self.net(torch.cat([batch.x, gold.x]))
        self.log_examples(batch, cross_entropy(z[:many], batch.y, reduction="none"))
        noisy = given_label_nll(log_softmax(z[:many].float(), 1), self.c.T, batch.y).mean()
        return (n * noisy + m * cross_entropy(z[many:], gold.y)) / (n + m)

    def epoch_artifacts(self) -> dict[str, Tensor]:
        """C, which is I until there is an estimate."""
        return {"transition": self.c}

    def phases(self) -> list[Phase]:
        """On noisy labels, and anew with the correction."""
        rest = self.task.epochs - self.first
        phases = [Phase(self.first), Phase(rest, restart="init" if self.first else "keep")]
        return [phase for phase in phases if phase.epochs]

    def begin_phase(self, phase: int, train_batches: BatchSource) -> None:
        """Look at what trusted classes became when the first training is over."""
        if phase == int(self.first > 0):
            p = count_labels(
                self.net, cast(ProbeSet, self.task.probe).batches, self.task.n_classes, "soft"
            ).T  # (true, given)
            self.c.copy_(p / p.sum(1, keepdim=True))
