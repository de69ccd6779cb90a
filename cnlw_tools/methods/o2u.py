"""O2U-Net: wrong labels are those that a network keeps losing and relearning (Huang, Qu, Jia and Zhao, ICCV 2019).

1. first    training as ever
2. cyclic   goes on in small batches at a rate that falls to a tenth in ``cycle`` epochs, and again, and again
            l^_i = sum over its epochs of l_i(e) - mean_j l_j(e)              l_i(e): loss of example i in epoch e
3. last     training on the int((1 - r) N) examples with the least l^_i       r: noise_rate, from the beginning again

A high rate throws a network out of a minimum, and while the rate falls it fits again: over and under. Easy examples
are fitted soon in every cycle. Wrong labels are fitted last of all, so their losses are high for most of it, whatever
the moment; the sum over cycles tells better than any single look.

``again`` says how the last stage begins: the paper's from the weights before training (init), the code's from those
after the first stage (first). Stages are shares of all epochs, the last a little longer than the others;
where there are too few epochs for three stages there is one, and nothing is removed. A cycle is never longer than
its stage.
An example that is not seen in an epoch counts as its mean. Losses of all ranks are gathered. In the last stage what
is removed has a noted weight of 0.

On `shapes` (blue 40, 16 pixels, 10 epochs) it ends at 43 where vanilla has 54: three stages share the epochs, and the
last one, which counts, begins anew with four of them.

Not done here: the code's own rates of the first stage, which are the preset's.
"""

from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, BatchSource, Method, Phase, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.validation import check_choice, check_number, resolve_epochs


def normalised(losses: Tensor) -> Tensor:
    """Return losses minus their mean, (n,); 0 where they are none."""
    return (losses - losses.nanmean()).nan_to_num()


class O2U(Method):
    """Cross-entropy; a stage with a cyclic rate ranks the examples, the next leaves the worst out."""

    cross_entropy_options = {"cyclic": 0.0}  # noqa: RUF012, read only
    requires = ("noise_rate",)
    paper = "Huang et al. 2019"
    distributed_loss = "gathered"
    now: Tensor
    rank: Tensor
    removed: Tensor

    def __init__(
        self,
        task: Task,
        first: float = 0.3,
        cyclic: float = 0.3,
        cycle: float = 10,  # epochs
        lowest: float = 0.1,  # of the highest rate
        rate: float = 1.0,  # the highest of the cyclic stage, times the preset's
        batch: float = 0.125,  # of the cyclic stage, times the preset's
        again: str = "init",
    ) -> None:
        super().__init__(task)
        self.first = resolve_epochs("first", check_number("first", first, 1e-6), task.epochs)
        self.cyclic = max(
            0, min(resolve_epochs("cyclic", cyclic, task.epochs), task.epochs - self.first - 1)
        )
        self.cycle, self.lowest = (
            check_number("cycle", cycle, 1),
            check_number("lowest", lowest, 1e-6, 1),
        )
        self.again = check_choice("again", again, ("init", "first"))
        self.rate, self.batch = check_number("rate", rate, 1e-6), check_number("batch", batch, 1e-6)
        self.register_buffer(
            "now", torch.full((task.n_examples,), torch.nan)
        )  # losses of this epoch
        self.register_buffer("rank", torch.zeros(task.n_examples))  # l^
        self.register_buffer("removed", torch.zeros(task.n_examples, dtype=torch.bool))

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy, kept for the ranking."""
        each = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        self.log_examples(batch, each)
        self.now[distributed.all_gather(batch.index)] = distributed.all_gather(each.float())
        return each.mean()

    def phases(self) -> list[Phase]:
        """Three stages, or one."""
        if not self.cyclic:
            return [Phase(self.task.epochs)]
        saw = f"cyclic:{min(self.cycle, self.cyclic):g}:{self.lowest:g}"
        swing = Phase(self.cyclic, saw, self.rate, self.batch)
        rest = self.task.epochs - self.first - self.cyclic
        return [
            Phase(self.first),
            swing,
            Phase(rest, restart="init" if self.again == "init" else 0),
        ]

    def begin_phase(self, phase: int, train_batches: BatchSource) -> Tensor | None:
        """Remove the worst before the last stage."""
        if phase < 2:
            return None
        self._take()
        rate, n = cast(float, self.task.noise_rate), self.task.n_examples
        worst = self.rank.argsort(descending=True, stable=True)[: n - int((1 - rate) * n + 1e-9)]
        self.removed[worst] = True
        return (~self.removed).nonzero().flatten()

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Add up what the cyclic stage costs."""
        if self.first < epoch < self.first + self.cyclic:
            self._take()
        self.now.fill_(torch.nan)
        self.example_weights[self.removed] = 0.0

    def _take(self) -> None:
        """Add the losses of an epoch to the ranking, those of whom it did not see as 0."""
        self.rank += normalised(self.now)
