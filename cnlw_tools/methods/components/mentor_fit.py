"""A mentor network is fitted to a weighting rule, or to labels known to be correct or wrong.

Source: Jiang et al. 2018, MentorNet, and their code (see curriculum.py).

A sample r consists of a loss l, the difference delta of l from a threshold, and the completed
percentage e of the training, which the authors call the epoch. From these three numbers, the mentor
computes the weight v_r. The target v*_r is the weight that it should compute. There are two ways to
obtain samples and their targets:

predefined    v* = rule(l, delta, e)  on the grid of all l in 0, 0.1 .. 9.9, 10, 11 .. 29,
              delta in -5, -4.9 .. 4.9 and e in 0, 1 .. 99
data-driven   v* = 1[the given label is correct]  for the losses l of a student network on examples
              with verified labels; delta = l - percentile_p of all losses at e

The mentor is fitted by minimising the binary cross-entropy BCE, or the squared error if some
targets are between 0 and 1:

mean_r BCE(v*_r, v_r)     if every target v* is 0 or 1
mean_r (v*_r - v_r)^2     otherwise

The authors' code of MentorNet never trains the embedding of the epoch. Here, it is trained, because
v then agrees better with v*. The mentor `learned_pd`, which comes with the package, was fitted to
the rule `pd`.
"""

import json
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss
from torch.nn.utils import clip_grad_norm_

from cnlw_tools.methods.components.mentor import WEIGHT_SHAPES, Mentor, mentor_logits
from cnlw_tools.methods.components.weighting_rules import Rule, nearest_rank_percentile

# The code fits one mentor for each of these percentiles; its best mentor is that of the last.
PERCENTILES = (0.4, 0.5, 0.6, 0.75, 0.8, 0.9)
MAX_SAMPLES = 100_000
N_LR_DECAYS = 30
MAX_GRADIENT_NORM = 5.0
# Sum of input and output sizes, for the uniform initialisation; of the LSTM with all its gates.
FAN_SUMS = {"label": 4, "epoch": 105, "gate": 7, "cell": 7}


class MentorSamples(NamedTuple):
    """R samples to fit a mentor to, (R,) each."""

    losses: Tensor
    difference: Tensor
    epoch: Tensor  # percent, 0 to 99
    target: Tensor  # v*, 0 to 1

    def select(self, index: Tensor) -> "MentorSamples":
        """Return the samples at the (m,) positions ``index``."""
        return MentorSamples(*(column[index] for column in self))


class FittedMentor(NamedTuple):
    """A mentor, and how well it does on the held-out samples."""

    mentor: Mentor
    agreement: float  # share of samples where v and v* are on the same side of 1/2
    error: float  # mean (v - v*)^2


def predefined_samples(rule: Rule) -> MentorSamples:
    """Return samples on a grid of 120 losses, 100 differences and 100 epochs.

    Their targets are the weights that the rule gives them.
    """
    small_losses = torch.arange(100) / 10
    large_losses = torch.arange(10.0, 30.0)
    losses = torch.cat([small_losses, large_losses])
    differences = (torch.arange(100) - 50) / 10
    percents = torch.arange(100.0)
    grid = torch.meshgrid(losses, differences, percents, indexing="ij")
    loss, difference, epoch = (axis.flatten() for axis in grid)
    return MentorSamples(loss, difference, epoch, rule(loss, difference, epoch))


