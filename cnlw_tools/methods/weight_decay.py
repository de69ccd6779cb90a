"""Weight decay, tuned: the baseline of Jiang et al. 2020 (Krogh and Hertz 1991).

L = mean_b CE(y_b, z_b) + decay / 2 sum_w |w|^2        w: kernels; every = true: every parameter

Wrong labels can only be learnt by heart, and learning by heart takes large weights: so a price on them. The gradient
of the price is decay w, which the optimiser adds by itself; the loss is cross-entropy. The slim code that the paper
builds on prices the kernels of convolutions and of the classifier alone, IEG's prices biases and batch
normalisation too. Vanilla has the preset's decay, this method its own in place of it.

The paper tells neither its grid nor the best value; 1e-3, above usual presets, is ours.

Not done here: decay apart from the gradient, as MixMatch and AdamW have it; that is the preset's choice of optimiser.
"""

from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.validation import check_flag, check_number


class WeightDecay(Method):
    """Cross-entropy with a weight decay of its own."""

    cross_entropy_options = {"decay": 0.0}  # noqa: RUF012, read only
    paper = "the baseline of Jiang et al. 2020"

    def __init__(self, task: Task, decay: float = 1e-3, every: bool = False) -> None:
        super().__init__(task)
        self.decay, self.every = check_number("decay", decay, 0), check_flag("every", every)

    def loss(self, batch: Batch) -> Tensor:
        """-log p_y, averaged."""
        each = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        self.log_examples(batch, each)
        return each.mean()

    def param_groups(self) -> list[dict[str, Any]]:
        """Decay the kernels, and with ``every`` all else too."""
        kernels = [p for p in self.parameters() if p.dim() > 1]
        rest = [p for p in self.parameters() if p.dim() <= 1]
        return [
            {"params": kernels, "weight_decay": self.decay},
            {"params": rest, "weight_decay": self.decay * self.every},
        ]
