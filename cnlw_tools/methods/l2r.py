"""L2R: each example weighs what a step on it would gain on trusted ones (Ren, Zeng, Yang and Urtasun, ICML 2018).

Theta'(eps) = Theta - eta grad sum_i eps_i l_i(Theta)            a virtual step, l_i = CE(y_i, z_i)
u_i = -d L_v(Theta'(eps)) / d eps_i at eps = 0                   L_v = mean CE on trusted examples
    = eta <grad l_i, g_v> = eta <p_i - Y_i, z'_i>                g_v = grad L_v(Theta); z': `lookahead`
w_i = max(u_i, 0) / (sum_j max(u_j, 0) + delta)                  eta cancels, and is 1 here
L   = sum_i w_i l_i

An example whose gradient points where that of trusted examples points is worth learning from; one whose gradient
points elsewhere, or the opposite way, as that of a wrong label does, weighs nothing. At eps = 0 the virtual step moves
nothing, so u is an inner product of gradients and needs no second network, only one pass in forward mode.

The authors divide by the sum, and by 1 where it is 0: ``delta`` = 0. IEG's version of L2R has ``delta`` = 1e-5.
Only the pass that is learned from moves the running averages of batch normalisation. With several ranks u is gathered
and normalised over the whole batch. Noted weights are w_i / max w.

Not done here: weight decay in the virtual step and in L_v, as IEG's version has it.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.batchnorm import batch_statistics
from cnlw_tools.methods.components.lookahead import (
    check_probe_size,
    draw_probe,
    logits_and_derivative,
    normalise_gains,
    probe_gradient,
    trainable_parameters,
)
from cnlw_tools.methods.components.mixing import one_hot
from cnlw_tools.methods.components.validation import check_number


def gains(z: Tensor, change: Tensor, y: Tensor) -> Tensor:
    """u_b = <p_b - Y_b, z'_b>; (B, K), (B, K), (B,) -> (B,)."""
    return ((z.softmax(1) - one_hot(y, z.shape[1])) * change).sum(1)


class L2R(Method):
    """Weigh each example by how much it helps on trusted ones."""

    requires = ("probe",)
    paper = "Ren et al. 2018"
    relative_cost = 3.0
    distributed_loss = "gathered"

    def __init__(self, task: Task, probe_size: int = 100, delta: float = 0.0) -> None:
        super().__init__(task)
        self.probe_size, self.delta = check_probe_size(probe_size), check_number("delta", delta, 0)

    def loss(self, batch: Batch) -> Tensor:
        """Sum_i w_i CE_i over the batch of all ranks."""
        w = self.weigh(batch)  # (size B,)
        mine = distributed.local_rows(w)  # (B,)
        each = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        self.log_examples(batch, each, mine / w.max().clamp(min=1e-30))
        return (
            distributed.world_size() * (mine * each).sum()
        )  # the trainer takes the mean over ranks

    def weigh(self, batch: Batch) -> Tensor:
        """Return w of the examples of all ranks, (size B,)."""
        here = trainable_parameters(self.net)
        with batch_statistics(self.net):
            g_v = probe_gradient(self.net, here, draw_probe(self.task, self.probe_size))
            z, change = logits_and_derivative(self.net, here, g_v, batch.x)
        return normalise_gains(distributed.all_gather(gains(z, change, batch.y)), self.delta)
