"""Fitting a mentor network: to a rule, or to the losses of a student whose labels somebody has verified.

Source: Jiang, Zhou, Leung, Li and Fei-Fei 2018 (MentorNet, arXiv:1712.05055) and their code.

min_w  mean_r BCE(v*_r, v_r)       if every target v* is 0 or 1
       mean_r (v*_r - v_r)^2       otherwise

predefined    v* = rule(l, delta, e)  for l in 0, 0.1 .. 9.9, 10, 11 .. 29, delta in -5, -4.9 .. 4.9, e in 0, 1 .. 99
data-driven   v* = 1[the given label is correct]  with delta = l - percentile_p of all losses at e

100,000 random rows, four fifths to fit and one fifth held out; Adam at 0.1 x 0.9 thirty times, gradients clipped to
norm 5. Rows held out for which v and v* are on the same side of 1/2, for the rule `pd`:

    steps x rows                  epoch embedding learned          as drawn (`frozen`)
    3,000 x 512, the default      0.9998 - 0.9999, seeds 0 to 2    0.9904 - 0.9923
    30,000 x 32, the code         0.9953 - 0.9956, seeds 0 and 1   0.9904 - 0.9930

The MentorNet code leaves the embedding as it was drawn; in the copy that comes with MentorMix it can be learned.

The mentor in mentor_pd.json is `to_json(fit(predefined(pd), seed=0), rule="pd", seed=0)`.
"""

import json
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss
from torch.nn.utils import clip_grad_norm_

from cnlw_tools.methods.components.mentor import SHAPES, Mentor, logits
from cnlw_tools.methods.components.weighting_rules import Rule, percentile

PERCENTILES = (
    0.4,
    0.5,
    0.6,
    0.75,
    0.8,
    0.9,
)  # of which the code makes one mentor each; its best one is the last
ROWS, FALLS, CLIP = 100_000, 30, 5.0


class Rows(NamedTuple):
    """What a mentor is fitted to, each (R,)."""

    losses: Tensor
    difference: Tensor
    epoch: Tensor  # percent, 0 to 99
    target: Tensor  # v*, 0 to 1


class Fitted(NamedTuple):
    """A mentor, and how well it does on the rows held out."""

    mentor: Mentor
    agreement: float  # share of rows where v and v* are on the same side of 1/2
    error: float  # mean (v - v*)^2


def predefined(rule: Rule) -> Rows:
    """Return the 120 x 100 x 100 rows of the grid, with the weights of a rule."""
    losses = torch.cat([torch.arange(100) / 10, torch.arange(10.0, 30.0)])
    axes = (losses, (torch.arange(100) - 50) / 10, torch.arange(100.0))
    loss, difference, epoch = (axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij"))
    return Rows(loss, difference, epoch, rule(loss, difference, epoch))


def every_percent(history: Tensor) -> tuple[Tensor, Tensor]:
    """Spread the (E, n) losses of n examples in E epochs over the percents: return epochs and losses, each (100 n,).

    An epoch percent that no row has would keep the embedding that it was drawn with.
    """
    epochs, n = history.shape
    percents = torch.arange(100)
    return percents.repeat_interleave(n).float(), history[percents * epochs // 100].flatten()


def data_driven(
    epoch: Tensor, losses: Tensor, correct: Tensor, p: float, by_epoch: bool = True
) -> Rows:
    """Return rows from what a student made of verified examples; all arrays (R,).

    At use the threshold is that of the moment, so delta is taken to the percentile of all losses at that epoch. The
    code takes one percentile of all rows (``by_epoch = False``), which is the same for a dump of one epoch.

    Raises:
        ValueError: a loss that is not finite
    """
    if not bool(losses.isfinite().all()):
        raise ValueError(
            f"{int((~losses.isfinite()).sum())} losses are not finite: leave those examples out"
        )
    group = epoch if by_epoch else torch.zeros_like(epoch)
    gamma = torch.empty_like(losses)
    for one in set(group.tolist()):
        gamma[group == one] = percentile(losses[group == one], p)
    return Rows(losses, losses - gamma, epoch, correct.to(losses))


def fit(
    rows: Rows,
    seed: int,
    frozen: bool = False,
    batch: int = 512,
    steps: int = 3000,
    rate: float = 0.1,
) -> Fitted:
    """Fit a mentor to rows; the same seed on the same machine gives the same one."""
    draw = Generator().manual_seed(seed)
    order = torch.randperm(len(rows.target), generator=draw)[:ROWS]
    cut = len(order) * 4 // 5
    train, held_out = (
        Rows(*(column[part] for column in rows)) for part in (order[:cut], order[cut:])
    )
    weights = _drawn(draw)
    learned = [
        w.requires_grad_() for name, w in weights.items() if not (frozen and name == "epoch")
    ]
    binary = bool(((rows.target == 0) | (rows.target == 1)).all())
    adam = torch.optim.Adam(learned, rate, fused=True)
    falling = torch.optim.lr_scheduler.StepLR(adam, max(1, steps // FALLS), 0.9)
    for _ in range(steps):
        at = torch.randint(cut, (batch,), generator=draw)
        loss = _loss(weights, Rows(*(column[at] for column in train)), binary)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(learned, CLIP)
        adam.step()
        falling.step()
    mentor = Mentor(weights)
    return Fitted(mentor, *measure(mentor, held_out))


@torch.no_grad()
def measure(mentor: Mentor, rows: Rows) -> tuple[float, float]:
    """Return agreement and error of a mentor on rows, as in ``Fitted``."""
    v = mentor(rows.losses, rows.difference, rows.epoch)
    same = (v >= 0.5) == (rows.target >= 0.5)
    return float(same.float().mean()), float(mse_loss(v, rows.target))


def to_json(fitted: Fitted, **made: Any) -> str:
    """Return the text of a mentor's file: how it was made, how well it does, its weights to the last bit of float32."""
    said = {**made, "agreement": round(fitted.agreement, 5), "error": float(f"{fitted.error:.2g}")}
    weights = {name: _rounded(getattr(fitted.mentor, name).tolist()) for name in SHAPES}
    lines = [
        f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in {**said, **weights}.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _rounded(numbers: Any) -> Any:
    """Nine digits tell any two float32 apart."""
    return [_rounded(x) for x in numbers] if isinstance(numbers, list) else float(f"{numbers:.9g}")


def _loss(weights: dict[str, Tensor], rows: Rows, binary: bool) -> Tensor:
    z = logits(weights, rows.losses, rows.difference, rows.epoch)
    return (
        binary_cross_entropy_with_logits(z, rows.target)
        if binary
        else mse_loss(torch.sigmoid(z), rows.target)
    )


def _drawn(draw: Generator) -> dict[str, Tensor]:
    """Draw as the code: normal in the two layers, uniform within sqrt(6 / (in + out)) in embeddings and LSTM."""
    weights = {name: torch.randn(shape, generator=draw) for name, shape in SHAPES.items()}
    for name, ends in {
        "label": 4,
        "epoch": 105,
        "gate": 7,
        "cell": 7,
    }.items():  # in + out; the LSTM with all its gates
        weights[name] = (2 * torch.rand(SHAPES[name], generator=draw) - 1) * (6 / ends) ** 0.5
    return {**weights, "gate_bias": torch.zeros(2), "cell_bias": torch.zeros(2)}
