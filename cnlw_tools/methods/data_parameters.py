"""Data parameters are softmax temperatures of examples or classes, learned with the network.

Source: Saxena, Tuzel and DeCoste, "Data parameters: a new family of parameters for learning a
differentiable curriculum", NeurIPS 2019, and their code.

Each example has a temperature exp(s), or each class has a temperature exp(s'), or both have one
(option ``of``). The method learns s and s', the logarithms of the temperatures. The logits of an
example are divided by sigma, which is its temperature, that of its given label, or the sum of both.
The formulas show how s is updated; s' is updated in the same way. The learning rate lr and the
weight decay are options, and v is a momentum buffer:

sigma_b = exp(s_b) | exp(s'_y) | exp(s_b) + exp(s'_y)               of = instance | class | both
L       = mean_b CE(y_b, z_b / sigma_b)
dl_b / dsigma_b = (z_b[y] - sum_k p_b[k] z_b[k]) / sigma_b^2        p_b = softmax(z_b / sigma_b)
dL / ds = sum_b (1 / B dl_b / dsigma_b exp(s) + decay s)            over the examples of the batch
                                                                    that use the parameter s
v <- 0.9 v + dL / ds;  s <- s - lr v, clamped to [-log 20, log 20]  only if the batch uses s

If the network finds the label of an example likely, the temperature falls, and the gradient of the
example becomes larger. If it finds the label unlikely, the temperature rises, and the gradient
becomes smaller. Wrong labels therefore affect the network less. In a long training run, the network
nevertheless memorises them, so the authors stop at epoch 84 of 120. Predictions use no
temperatures.

In each step, s and v change only if an example of the batch uses s; a standard optimiser would
change all of them in every step. The authors' code also skips an s whose gradient is 0; this
implementation updates it. The logged weights are min(1, 1 / sigma). With several ranks, the
gradients are gathered, and all ranks hold the same temperatures.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.base import Batch, Method, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.labels import select_labels
from cnlw_tools.methods.components.validation import check_choice, check_number

MOMENTUM, BOUND = 0.9, math.log(20)


def temperature_gradient(
    z: Tensor,
    y: Tensor,
    sigma: Tensor,
) -> Tensor:
    """Return dl / dsigma = (z[y] - sum_k p_k z_k) / sigma^2; (B, K), (B,), (B,) -> (B,)."""
    p = (z / sigma[:, None]).softmax(1)
    expected_z = (p * z).sum(1)
    return (select_labels(z, y) - expected_z) / sigma**2


class Temperatures(torch.nn.Module):
    """Log-temperatures s and their momenta v: buffers, since no optimiser updates them."""

    s: Tensor
    v: Tensor

    def __init__(
        self,
        size: int,
        lr: float,
        init: float,
        decay: float,
    ) -> None:
        super().__init__()
        self.lr = lr
        self.decay = decay
        self.register_buffer("s", torch.full((size,), math.log(init)))
        self.register_buffer("v", torch.zeros(size))

    def step(self, index: Tensor, gradient: Tensor) -> None:
        """Update the entries at ``index``, (B,), by the sums of their dL / dsigma, (B,)."""
        s = self.s[index]
        gradient = gradient * s.exp() + self.decay * s
        # index_put_ adds in a fixed order, on GPUs too
        sums = torch.zeros_like(self.s).index_put_((index,), gradient, accumulate=True)
        is_updated = torch.zeros_like(self.s).index_fill_(0, index, 1.0) > 0
        v = MOMENTUM * self.v + sums
        self.v.copy_(torch.where(is_updated, v, self.v))
        moved = (self.s - self.lr * self.v).clamp(-BOUND, BOUND)
        self.s.copy_(torch.where(is_updated, moved, self.s))


class DataParameters(Method):
    """Learns a softmax temperature for each example, each class or both.

    Args:
        task: the learning task
        of: what has a temperature: each example (instance), each class (class) or both
        instance_lr: learning rate of the logarithms of the temperatures of examples
        instance_init: initial temperature of examples, from 1/20 to 20
        instance_decay: weight decay of the logarithms of the temperatures of examples
        class_lr: learning rate of the logarithms of the temperatures of classes
        class_init: initial temperature of classes, from 1/20 to 20
        class_decay: weight decay of the logarithms of the temperatures of classes
    """

    cross_entropy_options = {"instance_lr": 0.0}  # noqa: RUF012, read only
    paper = "Saxena et al. 2019"
    repeats_within = "epoch"
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
        self.kind = check_choice("of", of, ("instance", "class", "both"))
        check_number("instance_lr", instance_lr, 0)
        check_number("instance_decay", instance_decay, 0)
        check_number("class_lr", class_lr, 0)
        check_number("class_decay", class_decay, 0)
        check_number("instance_init", instance_init, 1 / 20, 20)
        check_number("class_init", class_init, 1 / 20, 20)
        self.instances = Temperatures(task.n_examples, instance_lr, instance_init, instance_decay)
        self.classes = Temperatures(task.n_classes, class_lr, class_init, class_decay)

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean cross-entropy of the logits divided by their temperatures."""
        self.lookups = self.find_temperatures(batch)
        sigmas = [temperatures.s[index].exp() for temperatures, index in self.lookups]
        sigma = torch.stack(sigmas).sum(0)  # (B,)
        z = self.net(batch.x)
        scaled_z = z / sigma[:, None]
        losses = cross_entropy(scaled_z, batch.y, reduction="none")
        self.log_examples(batch, losses, (1 / sigma).clamp(max=1))
        batch_size = distributed.world_size() * len(batch.y)
        gradient = temperature_gradient(z.detach().float(), batch.y, sigma)
        self.gradient = gradient / batch_size
        return losses.mean()

    def find_temperatures(self, batch: Batch) -> list[tuple[Temperatures, Tensor]]:
        """Return the temperatures that the loss uses, each with the batch's positions, (B,)."""
        instance = (self.instances, batch.index)
        per_class = (self.classes, batch.y)
        lookups = {"instance": [instance], "class": [per_class], "both": [instance, per_class]}
        return lookups[self.kind]

    def after_step(self) -> None:
        """Update the temperatures of the examples in the whole batch, of all ranks."""
        for temperatures, index in self.lookups:
            all_indices = distributed.all_gather(index)
            temperatures.step(all_indices, distributed.all_gather(self.gradient))
