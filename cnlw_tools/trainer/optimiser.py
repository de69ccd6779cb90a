"""The step: optimisers with the weight decay of the papers, and an average of the weights.

SGD      b <- mu b + (g + wd w);   w <- w - lr b              Nesterov: w <- w - lr (g + wd w + mu b)
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


def optimiser(method: Method, preset: Preset, scale: float = 1.0) -> Optimizer:
    """Return the optimiser of a preset over the groups of a method, its rates times ``scale``.

    A group's own `lr` and `weight_decay` stand. Without a decay of its own a group is split by `preset.decays`:
    all parameters decay, or kernels alone, as the papers have it. `base` keeps the rate that schedules scale.
    """
    groups = [part for group in method.param_groups() for part in _split(group, preset)]
    for group in groups:
        group["base"] = scale * group.setdefault("lr", preset.lr)
    fused = all(p.device.type == "cuda" for group in groups for p in group["params"])
    if preset.optimiser == "adam":
        return Adam(groups, preset.lr, fused=fused)
    return SGD(groups, preset.lr, preset.momentum, nesterov=preset.nesterov, fused=fused)


def _split(group: Mapping[str, Any], preset: Preset) -> list[dict[str, Any]]:
    if "weight_decay" in group or preset.decays == "all":
        return [{"weight_decay": preset.weight_decay, **group}]
    params: list[nn.Parameter] = list(group["params"])
    kernels, rest = [p for p in params if p.ndim > 1], [p for p in params if p.ndim <= 1]
    halves = [(kernels, preset.weight_decay), (rest, 0.0)]
    return [{**group, "params": some, "weight_decay": decay} for some, decay in halves if some]


class Average:
    """An exponential moving average of the parameters; what else a state holds is not averaged."""

    def __init__(self, params: list[Tensor], decay: float) -> None:
        self.params, self.decay, self.steps = params, decay, 0
        self.means = [p.detach().clone() for p in params]

    def update(self) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.means, [p.detach() for p in self.params], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the averages into the parameters for as long as the block lasts."""
        own = [p.detach().clone() for p in self.params]
        torch._foreach_copy_([p.data for p in self.params], self.means)
        try:
            yield
        finally:
            torch._foreach_copy_([p.data for p in self.params], own)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"steps": self.steps, "means": self.means}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.steps = state["steps"]
        torch._foreach_copy_(self.means, state["means"])
