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
    """The base class of all methods; it is a `torch.nn.Module`. A method must define ``loss``.

    ``self.net`` is the network, and the keyword arguments of ``__init__`` are the options of the
    method. When training is resumed, only parameters and buffers are restored, so a method must
    keep its state in them.

    ``self.task`` describes the training. It has the fields ``make_net`` (a function that returns a
    new network), ``n_examples`` (n), ``n_classes`` (K), ``epochs`` and ``label_counts`` (for each
    class, the number of training examples with this given label). It also has the fields ``probe``,
    ``verified``, ``holdout`` and ``noise_rate``, which are None unless the user provides them.

    A batch of B examples has the fields ``index`` (the positions of the examples in the training
    set), ``views`` (a tuple with a tensor for each augmentation) and ``y`` (the given labels). The
    attribute ``batch.x`` is the first view.

    Raises:
        ValueError: the user did not provide something that the method requires

    Example:
        >>> from torch.nn.functional import cross_entropy
        >>> class Smoothing(cnlw.Method):  # cross-entropy with label smoothing
        ...     def __init__(self, task, smoothing=0.1):
        ...         super().__init__(task)
        ...         self.smoothing = smoothing
        ...
        ...     def loss(self, batch):
        ...         return cross_entropy(
        ...             self.net(batch.x), batch.y, label_smoothing=self.smoothing
        ...         )
        >>> options = {"smoothing": 0.2}
        >>> run = cnlw.train("builds/shapes", "red_40", Smoothing, options=options, quick=True)
    """

    # Names of the augmentations in ``batch.views``, such as "standard"; the preset defines them.
    views: ClassVar[tuple[str, ...]] = ("standard",)
    # For tests: options with which the loss is exactly cross-entropy; None: no options do this.
    cross_entropy_options: ClassVar[dict[str, Any] | None] = None
    # Fields of the task that must not be None: "probe", "verified", "holdout", "noise_rate".
    requires: ClassVar[tuple[str, ...]] = ()
    paper: ClassVar[str] = ""  # authors and year
    # Cost of a training step, relative to a step of `vanilla`.
    relative_cost: ClassVar[float] = 1.0
    # How the loss is computed if each of several processes has a part of the batch. "mean": it is a
    # mean over examples, so the average of the gradients of all processes is the gradient of the
    # whole batch. "gathered": the method gathers the batch from all processes to compute the
    # weights of examples. "per_rank": each process treats its part as if it were the whole batch.
    distributed_loss: ClassVar[str] = "mean"
    # How long the loss runs the same operations for every batch, so that a CUDA graph can repeat
    # them: "epoch" (for one epoch), "percent" (for 1 % of the training), None (not even for that).
    repeats_within: ClassVar[str | None] = None
    # In which cases the report says that the method treated a label as wrong: "removed" (the weight
    # of the example is 0), "down_weighted" (its weight is less than half the mean weight),
    # "relabelled" (its ``uses_given_label`` is 0).
    marks_noise: ClassVar[tuple[str, ...]] = ("down_weighted",)
    # Whether training has several stages, such as a first network that estimates the noise and a
    # second one that uses the estimate. The trainer then warns if there is only one epoch.
    is_staged: bool = False
    optimiser: Optimizer  # the optimiser; the trainer sets it before the first step
    # Share of the training steps that are finished, from 0 to 1; the trainer sets it before every
    # step.
    progress: float = 0.0
    example_losses: Tensor  # (n,) the latest loss of each example; nan: none was logged
    example_weights: Tensor  # (n,) the latest weight of each example; nan: none was logged
    # (n,) 1 if the method learned from the given label, 0 if not; nan: nothing was logged
    uses_given_label: Tensor

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
        """Return the loss of a batch, a scalar that the trainer minimises."""
        raise NotImplementedError

    def predict(self, x: Tensor) -> Tensor:
        """Return (B, K) logits for the images x; the trainer computes accuracies from them."""
        logits: Tensor = self.net(x)
        return logits

    def phases(self) -> list[Phase]:
        """Return the phases of training in order; their epochs must add up to ``task.epochs``."""
        return [Phase(self.task.epochs)]

    def reported_epochs(self) -> int:
        """Return how many of the last epochs are used to compute the best and the mean accuracy.

        By default, this is the number of epochs of the last phase.
        """
        return self.phases()[-1].epochs

    def begin_phase(self, phase: int, train_batches: BatchSource) -> Tensor | None:
        """Prepare a phase. Afterwards, the trainer resets the weights if the phase requires it.

        Args:
            phase: number of the phase, from 0
            train_batches: iterates over the training set

        Returns:
            (m,) positions of the training examples that the phase uses; None: all examples
        """

    def begin_epoch(self, epoch: int, train_batches: BatchSource) -> None:
        """Prepare an epoch; epochs are counted from 0 over all phases.

        Args:
            epoch: number of the epoch
            train_batches: iterates over the training set
        """

    def after_step(self) -> None:
        """Change parameters, for example by clamping them, after each step of the optimiser."""

    def param_groups(self) -> list[dict[str, Any]]:
        """Return the parameter groups of the optimiser.

        By default, there is one group with all parameters. Several groups can have different
        learning rates.
        """
        return [{"params": list(self.parameters())}]

    def finish(self, train_batches: BatchSource) -> None:
        """Compute what the method needs for predictions. This is called after the last epoch.

        Args:
            train_batches: iterates over the training set
        """

    def epoch_artifacts(self) -> dict[str, Tensor]:
        """Return the tensors that a run stores after each epoch, for the report.

        The report reads only the key `transition`, a (K, K) tensor whose row i is
        P(given label | true class i).
        """
        return {}

    def log_examples(
        self,
        batch: Batch,
        losses: Tensor,
        weights: Tensor | None = None,
        uses_given_label: Tensor | None = None,
    ) -> None:
        """Record the loss and the weight of each example of a batch, for the report.

        Args:
            batch: the examples
            losses: (B,) cross-entropy of the given labels
            weights: (B,) from 0 (the method treats the label as wrong) to 1 (the example has its
                full weight); None: 1 for all examples
            uses_given_label: (B,) 1 if the method learns from the given label, 0 if it learns
                from a pseudo-label instead; None: the method has no pseudo-labels
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
