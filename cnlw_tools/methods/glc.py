"""GLC (gold loss correction) corrects the loss with a matrix that is estimated from trusted labels.

Source: Hendrycks, Mazeika, Wilson and Gimpel, NeurIPS 2018, arXiv:1802.05300.

The matrix C corrects the loss on noisy examples only:

C[i, j] = mean of p_j over trusted images of class i    p: prediction of a network that
                                                        learned from noisy labels
L = (n L_noisy + m L_trusted) / (n + m)                 n noisy examples, m trusted ones
    L_noisy   = -mean_b log sum_i p_b[i] C[i, y_b]
    L_trusted = mean cross-entropy of trusted examples

The training has two stages. In the first, a network learns from noisy labels, so it predicts noisy
labels. Its mean prediction over the trusted images of a class estimates how often images of this
class get each label. Only the K^2 numbers in C are estimated from the trusted images, so a few
images are enough. In the second stage, the network restarts from its initial weights and learns
from all examples: from noisy ones with the corrected loss, and from trusted ones with the
cross-entropy.

In each step of the second stage, a new sample of trusted examples is drawn. For a batch of B
noisy examples, the number of trusted examples is B m / n, rounded, but at least one. Each rank
draws trusted examples for its own batch. The weights of the two losses are n and m, the sizes of
the two sets, and not the numbers of examples in the batch. As in the authors' code, the trusted
examples pass through the network separately, after the noisy ones. Batch normalisation therefore
uses separate statistics for noisy and for trusted examples, and its running averages are updated
with both. The authors' code draws its batches differently: from a single shuffled set of noisy and
trusted examples, so every trusted example occurs exactly once per epoch. The code then separates
the trusted examples of a batch from the noisy ones.

The counted cost does not include the pass over the trusted set after the first stage, or the
trusted examples in each step; their number is only about m / n of the number of noisy examples.

On `shapes` (blue 40, 16 x 16 pixels, 16 epochs, ten trusted images per class), GLC ends at
accuracies of 45.4 and 46.1 % with two seeds. An earlier version, in which noisy and trusted
examples passed through the network together, ended at 45.9 and 48.6 %. A batch has only two trusted
images here, which are too few for the statistics of batch normalisation. `vanilla` is better after
fewer epochs: it ends at 55.4 % after 12 epochs (mean of three seeds). A likely reason is that each
stage of GLC has only half of the epochs: the first is too short for a good estimate of C, and the
second, which produces the result, is also short.
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
from cnlw_tools.methods.components.validation import resolve_first_epochs


class GLC(Method):
    """Estimates the noise with trusted labels, then trains with forward correction.

    Args:
        task: the learning task
        first: epochs of the first network, which estimates the matrix; a value below 1 is a
            share of all epochs
    """

    requires = ("probe",)
    paper = "Hendrycks et al. 2018"
    repeats_within = "epoch"
    is_staged = True
    distributed_loss = "per_rank"
    c: Tensor

    def __init__(self, task: Task, first: float = 0.5) -> None:
        super().__init__(task)
        self.first = resolve_first_epochs("first", first, task.epochs)
        self.probe_batches = cast(ProbeSet, task.probe).batches  # `Method` refuses a task without
        self.m = self._count_probe()
        self.register_buffer("c", torch.eye(task.n_classes))

    def loss(self, batch: Batch) -> Tensor:
        """Return the cross-entropy in the first phase, and then the corrected loss of both sets."""
        # A run that resumes within an epoch calls no begin_phase, so `progress` decides.
        epochs_done = self.progress * self.task.epochs
        if epochs_done < self.first - 1e-6:
            losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
            self.log_examples(batch, losses)
            return losses.mean()
        n, m = self.task.n_examples, self.m
        batch_size = len(batch.y)
        n_trusted = max(1, round(batch_size * m / n))
        trusted = draw_probe(self.task, distributed.world_size() * n_trusted)
        noisy_z = self.net(batch.x)
        trusted_z = self.net(trusted.x)
        self.log_examples(batch, cross_entropy(noisy_z, batch.y, reduction="none"))
        log_p = log_softmax(noisy_z.float(), 1)
        noisy_loss = given_label_nll(log_p, self.c.T, batch.y).mean()
        trusted_loss = cross_entropy(trusted_z, trusted.y)
        return (n * noisy_loss + m * trusted_loss) / (n + m)

    def epoch_artifacts(self) -> dict[str, Tensor]:
        """Return C, which is the identity until it is estimated."""
        return {"transition": self.c}

    def phases(self) -> list[Phase]:
        """Return a phase on the noisy labels, and a new training with the correction."""
        corrected_epochs = self.task.epochs - self.first
        phases = [Phase(self.first), Phase(corrected_epochs, restart="init")]
        return [phase for phase in phases if phase.epochs]

    def begin_phase(self, phase: int, train_batches: BatchSource) -> None:
        """Estimate C when the first training is over."""
        if phase == 1:
            counts = count_labels(self.net, self.probe_batches, self.task.n_classes, "soft")
            true_by_given = counts.T
            self.c.copy_(true_by_given / true_by_given.sum(1, keepdim=True))

    def _count_probe(self) -> int:
        """Return m, the number of trusted examples.

        Raises:
            ValueError: a class has none
        """
        labels = torch.cat([batch.y for batch in self.probe_batches()])
        counts = labels.bincount(minlength=self.task.n_classes).tolist()
        missing = [c for c, count in enumerate(counts) if not count]
        if missing:
            raise ValueError(
                f"GLC needs trusted images of every class, but there are none of {missing}: "
                "build with `--probe 10`"
            )
        return len(labels)
