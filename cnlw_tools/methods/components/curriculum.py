"""A curriculum over the batches of a training: how much each example counts, by its loss and by how far training is.

Source: Jiang, Zhou, Leung, Li and Fei-Fei 2018 (MentorNet, arXiv:1712.05055) and their code.

e = min(99, floor(100 progress))                the epoch percent
gamma <- d gamma + (1 - d) percentile_p(l)      from 0, without bias correction, in every step
v_b = 1 if e < burn_in - 1, else rule(l_b, l_b - gamma, e)
v_b = 0 for all but a random floor(B (1 - r_e)) examples

The rule is one of weighting_rules.py or a learned network (mentor.py); r is the example dropout of the code. Over ranks the
percentile is that of the whole batch, and dropout takes its share of each rank's part.
"""

import torch
from torch import Tensor, nn

from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.mentor import SHIPPED, read
from cnlw_tools.methods.components.validation import choice, flag, number
from cnlw_tools.methods.components.weighting_rules import RULES, Rule, percentile


def percent(progress: float) -> int:
    """Return the epoch percent, 0 to 99, of a progress from 0 to 1."""
    return min(99, int(100 * progress))


def rule(mentor: str) -> Rule:
    """Return a rule by its name, the network that comes with the package, or the one in a JSON file.

    Raises:
        ValueError: no such rule, or no mentor in the file
        OSError: no such file
    """
    if mentor == SHIPPED or str(mentor).endswith(".json"):
        return read(mentor)
    return RULES[choice("mentor", mentor, [*RULES, SHIPPED, "FILE.json"])]


def schedule(text: str) -> tuple[float, ...]:
    """Return the rate of each percent: "0.5,17,0.05,83" is 0.5 for 17 percents, then 0.05 for 83.

    Raises:
        ValueError: not of that form; a rate outside 0 to 1; the percents do not sum to 100
    """
    try:
        cells = str(text).split(",")  # an option that is one number alone is no text
        pairs = [
            (float(rate), int(percents))
            for rate, percents in zip(cells[::2], cells[1::2], strict=True)
        ]
    except ValueError:
        pairs = []
    if sum(n for _, n in pairs) != 100 or not all(0 <= rate <= 1 and n >= 0 for rate, n in pairs):
        form = "pairs 'rate,percents,rate,percents', rates from 0 to 1, 100 percents in all"
        raise ValueError(f"example_dropout = {text!r}: give {form}")
    return tuple(rate for rate, n in pairs for _ in range(n))


def kept(v: Tensor, rate: float) -> Tensor:
    """Keep the weights of a uniformly random floor(B (1 - rate)) examples and set the others to 0."""
    if rate == 0:
        return v
    count = int(round(len(v) * (1 - rate), 6))  # 10 (1 - 0.9) is 1, and a little less in floats
    order = torch.rand(len(v), device=v.device).argsort()
    return torch.where(order < count, v, 0.0)


class Curriculum(nn.Module):
    """Weighs one batch after the other. The threshold is a buffer, and no gradient flows through v.

    Args:
        mentor: a rule's name | "learned_pd" | FILE.json, written by mentor_fit.py
        percentile: p, from 0 to 1
        decay: d, from 0 (the percentile of this batch alone) to 0.9999
        burn_in: percent of the training; v is 1 while e < burn_in - 1, as in the code
        fixed_epoch: e stands still at burn_in, as the data-driven mentor has it, for the dropout too
        example_dropout: r, as ``schedule`` reads it

    Raises:
        ValueError: a value outside its range; no such mentor
        OSError: no such file
    """

    threshold: Tensor

    def __init__(
        self,
        mentor: str,
        percentile: float,
        decay: float = 0.5,
        burn_in: int = 0,
        fixed_epoch: bool = False,
        example_dropout: str = "0,100",
    ) -> None:
        super().__init__()
        self.rule, self.dropout = rule(mentor), schedule(example_dropout)
        self.percentile, self.decay = (
            number("percentile", percentile, 0, 1),
            number("decay", decay, 0, 0.9999),
        )
        self.burn_in, self.fixed_epoch = (
            int(number("burn_in", burn_in, 0, 100)),
            flag("fixed_epoch", fixed_epoch),
        )
        self.register_buffer("threshold", torch.zeros(()))

    @torch.no_grad()
    def forward(self, losses: Tensor, progress: float) -> Tensor:
        """Move the threshold by a batch and return the weights v, (B,), from 0 to 1."""
        losses = losses.float()
        e = min(percent(progress), self.burn_in) if self.fixed_epoch else percent(progress)
        self.threshold.lerp_(
            percentile(distributed.all_gather(losses), self.percentile), 1 - self.decay
        )
        if e < self.burn_in - 1:
            v = torch.ones_like(losses)
        else:
            v = self.rule(losses, losses - self.threshold, torch.full_like(losses, e))
        return kept(v, self.dropout[e])
