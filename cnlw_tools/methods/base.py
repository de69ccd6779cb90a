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
    views: tuple[
        Tensor, ...
    ]  # each (B, 3, H, W): augmentations of the same images, in the order of `Method.views`
    y: Tensor  # (B,) given labels

    @property
    def x(self) -> Tensor:
        """The first view, (B, 3, H, W)."""
        return self.views[0]


Sweep = Callable[[], Iterable[Batch]]  # a set of examples in order, unaugmented
Verified = Callable[
    [], Iterable[tuple[Batch, Tensor]]
]  # the same, with (B,) whether each label is correct


@dataclass(frozen=True, slots=True)
class Task:
    """What a method may know before it starts."""

    net: Callable[[], nn.Module]  # a network with new weights: (B, 3, H, W) -> (B, K) logits
    n: int  # training examples, those held out not counted
    classes: int
    epochs: int
    probe: Callable[[int], Batch] | None = (
        None  # so many trusted examples, classes balanced, the first view alone
    )
    trusted: Sweep | None = None  # all trusted examples
    verified: Verified | None = (
        None  # examples whose labels were checked; their index counts them alone
    )
    holdout: Sweep | None = (
        None  # a share of the noisy training set that is kept for selection, not trained on
    )
    noise_rate: float | None = None  # share of wrong labels that the user states; none: unknown


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of training; the preset says how, and a phase what it does otherwise.

    What restarts is the networks: what the method's modules hold. Its own parameters and buffers stay.

    Raises:
        ValueError: ``restart`` is neither keep nor init nor the number of a phase
    """

    epochs: int
    schedule: str | None = None  # of the learning rate, over this phase; none: the preset's
    lr: float = 1.0  # times the preset's
    batch_size: float = 1.0  # times the preset's
    restart: str | int = (
        "keep"  # the networks: keep them | init: as before training | 0, 1 ...: as after that phase
    )

    def __post_init__(self) -> None:
        if self.restart not in ("keep", "init") and not (
            isinstance(self.restart, int) and self.restart >= 0
        ):
            raise ValueError(
                f"restart = {self.restart!r}: say keep or init, or the number of an earlier phase"
            )


class Method(nn.Module):
    """From a batch to a loss. Most methods override ``loss`` and nothing else.

    Options are the keyword arguments of ``__init__``. What must survive a restart is a parameter or a buffer.

    Raises:
        ValueError: the task lacks what the method needs
    """

    views: ClassVar[tuple[str, ...]] = ("standard",)  # the augmentations that `loss` wants
    off: ClassVar[dict[str, Any] | None] = (
        None  # options at which this is cross-entropy; none: there are none
    )
    needs: ClassVar[tuple[str, ...]] = ()  # of `NEEDS`
    paper: ClassVar[str] = ""
    cost: ClassVar[float] = 1.0  # time of a step, in steps of vanilla; counted, not measured
    across: ClassVar[str] = "mean"  # over ranks: mean of examples | gathers | per rank
    optimiser: Optimizer  # set by the trainer before the first step
    progress: float = (
        0.0  # share of all steps that are done, from 0 to 1; set by the trainer before every step
    )
    losses: Tensor
    weights: Tensor
    own: Tensor

    def __init__(self, task: Task) -> None:
        super().__init__()
        for need in self.needs:
            if getattr(task, need) is None:
                raise ValueError(f"{type(self).__name__} needs {NEEDS[need]}")
        self.task = task
        self.net = task.net()
        self.register_buffer("losses", torch.full((task.n,), torch.nan))
        self.register_buffer("weights", torch.full((task.n,), torch.nan))
        self.register_buffer("own", torch.full((task.n,), torch.nan))

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
        """Get ready for a phase, before the networks restart; may return the positions, (m,), to train on in it."""

    def begin_epoch(self, epoch: int, sweep: Sweep) -> None:
        """Get ready for an epoch of those of all phases; may look at the whole training set."""

    def after_step(self) -> None:
        """Mend the parameters after a step: projections, clamps."""

    def param_groups(self) -> list[dict[str, Any]]:
        """Group the parameters, for the few methods that learn some at another rate."""
        return [{"params": list(self.parameters())}]

    def finish(self, sweep: Sweep) -> None:
        """Fit what is fitted after training."""

    def keeps(self) -> dict[str, Tensor]:
        """Return what a run keeps of every epoch, for the report: `transition`, (K, K), P(given | true) by rows."""
        return {}

    def note(
        self, batch: Batch, losses: Tensor, weights: Tensor | None = None, own: Tensor | None = None
    ) -> None:
        """Write down what each example cost and weighed, and by whose label it went, (B,) each, for the report.

        The weight is 1 where an example counts in full and 0 where the method takes its label for wrong. ``own`` is 1
        where it learns from the given label and 0 where from one that it made up; none: it makes up none.
        """
        self.losses[batch.index] = losses.detach().float()
        self.weights[batch.index] = 1.0 if weights is None else weights.detach().float()
        if own is not None:
            self.own[batch.index] = own.detach().float()


TRUSTED = "a trusted set, and this config has none: build it with `--probe 10` for ten images of each class"
NEEDS = {  # what a task may lack, and how to get it
    "probe": TRUSTED,
    "trusted": TRUSTED,
    "verified": "verified labels, and this config has none: build it with `--verified 20` for twenty of each class",
    "holdout": "a share of the noisy training set to select by: give -o holdout=0.1, say",
    "noise_rate": "the share of wrong labels: give -o noise_rate=0.4, say",
}
