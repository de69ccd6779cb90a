"""The model of Dawid and Skene: which annotators are right where they disagree on yes or no.

    pi      P(a candidate shows its class)
    h_a     P(annotator a says yes | it does)
    f_a     P(annotator a says yes | it does not)
    q_i     P(candidate i shows its class | its votes)

    E       log q_i / (1 - q_i) = log pi / (1 - pi)
                                  + sum over yes votes on i of  log h_a / f_a
                                  + sum over no votes on i of   log (1 - h_a) / (1 - f_a)
    M       pi = mean q_i
            h_a = (H + sum of q_i over a's yes) / (1 + sum of q_i over a's votes)
            f_a = (F + sum of 1 - q_i over a's yes) / (1 + sum of 1 - q_i over a's votes)

The two steps alternate, from q_i = share of yes among the votes on i, until no q_i moves any
more. H and F are the first h and f of all annotators pooled, and act as one vote that everybody
is assumed to have cast: otherwise somebody who never erred in two votes would overrule all
others. With one annotator the verdicts are that person's votes; with many, most candidates should
have several votes. Rates stay 1e-6 away from 0 and 1. An annotator's error rate is the share of
wrong votes that q implies.

Source: A. P. Dawid and A. M. Skene, "Maximum likelihood estimation of observer error-rates using
the EM algorithm", Applied Statistics 28(1), 1979.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TOLERANCE = 1e-7  # a smaller change of q counts as none
MAX_ROUNDS = 10_000
TIE = 1e-6  # log odds below which a candidate is undecided
MIN_RATE = 1e-6  # rates stay this far away from 0 and 1


class NotConvergedError(ValueError):
    """The estimate does not converge, as when votes agree no more than by chance."""


class Estimate(NamedTuple):
    """What the votes imply for n candidates and m annotators."""

    log_odds: Floats  # (n,) log odds that a candidate shows its class
    prevalence: float  # pi, the share of candidates that show their class
    true_yes_rate: Floats  # (m,) h
    false_yes_rate: Floats  # (m,) f
    error_rate: Floats  # (m,)


def estimate(
    candidate: Ints,
    annotator: Ints,
    says_yes: NDArray[np.bool_],
) -> Estimate:
    """Weigh v votes by how often their annotators are right.

    Args:
        candidate: (v,) index of the candidate, from 0 on without gaps
        annotator: (v,) index of the annotator, from 0 on without gaps
        says_yes: (v,) the vote

    Raises:
        NotConvergedError: the estimate does not converge
    """
    votes_per_candidate = np.bincount(candidate)
    votes_per_annotator = np.bincount(annotator)
    q = np.bincount(candidate, says_yes) / votes_per_candidate
    pooled_true_rate = _pooled_yes_rate(q[candidate], says_yes)
    pooled_false_rate = _pooled_yes_rate((1 - q)[candidate], says_yes)
    for _ in range(MAX_ROUNDS):
        mean_q = q.sum() / max(1, len(q))
        pi = float(np.clip(mean_q, MIN_RATE, 1 - MIN_RATE))
        h = _yes_rate(q[candidate], annotator, says_yes, pooled_true_rate)
        f = _yes_rate((1 - q)[candidate], annotator, says_yes, pooled_false_rate)
        yes_weight = np.log(h / f)[annotator]
        no_weight = np.log((1 - h) / (1 - f))[annotator]
        vote_weight = np.where(says_yes, yes_weight, no_weight)
        evidence = np.bincount(candidate, vote_weight)
        log_odds = np.log(pi / (1 - pi)) + evidence
        previous_q = q
        q = 0.5 * (1 + np.tanh(log_odds / 2))
        change = np.abs(q - previous_q).max(initial=0)
        if change < TOLERANCE:
            p_wrong = np.where(says_yes, 1 - q[candidate], q[candidate])
            error_rate = np.bincount(annotator, p_wrong) / votes_per_annotator
            return Estimate(
                log_odds=log_odds,
                prevalence=pi,
                true_yes_rate=h,
                false_yes_rate=f,
                error_rate=error_rate,
            )
    raise NotConvergedError(
        f"the model of Dawid and Skene does not converge in {MAX_ROUNDS} rounds on these votes: "
        'use verdict = "majority"'
    )


def _pooled_yes_rate(weight: Floats, says_yes: NDArray[np.bool_]) -> float:
    """Return the share of yes among all votes, weighted by (v,) weights."""
    rate: float = (weight @ says_yes) / max(weight.sum(), MIN_RATE)
    return rate


def _yes_rate(
    weight: Floats,
    annotator: Ints,
    says_yes: NDArray[np.bool_],
    pooled_rate: float,
) -> Floats:
    """Return (m,) how often each annotator says yes, weighted by (v,) weights.

    Each annotator has one vote more, which says yes at the pooled rate.
    """
    yes = np.bincount(annotator, weight * says_yes)
    votes = np.bincount(annotator, weight)
    rate: Floats = (pooled_rate + yes) / (1 + votes)
    return rate.clip(MIN_RATE, 1 - MIN_RATE)
