"""L2R weights each example by how much a step on it would reduce the loss on trusted examples.

Source: Ren, Zeng, Yang and Urtasun, ICML 2018, "Learning to reweight examples for robust deep
learning".

Let i and j be examples of the batch. Example i has the weight w_i in the loss, and the weight eps_i
in a virtual step, which is a gradient step that is computed but not carried out. z'_i is the
derivative of the logits of example i when the weights of the network move in the direction g_v:

Theta'(eps) = Theta - eta grad sum_i eps_i l_i(Theta)            a virtual step, l_i = CE(y_i, z_i)
u_i = -d L_v(Theta'(eps)) / d eps_i at eps = 0                   L_v = mean CE on trusted examples
    = eta <grad l_i, g_v> = eta <p_i - Y_i, z'_i>                g_v = grad L_v(Theta)
                                                                 z'_i = d/dt f(x_i; Theta + t g_v)
                                                                        at t = 0
w_i = max(u_i, 0) / (sum_j max(u_j, 0) + delta)                  eta is 1 here; with delta = 0,
                                                                  its value has no effect
L   = sum_i w_i l_i

An example is worth learning from if a gradient step on its loss also reduces the loss on the
trusted examples, that is, if the inner product of the two gradients is positive. If it is negative,
as is typical of a wrong label, the weight is 0. At eps = 0, Theta' equals Theta, so both gradients
are taken at the current weights of the network, and no second network is needed. A forward and a
backward pass over the trusted examples give g_v. One pass over the batch with forward-mode
differentiation gives z' (`lookahead`).

The authors divide by the sum, or by 1 if the sum is 0; this corresponds to ``delta`` = 0. The code
of IEG (ieg.py) contains a version of L2R with ``delta`` = 1e-5. That version also applies weight
decay in the virtual step and in L_v; this implementation does not.

Only the pass that computes the gradient of L changes the running averages of batch normalisation.
With several ranks, w is normalised over the examples of all ranks. The logged weights are
w_i / max_j w_j.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.batchnorm import batch_statistics
from cnlw_tools.methods.components.labels import one_hot
from cnlw_tools.methods.components.lookahead import (
    check_probe_size,
    draw_probe,
    logits_and_derivative,
    normalise_gains,
    probe_gradient,
    trainable_parameters,
)
from cnlw_tools.methods.components.validation import check_number


def example_gains(
    z: Tensor,
    derivative: Tensor,
    y: Tensor,
) -> Tensor:
    """Return u_b = <p_b - Y_b, z'_b>, (B,), of logits and their derivatives, (B, K)."""
    loss_gradient = z.softmax(1) - one_hot(y, z.shape[1])
    return (loss_gradient * derivative).sum(1)


class L2R(Method):
    """Weights each example by how much a step on it would reduce the loss on trusted examples.

    Args:
        task: the learning task
        probe_size: number of trusted images in a step
        delta: number added to the sum in the denominator of w
    """

    requires = ("probe",)
    paper = "Ren et al. 2018"
    repeats_within = "epoch"
    relative_cost = 3.0
    distributed_loss = "gathered"

    def __init__(
        self,
        task: Task,
        probe_size: int = 100,
        delta: float = 0.0,
    ) -> None:
        super().__init__(task)
        self.probe_size = check_probe_size(probe_size)
        self.delta = check_number("delta", delta, 0)

    def loss(self, batch: Batch) -> Tensor:
        """Return sum_i w_i CE_i over the batch of all ranks."""
        all_weights = self.weigh(batch)  # (world_size B,)
        weights = distributed.local_rows(all_weights)  # (B,)
        losses = cross_entropy(self.net(batch.x), batch.y, reduction="none")
        relative_weights = weights / all_weights.max().clamp(min=1e-30)
        self.log_examples(batch, losses, relative_weights)
        # the trainer averages gradients over ranks
        return distributed.world_size() * (weights * losses).sum()

    def weigh(self, batch: Batch) -> Tensor:
        """Return w of the examples of all ranks, (world_size B,)."""
        parameters = trainable_parameters(self.net)
        with batch_statistics(self.net):
            probe = draw_probe(self.task, self.probe_size)
            g_v = probe_gradient(self.net, parameters, probe)
            z, derivative = logits_and_derivative(self.net, parameters, g_v, batch.x)
        gains = example_gains(z, derivative, batch.y)
        return normalise_gains(distributed.all_gather(gains), self.delta)
