"""The contract between the trainer and a method: from a batch to a loss. The trainer owns the step."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True, slots=True)
class Batch:
    """B training examples. There is no truth in here, and no way to it."""

    index: Tensor  # (B,) position in the permuted training set: the key of a per-example memory
    views: tuple[Tensor, ...]  # each (B, 3, H, W): augmentations of the same images, in the order of `Method.views`
    y: Tensor  # (B,) given labels

    @property
    def x(self) -> Tensor:
        """The first view, (B, 3, H, W)."""
        return self.views[0]


Sweep = Callable[[], Iterable[Batch]]  # the training set in order, unaugmented


@dataclass(frozen=True, slots=True)
class Task:
    """What a method may know before it starts."""

    net: Callable[[], nn.Module]  # a network with new weights: (B, 3, H, W) -> (B, K) logits
    n: int  # training examples
    classes: int
    epochs: int
    probe: Callable[[int], Batch] | None = None  # so many trusted examples, classes balanced, the first view alone
    noise_rate: float | None = None  # share of wrong labels that the user states; none: unknown


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of training; the preset says how, and a phase what it does otherwise.

    Raises:
        ValueError: ``restart`` is neither keep nor init
    """

    epochs: int
    schedule: str | None = None  # of the learning rate, over this phase; none: the preset's
    lr: float = 1.0  # times the preset's
    batch_size: float = 1.0  # times the preset's
    restart: str = "keep"  # all that the method holds: keep it | init: as it was before training

    def __post_init__(self) -> None:
        if self.restart not in ("keep", "init"):
            raise ValueError(f"restart = {self.restart!r}: say keep or init")


class Method(nn.Module):
    """From a batch to a loss. Most methods override ``loss`` and nothing else.

    Options are the keyword arguments of ``__init__``. What must survive a restart is a parameter or a buffer.

    Raises:
        ValueError: the task lacks what the method needs
    """

    views: ClassVar[tuple[str, ...]] = ("standard",)  # the augmentations that `loss` wants
    off: ClassVar[dict[str, Any] | None] = None  # options at which this is cross-entropy; none: there are none
    needs: ClassVar[tuple[str, ...]] = ()  # of `NEEDS`
    paper: ClassVar[str] = ""
    cost: ClassVar[float] = 1.0  # time of a step, in steps of vanilla; counted, not measured
    across: ClassVar[str] = "mean"  # over ranks: mean of examples | gathers | per rank
    optimiser: Optimizer  # set by the trainer before the first step
    progress: float = 0.0  # share of all steps that are done, from 0 to 1; set by the trainer before every step
    losses: Tensor
    weights: Tensor

    def __init__(self, task: Task) -> None:
        super().__init__()
        for need in self.needs:
            if getattr(task, need) is None:
                raise ValueError(f"{type(self).__name__} needs {NEEDS[need]}")
        self.task = task
        self.net = task.net()
        self.register_buffer("losses", torch.full((task.n,), torch.nan))
        self.register_buffer("weights", torch.full((task.n,), torch.nan))

    def loss(self, batch: Batch) -> Tensor:
        """Return the scalar that the trainer steps on."""
        raise NotImplementedError

    def predict(self, x: Tensor) -> Tensor:
        """Return (B, K) logits; two networks average theirs."""
        out: Tensor = self.net(x)
        return out

    def phases(self) -> list[Phase]:
        """Return the stretches of training."""
        return [Phase(self.task.epochs)]

    def begin_phase(self, phase: int, sweep: Sweep) -> Tensor | None:
        """Get ready for a phase; may return the positions, (m,), to train on in it."""

    def begin_epoch(self, epoch: int, sweep: Sweep) -> None:
        """Get ready for an epoch of those of all phases; may look at the whole training set."""

    def after_step(self) -> None:
        """Mend the parameters after a step: projections, clamps."""

    def param_groups(self) -> list[dict[str, Any]]:
        """Group the parameters, for the few methods that learn some at another rate."""
        return [{"params": list(self.parameters())}]

    def finish(self, sweep: Sweep) -> None:
        """Fit what is fitted after training."""

    def note(self, batch: Batch, losses: Tensor, weights: Tensor | None = None) -> None:
        """Write down what each example cost and weighed, both (B,), for the report.

        The weight is 1 where an example counts in full and 0 where the method takes its label for wrong.
        """
        self.losses[batch.index] = losses.detach().float()
        self.weights[batch.index] = 1.0 if weights is None else weights.detach().float()


NEEDS = {  # what a task may lack, and how to get it
    "probe": "a trusted set, and this config has none: build it with `--probe 10` for ten images of each class",
    "noise_rate": "the share of wrong labels: give -o noise_rate=0.4, say",
}
