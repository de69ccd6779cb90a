"""Who is right where annotators disagree: the model of Dawid and Skene for questions of yes and no.

    pi      P(a candidate shows its class)
    h_a     P(annotator a says yes | it does)
    f_a     P(annotator a says yes | it does not)
    q_i     P(candidate i shows its class | what was said of it)

    E       log q_i / (1 - q_i) = log pi / (1 - pi) + sum over votes on i of  log h_a / f_a               if yes
                                                                              log (1 - h_a) / (1 - f_a)   if no
    M       pi = (1 + sum_i q_i) / (2 + n)
            h_a = (1 + sum of q_i over a's yes) / (2 + sum of q_i over a's votes),   f_a with 1 - q_i for q_i

in turn, from q_i = share of yes among the votes on i, until no q_i moves any more. The 1 and 2 are a yes and a no that
everybody is taken to have said beside the votes, for either kind of candidate: without them one who never erred in two
votes would outvote all others. An annotator's error is the share of his votes that are wrong, as far as q knows.

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
    for _ in range(ROUNDS):
        share, right, wrong = _rates(q, item, who, yes)
        weight = np.where(yes, np.log(right / wrong)[who], np.log((1 - right) / (1 - wrong))[who])
        odds = np.log(share / (1 - share)) + np.bincount(item, weight)
        before, q = q, 0.5 * (1 + np.tanh(odds / 2))
        if np.abs(q - before).max(initial=0) < STILL:
            slip = np.where(yes, 1 - q[item], q[item])
            return Estimate(odds, share, right, wrong, np.bincount(who, slip) / np.bincount(who))
    raise ValueError(f'the votes do not settle in {ROUNDS} rounds of Dawid and Skene: give verdict = "majority"')


def _rates(q: Floats, item: Ints, who: Ints, yes: NDArray[np.bool_]) -> tuple[float, Floats, Floats]:
    """The M step: the share of candidates that show their class, and how often each annotator says yes."""
    shown, not_shown = q[item], 1 - q[item]  # (v,)
    right = (1 + np.bincount(who, shown * yes)) / (2 + np.bincount(who, shown))
    wrong = (1 + np.bincount(who, not_shown * yes)) / (2 + np.bincount(who, not_shown))
    return float((1 + q.sum()) / (2 + len(q))), right, wrong
