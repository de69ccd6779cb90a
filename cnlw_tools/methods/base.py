"""The contract between the trainer and a method.

A method turns a batch into a loss. The trainer owns the training loop and takes the optimiser
steps.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True, slots=True)
class Batch:
    """B training examples. A batch gives no access to the true labels."""

    index: Tensor  # (B,) position in the permuted training set: the key of a per-example memory
    views: tuple[Tensor, ...]  # augmentations, (B, 3, H, W) each, in the order of `Method.views`
    y: Tensor  # (B,) given labels

    @property
    def x(self) -> Tensor:
        """The first view, (B, 3, H, W)."""
        return self.views[0]


# Each call starts a new pass over a set of examples, in a fixed order and without augmentation.
BatchSource = Callable[[], Iterable[Batch]]
# The same with a boolean tensor (B,): is the given label correct?
VerifiedSource = Callable[[], Iterable[tuple[Batch, Tensor]]]


@dataclass(frozen=True, slots=True)
class ProbeSet:
    """A small trusted set, whose labels are all correct."""

    draw: Callable[[int], Batch]  # draws this many examples, balanced over classes, one view each
    batches: BatchSource  # iterates the whole set


@dataclass(frozen=True, slots=True)
class Task:
    """What a method is told before training. Fields that are None are not available."""

    make_net: Callable[[], nn.Module]  # new random weights; (B, 3, H, W) -> (B, K) logits
    n_examples: int  # size of the training set, without the holdout
    n_classes: int
    epochs: int
    probe: ProbeSet | None = None
    verified: VerifiedSource | None = None  # examples with verified labels; `index` counts them
    holdout: BatchSource | None = None  # noisy examples kept out of training, for selection
    noise_rate: float | None = None  # share of wrong labels, as stated by the user
    label_counts: tuple[int, ...] | None = None  # training examples of each given label, (K,)


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training with its own settings, relative to those of the preset.

    ``restart`` sets the weights of the networks when the phase begins: "keep" continues with the
    current ones, "init" goes back to those before training, and a number to those at the end of
    that phase. A method's own parameters and buffers, outside its submodules, are never reset.

    Raises:
        ValueError: ``restart`` is neither "keep" nor "init" nor the number of a phase
    """

    epochs: int
    schedule: str | None = None  # of the learning rate within this phase; None: the preset's
    lr_factor: float = 1.0  # multiplies the preset's learning rate
    batch_size_factor: float = 1.0  # multiplies the preset's batch size
    restart: str | int = "keep"

    def __post_init__(self) -> None:
        is_phase = isinstance(self.restart, int) and self.restart >= 0
        if self.restart not in ("keep", "init") and not is_phase:
            raise ValueError(
                f"restart = {self.restart!r} is not allowed: use keep, init, or the number of "
                "an earlier phase"
            )