def losses_by_percent(history: Tensor) -> tuple[Tensor, Tensor]:
    """Spread the losses of n examples in E epochs, (E, n), over 100 epoch percents.

    Returns epoch percents and losses, (100 n,) each. Every percent gets samples, since one without
    any would keep its initial embedding.
    """
    n_epochs, n_examples = history.shape
    percents = torch.arange(100)
    losses = history[percents * n_epochs // 100]
    return percents.repeat_interleave(n_examples).float(), losses.flatten()


def data_driven_samples(
    epoch: Tensor,
    losses: Tensor,
    correct: Tensor,
    p: float,
    by_epoch: bool = True,
) -> MentorSamples:
    """Return samples from the losses of a student on verified examples.

    In use, the mentor compares a loss with the percentile at that moment, so delta is relative to
    the percentile of all losses at the same epoch. The code takes one percentile of all samples
    (``by_epoch = False``), which is the same for losses of a single epoch.

    Args:
        epoch: (R,) epoch percents
        losses: (R,) losses of the given labels
        correct: (R,) whether the given labels are correct
        p: the percentile, from 0 to 1
        by_epoch: take a percentile for each epoch

    Raises:
        ValueError: a loss is not finite
    """
    is_finite = losses.isfinite()
    if not bool(is_finite.all()):
        count = int((~is_finite).sum())
        raise ValueError(f"{count} losses are not finite: leave those examples out")
    group = epoch if by_epoch else torch.zeros_like(epoch)
    gamma = torch.empty_like(losses)
    for value in set(group.tolist()):
        is_member = group == value
        gamma[is_member] = nearest_rank_percentile(losses[is_member], p)
    return MentorSamples(losses, losses - gamma, epoch, correct.to(losses))


def fit_mentor(
    samples: MentorSamples,
    seed: int,
    freeze_epoch: bool = False,
    batch: int = 512,
    steps: int = 3000,
    lr: float = 0.1,
) -> FittedMentor:
    """Fit a mentor with Adam; the same seed on the same machine gives the same mentor.

    The learning rate is multiplied by 0.9 thirty times, and gradients are clipped to norm 5. For
    the rule `pd`, v and v* are on the same side of 1/2 for these shares of the held-out samples:

        steps x samples in a step               seeds     default             with freeze_epoch
        3,000 x 512, the default                0 to 2    0.9998 - 0.9999     0.9904 - 0.9926
        30,000 x 32, as in the authors' code    0 and 1   0.9955 - 0.9958     0.9880 - 0.9902

    Args:
        samples: at most 100,000 random ones of them are used
        seed: of the choice of samples, the initial weights and the batches
        freeze_epoch: keep the initial embedding of the epoch, as the code of MentorNet does
        batch: samples per step
        steps: of Adam
        lr: learning rate of the first steps
    """
    generator = Generator().manual_seed(seed)
    order = torch.randperm(len(samples.target), generator=generator)[:MAX_SAMPLES]
    n_train = len(order) * 4 // 5
    train = samples.select(order[:n_train])
    held_out = samples.select(order[n_train:])
    weights = _initial_weights(generator)
    trained = [w for name, w in weights.items() if not (freeze_epoch and name == "epoch")]
    for w in trained:
        w.requires_grad_()
    is_binary_target = (samples.target == 0) | (samples.target == 1)
    is_binary = bool(is_binary_target.all())
    adam = torch.optim.Adam(trained, lr, fused=True)
    decay_interval = max(1, steps // N_LR_DECAYS)
    schedule = torch.optim.lr_scheduler.StepLR(adam, decay_interval, gamma=0.9)
    for _ in range(steps):
        index = torch.randint(n_train, (batch,), generator=generator)
        loss = _fit_loss(weights, train.select(index), is_binary)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(trained, MAX_GRADIENT_NORM)
        adam.step()
        schedule.step()
    mentor = Mentor(weights)
    agreement, error = evaluate_mentor(mentor, held_out)
    return FittedMentor(mentor, agreement, error)


@torch.no_grad()
def evaluate_mentor(mentor: Mentor, samples: MentorSamples) -> tuple[float, float]:
    """Return the agreement and the error of a mentor on samples, as in ``FittedMentor``."""
    v = mentor(samples.losses, samples.difference, samples.epoch)
    is_same_side = (v >= 0.5) == (samples.target >= 0.5)
    agreement = float(is_same_side.float().mean())
    error = float(mse_loss(v, samples.target))
    return agreement, error


def to_json(fitted: FittedMentor, **origin: Any) -> str:
    """Return the text of a mentor's file: its origin, its quality and its exact float32 weights."""
    entries = dict(origin)
    entries["agreement"] = round(fitted.agreement, 5)
    entries["error"] = float(f"{fitted.error:.2g}")
    for name in WEIGHT_SHAPES:
        weights = getattr(fitted.mentor, name)
        entries[name] = _to_nine_digits(weights.tolist())
    lines = []
    for key, value in entries.items():
        lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _to_nine_digits(numbers: Any) -> Any:
    """Round nested lists of numbers to nine digits, which tell any two float32 apart."""
    if isinstance(numbers, list):
        return [_to_nine_digits(x) for x in numbers]
    return float(f"{numbers:.9g}")


def _fit_loss(
    weights: dict[str, Tensor],
    samples: MentorSamples,
    is_binary: bool,
) -> Tensor:
    z = mentor_logits(weights, samples.losses, samples.difference, samples.epoch)
    if is_binary:
        return binary_cross_entropy_with_logits(z, samples.target)
    return mse_loss(torch.sigmoid(z), samples.target)


def _initial_weights(generator: Generator) -> dict[str, Tensor]:
    """Draw weights as the code does.

    They are normal in the two dense layers, and uniform within sqrt(6 / (in + out)) in the
    embeddings and the LSTM, whose biases are 0.
    """
    weights = {}
    for name, shape in WEIGHT_SHAPES.items():
        weights[name] = torch.randn(shape, generator=generator)
    for name, fan_sum in FAN_SUMS.items():
        uniform = 2 * torch.rand(WEIGHT_SHAPES[name], generator=generator) - 1
        weights[name] = uniform * (6 / fan_sum) ** 0.5
    weights["gate_bias"] = torch.zeros(2)
    weights["cell_bias"] = torch.zeros(2)
    return weights
