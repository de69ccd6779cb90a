"""Weight decay of a chosen strength is a baseline of Jiang et al. 2020 (Krogh and Hertz 1991).

L = mean_b CE(y_b, z_b) + decay / 2 sum_w |w|^2        w: kernels; every = true: every parameter

Wrong labels follow no pattern, so a network can only memorise them. Memorising requires large
weights, so a penalty on large weights makes it harder. The gradient of the penalty is decay w,
which the optimiser adds; the loss is cross-entropy. The slim code, on which the paper builds,
penalises only the kernels of convolutions and of the classifier. IEG's code also penalises biases
and batch normalisation. Vanilla has the weight decay of the preset, and this method replaces it.

The paper gives neither its grid nor the best value. The default, 1e-3, is our choice; it is larger
than in most presets.

This implementation does not include decay that is independent of the gradient, as in MixMatch and
AdamW; such decay depends on the optimiser of the preset.
"""

from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.validation import check_flag, check_number


class WeightDecay(Method):
    """Trains with cross-entropy and its own weight decay in place of the preset's.

    Args:
        task: the learning task
        decay: strength of the penalty on large weights
        every: penalise also biases and normalisation, not only kernels
    """

    cross_entropy_options = {"decay": 0.0}  # noqa: RUF012, read only
    paper = "the baseline of Jiang et al. 2020"
    repeats_within = "epoch"

    def __init__(
        self,
        task: Task,
        decay: float = 1e-3,
        every: bool = False,
    ) -> None:
        super().__init__(task)
        self.decay = check_number("decay", decay, 0)
        self.decays_all = check_flag("every", every)

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean of -log p_y."""
        losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        self.log_examples(batch, losses)
        return losses.mean()

    def param_groups(self) -> list[dict[str, Any]]:
        """Return the kernels with the decay, and the other parameters with or without it."""
        kernels = [p for p in self.parameters() if p.dim() > 1]
        rest = [p for p in self.parameters() if p.dim() <= 1]
        return [
            {"params": kernels, "weight_decay": self.decay},
            {"params": rest, "weight_decay": self.decay * self.decays_all},
        ]
