"""O2U-Net finds wrong labels by making a network forget and relearn its examples.

Source: Huang, Qu, Jia and Zhao, ICCV 2019, "O2U-Net: a simple noisy label detection approach for
deep neural networks", and their code.

Training has three stages. Let i and j be training examples, of which there are N. They are sorted
by l^_i, a sum over the epochs e of the second stage:

1. first    plain training
2. cyclic   training continues in small batches; in each cycle of `cycle` epochs, the learning rate
            falls in equal steps to a tenth of its highest value
            l^_i = sum_e (l_i(e) - mean_j l_j(e))         l_i(e): loss of i in epoch e
3. last     a new training on the int((1 - r) N) examples with the smallest l^_i, where r is the
            noise rate

A high learning rate moves the network out of a minimum. While the rate falls, the network fits the
examples again. In every cycle, it fits easy examples early, and examples with wrong labels last, so
the losses of the latter are high most of the time. The sum over all epochs of the second stage
distinguishes correct from wrong labels better than the losses of any single epoch.

The option ``again`` chooses the weights with which the last stage begins: those before training
(init), as in the paper, or those after the first stage (first), as in the authors' code. By
default, the first two stages take 30 % of the epochs each, and the last stage takes the rest. A run
of one epoch, or with cyclic = 0, has a single stage and removes no example. A cycle is never longer
than the second stage. If an example does not occur in an epoch, the mean loss of the epoch counts
as its loss. With several ranks, the losses of all ranks are gathered. In the last stage, removed
examples have a logged weight of 0.

On `shapes` (blue 40, 16 x 16 pixels, 10 epochs, mean of three seeds), O2U-Net ends at an accuracy
of 47.1 %, and `vanilla` at 56.6 %. The epochs are divided among the three stages. The last stage,
which trains the network that is evaluated, has only four of them.
"""

from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource, Method, Phase, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.validation import (
    check_choice,
    check_number,
    resolve_first_epochs,
)


def centre_losses(losses: Tensor) -> Tensor:
    """Return losses minus their mean, (n,); 0 where a loss is missing (NaN)."""
    return (losses - losses.nanmean()).nan_to_num()


class O2U(Method):
    """Removes the examples that have the highest losses under a cyclic learning rate.

    Args:
        task: the learning task
        first: epochs of the first stage, which is plain training; a value below 1 is a share of all
            epochs
        cyclic: epochs with a cyclic learning rate; a value below 1 is a share of all epochs; with
            0, no example is removed
        cycle: number of epochs in a cycle
        lowest: lowest learning rate of a cycle, as a share of the highest one
        rate: highest learning rate of the cyclic stage, as a multiple of the preset's learning rate
        batch: batch size of the cyclic stage, as a multiple of the preset's batch size
        again: weights with which the last stage begins: those before training (init) or those
            after the first stage (first)
    """

    cross_entropy_options = {"cyclic": 0.0}  # noqa: RUF012, read only
    requires = ("noise_rate",)
    paper = "Huang et al. 2019"
    repeats_within = "epoch"
    marks_noise = ("removed",)
    distributed_loss = "gathered"
    epoch_losses: Tensor
    loss_sums: Tensor
    is_removed: Tensor

    def __init__(
        self,
        task: Task,
        first: float = 0.3,
        cyclic: float = 0.3,
        cycle: float = 10,  # epochs
        lowest: float = 0.1,  # lowest learning rate, as a share of the highest
        rate: float = 1.0,  # highest learning rate of the cyclic stage, times the preset's
        batch: float = 0.125,  # batch size of the cyclic stage, times the preset's
        again: str = "init",
    ) -> None:
        super().__init__(task)
        self.first = resolve_first_epochs("first", first, task.epochs, n_other_epochs=2)
        self.is_staged = cyclic > 0
        self.cyclic = 0
        if cyclic and task.epochs > 1:
            self.cyclic = resolve_first_epochs(
                "cyclic", cyclic, task.epochs, n_other_epochs=self.first + 1
            )
        self.cycle = check_number("cycle", cycle, 1)
        self.lowest = check_number("lowest", lowest, 1e-6, 1)
        self.restart_from = check_choice("again", again, ("init", "first"))
        self.lr_factor = check_number("rate", rate, 1e-6)
        self.batch_size_factor = check_number("batch", batch, 1e-6)
        n = task.n_examples
        if self.cyclic and self.count_kept() < distributed.world_size():
            raise ValueError(
                f"noise_rate = {task.noise_rate:g}: O2U would keep {self.count_kept()} of {n} "
                f"examples for its last stage, too few to train on: give a lower rate"
            )
        self.register_buffer("epoch_losses", torch.full((n,), torch.nan))
        self.register_buffer("loss_sums", torch.zeros(n))  # l^
        self.register_buffer("is_removed", torch.zeros(n, dtype=torch.bool))

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean cross-entropy, and record the losses for the ranking."""
        losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        self.log_examples(batch, losses)
        index = distributed.all_gather(batch.index)
        self.epoch_losses[index] = distributed.all_gather(losses.float())
        return losses.mean()

    def phases(self) -> list[Phase]:
        """Return three stages, or a single one of one epoch or with ``cyclic`` = 0."""
        if not self.cyclic:
            return [Phase(self.task.epochs)]
        cycle = min(self.cycle, self.cyclic)
        schedule = f"cyclic:{cycle:g}:{self.lowest:g}"
        rest = self.task.epochs - self.first - self.cyclic
        return [
            Phase(self.first),
            Phase(self.cyclic, schedule, self.lr_factor, self.batch_size_factor),
            Phase(rest, restart="init" if self.restart_from == "init" else 0),
        ]

    def begin_phase(self, phase: int, train_batches: BatchSource) -> Tensor | None:
        """Before the last stage, remove the examples with the highest sums of losses."""
        if phase < 2:
            return None
        self._add_epoch_losses()
        n_removed = self.task.n_examples - self.count_kept()
        worst = self.loss_sums.argsort(descending=True, stable=True)[:n_removed]
        self.is_removed[worst] = True
        return (~self.is_removed).nonzero().flatten()

    def count_kept(self) -> int:
        """Return the number of examples of the last stage, int((1 - r) N)."""
        noise_rate = cast(float, self.task.noise_rate)
        return int((1 - noise_rate) * self.task.n_examples + 1e-9)

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """In the cyclic stage, add the losses of the epoch before to the sums."""
        if self.first < epoch < self.first + self.cyclic:
            self._add_epoch_losses()
        self.epoch_losses.fill_(torch.nan)
        self.example_weights[self.is_removed] = 0.0

    def _add_epoch_losses(self) -> None:
        self.loss_sums += centre_losses(self.epoch_losses)
