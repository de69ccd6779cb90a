"""Data parameters: a temperature for every example, every class or both, learned beside the network.

Saxena, Tuzel and DeCoste, "Data parameters: a new family of parameters for learning a differentiable curriculum",
NeurIPS 2019, and their code.

sigma_b = exp(s_b) | exp(s'_y) | exp(s_b) + exp(s'_y)                    of = instance | class | both
L       = mean_b CE(y_b, z_b / sigma_b)
dl_b / dsigma = (z_b[y] - sum_k p_b[k] z_b[k]) / sigma^2                 p_b = softmax(z_b / sigma_b)
dL / ds       = sum_b (1 / B dl_b / dsigma exp(s) + decay s)             over the examples of a batch that s is for
v <- 0.9 v + dL / ds;  s <- s - lr v, kept within -log 20 and log 20     for what is in the batch, and nothing else

An example whose label the network believes cools down and pulls harder; one whose label it does not believe heats up
and is flattened, until a wrong label hardly pulls. Each temperature has its own momentum, which waits for its example:
a common optimiser would move all of them in every step. At test time there are none.

Training long enough learns wrong labels all the same: the authors stop at epoch 84 of 120. Noted weights are 1 / sigma,
at most 1. With several ranks gradients are gathered, and all hold the same temperatures.

Not done here: temperatures that may leave the bounds; what happens to have a gradient of 0 standing still.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.validation import check_choice, check_number

MOMENTUM, BOUND = 0.9, math.log(20)


def slope(z: Tensor, y: Tensor, sigma: Tensor) -> Tensor:
    """dl / dsigma = (z[y] - sum_k p_k z_k) / sigma^2; (B, K), (B,), (B,) -> (B,)."""
    p = (z / sigma[:, None]).softmax(1)
    return (z.gather(1, y[:, None])[:, 0] - (p * z).sum(1)) / sigma**2


class Temperatures(torch.nn.Module):
    """One s for each example or each class, and its momentum: buffers, since no optimiser moves them."""

    s: Tensor
    v: Tensor

    def __init__(self, many: int, lr: float, init: float, decay: float) -> None:
        super().__init__()
        self.lr, self.decay = lr, decay
        self.register_buffer("s", torch.full((many,), math.log(init)))
        self.register_buffer("v", torch.zeros(many))

    def step(self, at: Tensor, gradient: Tensor) -> None:
        """Move those that stand at ``at``, (B,), by the sum of their gradients, (B,), times d sigma / ds."""
        gradient = gradient * self.s[at].exp() + self.decay * self.s[at]
        sums = torch.zeros_like(self.s).index_put_(
            (at,), gradient, accumulate=True
        )  # in a fixed order, on GPUs too
        there = torch.zeros_like(self.s).index_fill_(0, at, 1.0) > 0
        self.v.copy_(torch.where(there, MOMENTUM * self.v + sums, self.v))
        self.s.copy_(torch.where(there, (self.s - self.lr * self.v).clamp(-BOUND, BOUND), self.s))


class DataParameters(Method):
    """A learned temperature for each example or class."""

    cross_entropy_options = {"instance_lr": 0.0}  # noqa: RUF012, read only
    paper = "Saxena et al. 2019"
    distributed_loss = "gathered"

    def __init__(
        self,
        task: Task,
        of: str = "instance",
        instance_lr: float = 0.2,
        instance_init: float = 1.0,
        instance_decay: float = 0.0,
        class_lr: float = 0.1,
        class_init: float = 1.0,
        class_decay: float = 0.0,
    ) -> None:
        super().__init__(task)
        self.of = check_choice("of", of, ("instance", "class", "both"))
        said = {"instance_lr": instance_lr, "instance_decay": instance_decay, "class_lr": class_lr}
        for name, value in (said | {"class_decay": class_decay}).items():
            check_number(name, value, 0)
        for name, value in {"instance_init": instance_init, "class_init": class_init}.items():
            check_number(name, value, 1 / 20, 20)
        self.instances = Temperatures(task.n_examples, instance_lr, instance_init, instance_decay)
        self.classes = Temperatures(task.n_classes, class_lr, class_init, class_decay)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of logits at their temperatures."""
        both = {"instance": (self.instances, batch.index), "class": (self.classes, batch.y)}
        used = list(both.values()) if self.of == "both" else [both[self.of]]
        sigma = torch.stack([known.s[at].exp() for known, at in used]).sum(0)  # (B,)
        z = self.net(batch.x)
        each = cross_entropy(z / sigma[:, None], batch.y, reduction="none")
        self.log_examples(batch, each, (1 / sigma).clamp(max=1))
        self.moves = (
            used,
            slope(z.detach().float(), batch.y, sigma) / (distributed.world_size() * len(batch.y)),
        )
        return each.mean()

    def after_step(self) -> None:
        """Move the temperatures of the batch of all ranks."""
        used, gradient = self.moves
        for known, at in used:
            known.step(distributed.all_gather(at), distributed.all_gather(gradient))
