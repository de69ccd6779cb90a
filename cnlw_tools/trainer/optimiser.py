"""The step: optimisers with the weight decay of the papers, and an average of the weights.

SGD      b <- mu b + (g + wd w);   w <- w - lr b           Nesterov: w <- w - lr (g + wd w + mu b)
Adam     the same decay, added to the gradient as in TensorFlow's code of the papers
EMA      w' <- d w' + (1 - d) w,   d = min(decay, (1 + t) / (10 + t)) after t steps
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from cnlw_tools.methods import Method
from cnlw_tools.recipe.preset import Preset

ParamGroup = dict[str, Any]


def build_optimiser(
    method: Method,
    preset: Preset,
    lr_scale: float = 1.0,
) -> Optimizer:
    """Return the optimiser of a preset over the parameter groups of a method.

    A group may set its own `lr` and `weight_decay`. A group without a decay is split by
    `preset.decays`: all parameters decay, or kernels alone, as the papers have it. Each group keeps
    in `base_lr` the learning rate, times ``lr_scale``, that schedules multiply.
    """
    groups: list[ParamGroup] = []
    for group in method.param_groups():
        groups.extend(_set_weight_decay(group, preset))
    for group in groups:
        lr = group.setdefault("lr", preset.lr)
        group["base_lr"] = lr_scale * lr
    fused = all(p.device.type == "cuda" for group in groups for p in group["params"])
    if preset.optimiser == "adam":
        return Adam(groups, preset.lr, fused=fused)
    return SGD(groups, preset.lr, preset.momentum, nesterov=preset.nesterov, fused=fused)


def _set_weight_decay(group: Mapping[str, Any], preset: Preset) -> list[ParamGroup]:
    """Return a group with its weight decay; as two groups if only kernels decay."""
    if "weight_decay" in group or preset.decays == "all":
        return [{"weight_decay": preset.weight_decay, **group}]
    params: list[nn.Parameter] = list(group["params"])
    kernels = [p for p in params if p.ndim > 1]
    vectors = [p for p in params if p.ndim <= 1]
    groups = []
    if kernels:
        groups.append({**group, "params": kernels, "weight_decay": preset.weight_decay})
    if vectors:
        groups.append({**group, "params": vectors, "weight_decay": 0.0})
    return groups


class EMA:
    """An exponential moving average of parameters, by name. Buffers are not averaged."""

    def __init__(self, params: Mapping[str, Tensor], decay: float) -> None:
        self.names = list(params)
        self.params = list(params.values())
        self.decay = decay
        self.steps = 0
        self.averages = [p.detach().clone() for p in self.params]

    def update(self) -> None:
        """Average the weights in that a step has changed."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        weights = [p.detach() for p in self.params]
        torch._foreach_lerp_(self.averages, weights, 1 - decay)

    @contextmanager
    def swap_in(self) -> Iterator[None]:
        """Put the averages into the parameters for as long as the block lasts."""
        weights = [p.detach().clone() for p in self.params]
        self.adopt()
        try:
            yield
        finally:
            torch._foreach_copy_([p.data for p in self.params], weights)

    def adopt(self) -> None:
        """Put the averages into the parameters for good."""
        torch._foreach_copy_([p.data for p in self.params], self.averages)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        averages = dict(zip(self.names, self.averages, strict=True))
        return {"steps": self.steps, "averages": averages}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what a checkpoint kept."""
        self.steps = state["steps"]
        averages = [state["averages"][name] for name in self.names]
        torch._foreach_copy_(self.averages, averages)
