"""Who is right where annotators disagree: the model of Dawid and Skene for questions of yes and no.

    pi      P(a candidate shows its class)
    h_a     P(annotator a says yes | it does)
    f_a     P(annotator a says yes | it does not)
    q_i     P(candidate i shows its class | what was said of it)

    E       log q_i / (1 - q_i) = log pi / (1 - pi) + sum over votes on i of  log h_a / f_a               if yes
                                                                              log (1 - h_a) / (1 - f_a)   if no
    M       pi = mean q_i
            h_a = (H + sum of q_i over a's yes) / (1 + sum of q_i over a's votes)
            f_a = (F + sum of 1 - q_i over a's yes) / (1 + sum of 1 - q_i over a's votes)

in turn, from q_i = share of yes among the votes on i, until no q_i moves any more. H and F are the first h and f of all
people taken as one: a vote that each is taken to have cast beside his own, or who never erred in two would outvote all.
Of one annotator alone the verdicts are his votes; of many, most candidates should have several votes. Rates stay 1e-6
away from 0 and 1. An annotator's error is the share of his votes that are wrong, as far as q knows.

Source: A. P. Dawid and A. M. Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm",
Applied Statistics 28(1), 1979.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STILL = 1e-7  # q moves no more
ROUNDS = 10_000
EVEN = 1e-6  # log odds that are a tie
SURE = 1e-6  # no rate is nearer to 0 or 1


class Estimate(NamedTuple):
    """What is likely of n candidates and m annotators."""

    odds: Floats  # (n,) log odds that a candidate shows its class
    share: float  # of candidates that do
    yes_right: Floats  # (m,) h
    yes_wrong: Floats  # (m,) f
    error: Floats  # (m,)


def estimate(item: Ints, who: Ints, yes: NDArray[np.bool_]) -> Estimate:
    """Weigh votes by how often their annotators are right.

    Args:
        item: (v,) candidate of each vote, from 0 on, none left out
        who: (v,) annotator, likewise
        yes: (v,) what was said

    Raises:
        ValueError: it does not settle
    """
    q = np.bincount(item, yes) / np.bincount(item)
    people = [(part[item] @ yes) / max(part[item].sum(), SURE) for part in (q, 1 - q)]
    for _ in range(ROUNDS):
        share = float(np.clip(q.sum() / max(1, len(q)), SURE, 1 - SURE))
        right, wrong = (
            _rate(p[item], who, yes, one) for p, one in zip((q, 1 - q), people, strict=True)
        )
        weight = np.where(yes, np.log(right / wrong)[who], np.log((1 - right) / (1 - wrong))[who])
        odds = np.log(share / (1 - share)) + np.bincount(item, weight)
        before, q = q, 0.5 * (1 + np.tanh(odds / 2))
        if np.abs(q - before).max(initial=0) < STILL:
            slip = np.where(yes, 1 - q[item], q[item])
            return Estimate(odds, share, right, wrong, np.bincount(who, slip) / np.bincount(who))
    raise ValueError(
        f'the votes do not settle in {ROUNDS} rounds of Dawid and Skene: give verdict = "majority"'
    )


def _rate(weight: Floats, who: Ints, yes: NDArray[np.bool_], people: float) -> Floats:
    """Return (m,) how often each annotator says yes, when each vote counts as much as its weight, (v,).

    Beside his own an annotator has one vote cast as people do on average.
    """
    rate: Floats = (people + np.bincount(who, weight * yes)) / (1 + np.bincount(who, weight))
    return rate.clip(SURE, 1 - SURE)
