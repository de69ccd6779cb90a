"""How far annotators agree beyond chance, and which of them err far more than the others.

With n_ij votes of kind j on item i, m_i = sum_j n_ij on that item, and n = sum_i m_i in all:

    Fleiss' kappa           (P - C) / (1 - C)       every item has m votes
                            P = mean_i  sum_j n_ij (n_ij - 1) / (m (m - 1))
                            C = sum_j (sum_i n_ij / n)^2
    Krippendorff's alpha    1 - D / E               nominal data, any number of votes on an item,
                                                    but items with one vote do not count
                            D = 1/n  sum_i  (m_i^2 - sum_j n_ij^2) / (m_i - 1)
                            E = (n^2 - sum_j n_j^2) / (n (n - 1)),   n_j = sum_i n_ij
    outlying annotator a    e_a - e > 3 sqrt(s^2 + p (1 - p) / v_a)     error rate e_a on v_a votes
                            e = median of all e_a,  s = 1.4826 median |e_a - e|
                            p = (v_a e_a + 1) / (v_a + 2)

1 is agreement, 0 is what chance gives. Where all votes are of one kind chance agrees as well, and
both are nan. The three standard deviations combine two spreads: that between annotators (s, which
a few bad ones do not move) and the standard error of the rate of annotator a. Where most err
equally often, s is 0, and the standard error alone decides.

Sources: J. L. Fleiss, "Measuring nominal scale agreement among many raters", Psychological
Bulletin 76(5), 1971. K. Krippendorff, "Computing Krippendorff's alpha-reliability", 2011.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def fleiss_kappa(counts: Ints) -> float:
    """Return Fleiss' kappa; nan without items, or where all votes are of one kind.

    Args:
        counts: (items, kinds) votes

    Raises:
        ValueError: items have different numbers of votes, or fewer than two
    """
    votes = counts.sum(1)
    if not len(votes):
        return float("nan")
    m = votes.max()
    if votes.min() < max(2, m):
        raise ValueError(
            f"the items have {votes.min()} to {m} votes: Fleiss' kappa needs the same number "
            "of votes on every item, 2 or more"
        )
    agreeing_pairs = counts * (counts - 1)
    pairs_per_item = m * (m - 1)
    observed = agreeing_pairs.sum() / (pairs_per_item * len(votes))
    kind_share = counts.sum(0) / votes.sum()
    chance = (kind_share**2).sum()
    return _above_chance(observed, chance)


def items_with_usual_votes(counts: Ints) -> Ints:
    """Keep the items with the most common number of votes, of those with two votes or more.

    Args:
        counts: (items, kinds) votes

    Returns:
        (fewer items, kinds) votes; of two numbers that are equally common, the larger one counts
    """
    votes = counts.sum(1)
    frequency = np.bincount(votes[votes > 1], minlength=1)
    most_common = len(frequency) - 1 - int(frequency[::-1].argmax())
    items: Ints = counts[votes == max(2, most_common)]
    return items


def krippendorff_alpha(counts: Ints) -> float:
    """Return Krippendorff's alpha; nan where no item has two votes, or all are of one kind.

    Args:
        counts: (items, kinds) votes
    """
    counts = counts[counts.sum(1) > 1]
    m = counts.sum(1)
    n = counts.sum()
    if not n:
        return float("nan")
    kind_totals = counts.sum(0)
    disagreeing_pairs = m**2 - (counts**2).sum(1)
    observed_disagreement = (disagreeing_pairs / (m - 1)).sum() / n
    expected_pairs = n**2 - (kind_totals**2).sum()
    expected_disagreement = expected_pairs / (n * (n - 1))
    return _above_chance(
        observed=1 - observed_disagreement,
        chance=1 - expected_disagreement,
    )


def outlying_annotators(error_rate: Floats, votes: Ints) -> NDArray[np.bool_]:
    """Return (m,) which annotators err far more than the others.

    Args:
        error_rate: (m,) share of an annotator's votes that are wrong
        votes: (m,) votes that the rates rest on
    """
    if not len(error_rate):
        return np.zeros(0, bool)
    median = np.median(error_rate)
    deviation = error_rate - median
    spread = 1.4826 * np.median(np.abs(deviation))
    p = (votes * error_rate + 1) / (votes + 2)
    vote_variance = p * (1 - p) / votes
    limit = 3 * np.sqrt(spread**2 + vote_variance)
    outlying: NDArray[np.bool_] = deviation > limit
    return outlying


def _above_chance(observed: float, chance: float) -> float:
    """Return the agreement beyond chance as a share of what is possible; nan if chance is 1."""
    if chance >= 1:
        return float("nan")
    return float((observed - chance) / (1 - chance))
