"""`weight_decay` trains with cross-entropy and the weight decay you choose (Krogh and Hertz 1991).

L = mean_b CE(y_b, z_b) + decay / 2 sum_w |w|^2     w: kernels, or all parameters if every = true

Random wrong labels follow no pattern, so a network can only memorise them. Memorising requires
large weights, so a penalty on large weights makes memorising harder. The optimiser adds decay * w,
the gradient of the penalty, to the gradient of the cross-entropy; the reported loss is the
cross-entropy alone. `vanilla` uses the weight decay of the preset; this method uses the option
`decay` instead.

Kernels are the weights of convolutions and of linear layers. By default (``every`` = false), only
these are penalised, as in TF-Slim, on which the code of Jiang et al. (2020) builds. With ``every``
= true, biases and normalisation parameters are also penalised, as in the code of Zhang et al.
(2020; ieg.py).

Jiang et al. give neither the values that they tried nor the best one. The default, 1e-3, is our
choice; it is larger than the weight decay of every preset.
"""

from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components.validation import check_flag, check_number


class WeightDecay(Method):
    """Trains with cross-entropy and a weight decay that replaces the one in the preset.

    Args:
        task: the learning task
        decay: strength of the penalty on large weights
        every: whether the penalty applies to every parameter, including biases and normalisation
            parameters, and not only to kernels
    """

    cross_entropy_options = {"decay": 0.0}  # noqa: RUF012, read only
    paper = "Krogh and Hertz 1991; a baseline of Jiang et al. 2020"
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
