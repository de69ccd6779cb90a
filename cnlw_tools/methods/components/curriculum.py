"""In a curriculum, the weight of each example depends on its loss and on the progress of training.

Source: Jiang, Zhou, Leung, Li and Fei-Fei 2018 (MentorNet, arXiv:1712.05055) and the authors' code.

The weight of example b is v_b, and gamma is the threshold with which its loss l_b is compared:

e = min(99, floor(100 progress))                percentage of the training steps completed
gamma <- d gamma + (1 - d) percentile_p(l)      once a step; initially 0, without bias correction
v_b = 1 if e < burn_in - 1, else rule(l_b, l_b - gamma, e)
v_b = 0 for all but a random floor(B (1 - r_e)) examples

The threshold gamma is a moving average of the percentile p of the losses in a batch. The option
`percentile` is p, and `decay` is d. The rule is a formula (weighting_rules.py) or a learned network
(mentor.py). As in the authors' code, the rule takes effect after burn_in - 1 percent of the
training. Until then, all examples that are not dropped have the weight 1. The option
`example_dropout` sets r_e, the share of each batch that is dropped at random while the progress is
e percent.
"""

import torch
from torch import Tensor, nn

from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.mentor import PACKAGED_MENTOR, read_mentor
from cnlw_tools.methods.components.validation import check_choice, check_flag, check_number
from cnlw_tools.methods.components.weighting_rules import RULES, Rule, nearest_rank_percentile


def epoch_percent(progress: float) -> int:
    """Return the epoch percent, 0 to 99, of a progress from 0 to 1."""
    return min(99, int(100 * progress))


def find_rule(mentor: str) -> Rule:
    """Return a rule by its name, the packaged mentor network, or the one in a JSON file.

    Raises:
        ValueError: the rule is unknown, or the file contains no mentor
        OSError: the file cannot be read
    """
    if mentor == PACKAGED_MENTOR or str(mentor).endswith(".json"):
        return read_mentor(mentor)
    name = check_choice("mentor", mentor, [*RULES, PACKAGED_MENTOR, "FILE.json"])
    return RULES[name]


def parse_dropout_rates(text: str) -> tuple[float, ...]:
    """Return a dropout rate for each of 100 percents.

    "0.5,17,0.05,83" means 0.5 for 17 percents, then 0.05 for 83.

    Raises:
        ValueError: the text has another form, a rate is not from 0 to 1, or the percents do not
            sum to 100
    """
    try:
        cells = str(text).split(",")  # the option may be a single number, not text
        rates = [float(cell) for cell in cells[::2]]
        lengths = [int(cell) for cell in cells[1::2]]
        spans = list(zip(rates, lengths, strict=True))
    except ValueError:
        spans = []
    is_valid = all(0 <= rate <= 1 and length >= 0 for rate, length in spans)
    n_percents = sum(length for _, length in spans)
    if not is_valid or n_percents != 100:
        form = "pairs 'rate,percents,rate,percents', rates from 0 to 1, 100 percents in all"
        raise ValueError(f"example_dropout = {text!r} is not allowed: give {form}")
    rate_by_percent: list[float] = []
    for rate, length in spans:
        rate_by_percent += [rate] * length
    return tuple(rate_by_percent)


def drop_examples(v: Tensor, rate: float) -> Tensor:
    """Keep the weights, (B,), of a random floor(B (1 - rate)) examples, and set the others to 0."""
    if rate == 0:
        return v
    count = int(round(len(v) * (1 - rate), 6))  # rounded, as 10 (1 - 0.9) is below 1 in floats
    order = torch.rand(len(v), device=v.device).argsort()
    return torch.where(order < count, v, 0.0)


class Curriculum(nn.Module):
    """Weights the examples of one batch after another.

    The threshold is a buffer, and no gradient flows through the weights. With several ranks, the
    percentile is that of the losses of all ranks, and each rank drops examples of its own batch.

    Args:
        mentor: name of a rule | "learned_pd" | FILE.json, written by mentor_fit.py
        percentile: p, from 0 to 1
        decay: d, from 0 (the percentile of the current batch alone) to 0.9999
        burn_in: the rule takes effect one percent before this percentage of the training, as in the
            authors' code; until then, all examples that are not dropped have the weight 1
        fixed_epoch: e stops at burn_in, as for the data-driven mentor, also for the dropout
        example_dropout: r, in the form of ``parse_dropout_rates``

    Raises:
        ValueError: a value is outside its range, or the mentor is unknown
        OSError: the file of the mentor cannot be read
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
        self.rule = find_rule(mentor)
        self.dropout_rates = parse_dropout_rates(example_dropout)
        self.percentile = check_number("percentile", percentile, 0, 1)
        self.decay = check_number("decay", decay, 0, 0.9999)
        self.burn_in = int(check_number("burn_in", burn_in, 0, 100))
        self.fixed_epoch = check_flag("fixed_epoch", fixed_epoch)
        self.register_buffer("threshold", torch.zeros(()))

    @torch.no_grad()
    def forward(self, losses: Tensor, progress: float) -> Tensor:
        """Update the threshold with a batch of losses, (B,), and return weights v, (B,), 0 to 1."""
        losses = losses.float()
        e = epoch_percent(progress)
        if self.fixed_epoch:
            e = min(e, self.burn_in)
        quantile = nearest_rank_percentile(distributed.all_gather(losses), self.percentile)
        self.threshold.lerp_(quantile, 1 - self.decay)
        if e < self.burn_in - 1:
            v = torch.ones_like(losses)
        else:
            difference = losses - self.threshold
            v = self.rule(losses, difference, torch.full_like(losses, e))
        return drop_examples(v, self.dropout_rates[e])