class Method(nn.Module):
    """Base class of all methods. Most methods override only ``loss``.

    The keyword arguments of ``__init__`` are the options of a method. Anything that a
    resumed run needs must be stored in a parameter or a buffer.

    ``self.task`` says what the method knows before training: make_net, n_examples, n_classes,
    epochs, label_counts, and, if the user provides them, probe, verified, holdout and noise_rate.
    A `Batch` has the fields index, views and y, and its property x is the first view.

    Raises:
        ValueError: the task lacks something that the method requires
    """

    views: ClassVar[tuple[str, ...]] = ("standard",)  # augmentations that `loss` expects
    # Options at which the method is exactly cross-entropy; None: there are no such options.
    cross_entropy_options: ClassVar[dict[str, Any] | None] = None
    requires: ClassVar[tuple[str, ...]] = ()  # keys of `REQUIREMENTS`
    paper: ClassVar[str] = ""
    relative_cost: ClassVar[float] = 1.0  # cost of a step in steps of vanilla; counted by hand
    # How the loss of several processes relates to that of a single one with the whole batch:
    # "mean"      a mean over examples: averaging the gradients over ranks gives the same step
    # "gathered"  the weights of examples are computed from the whole batch, gathered from all ranks
    # "per_rank"  each rank treats its part of the batch as if it were a batch of its own
    distributed_loss: ClassVar[str] = "mean"
    # Within which stretch of training the losses of two batches are the same operations with the
    # same numbers of Python, and differ in tensors alone, so that a CUDA graph can repeat them:
    # "epoch", "percent" (of the training, within an epoch), or None
    repeats_within: ClassVar[str | None] = None
    # How the report finds the examples whose label the method takes for wrong, in what
    # `log_examples` recorded; keys of `NOISE_MARKS`. An example without a record was never seen.
    marks_noise: ClassVar[tuple[str, ...]] = ("down_weighted",)
    # Whether training has several stages, so that a run of one epoch would have only one of them.
    is_staged: bool = False
    optimiser: Optimizer  # set by the trainer before the first step
    progress: float = 0.0  # share of finished steps, 0 to 1; set by the trainer before every step
    example_losses: Tensor  # (n,) the last logged loss of each example; nan: none
    example_weights: Tensor  # (n,) the last logged weight of each example; nan: none
    uses_given_label: Tensor  # (n,) whether the method learned the given label; nan: not logged

    def __init__(self, task: Task) -> None:
        super().__init__()
        for requirement in self.requires:
            if getattr(task, requirement) is None:
                raise ValueError(f"{type(self).__name__} needs {REQUIREMENTS[requirement]}")
        self.task = task
        self.net = task.make_net()
        for name in ("example_losses", "example_weights", "uses_given_label"):
            self.register_buffer(name, torch.full((task.n_examples,), torch.nan))

    def loss(self, batch: Batch) -> Tensor:
        """Return the scalar that the trainer minimises."""
        raise NotImplementedError

    def predict(self, x: Tensor) -> Tensor:
        """Return (B, K) logits, from which validation computes the accuracy."""
        logits: Tensor = self.net(x)
        return logits

    def phases(self) -> list[Phase]:
        """Return the phases of training, in order; their epochs sum to ``task.epochs``."""
        return [Phase(self.task.epochs)]

    def reported_epochs(self) -> int:
        """Return the number of final epochs from which the best and the mean of a run are taken.

        These are the epochs of the last phase; predictions of earlier phases are not reported.
        """
        return self.phases()[-1].epochs

    def begin_phase(self, phase: int, train_batches: BatchSource) -> Tensor | None:
        """Prepare a phase, before the weights of its networks are set.

        It may return (m,) positions in the training set; the phase then trains only on these.
        """

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Prepare an epoch, counted from the start of training; this may read the training set."""

    def after_step(self) -> None:
        """Adjust parameters after an optimiser step, for example by a projection or a clamp."""

    def param_groups(self) -> list[dict[str, Any]]:
        """Return the parameter groups of the optimiser, for methods with several learning rates."""
        return [{"params": list(self.parameters())}]

    def finish(self, train_batches: BatchSource) -> None:
        """Fit everything that has to be fitted after training."""

    def epoch_artifacts(self) -> dict[str, Tensor]:
        """Return the tensors that a run stores after each epoch, for the report.

        The only key so far is `transition`: (K, K), row i is P(given label | true class i).
        """
        return {}

    def log_examples(
        self,
        batch: Batch,
        losses: Tensor,
        weights: Tensor | None = None,
        uses_given_label: Tensor | None = None,
    ) -> None:
        """Record the loss and the weight of each example, (B,) each, for the report.

        Args:
            batch: the examples
            losses: (B,) cross-entropy of the given labels
            weights: (B,) from 0 (the method treats the label as wrong) to 1 (the example counts
                in full); None: 1 for all
            uses_given_label: (B,) 1 if the method learns from the given label, 0 if it learns
                from a pseudo-label instead; None: the method makes no such choice
        """
        self.example_losses[batch.index] = losses.detach().float()
        if weights is None:
            self.example_weights.index_fill_(0, batch.index, 1.0)
        else:
            self.example_weights[batch.index] = weights.detach().float()
        if uses_given_label is not None:
            self.uses_given_label[batch.index] = uses_given_label.detach().float()


NOISE_MARKS = {  # ways to take a label for wrong
    "removed": "a weight of 0, with a loss or without: the method does not learn the example",
    "down_weighted": "less than half the mean weight of all examples that have one",
    "relabelled": "`uses_given_label` is 0: the method learns another label",
}
REQUIREMENTS = {  # fields of a task that may be missing, and how to get them
    "probe": (
        "a trusted set, and this config has none. "
        "Build it with `--probe 10` for ten images of each class"
    ),
    "verified": (
        "verified labels, and this config has none. "
        "Build it with `--verified 20` for twenty of each class"
    ),
    "holdout": "a share of the noisy training set for selection: use -o holdout=0.1, say",
    "noise_rate": "the share of wrong labels: use -o noise_rate=0.4, say",
}
