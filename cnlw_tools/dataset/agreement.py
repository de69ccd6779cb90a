"""How far people agree beyond chance, and who does not.

With n_ij the votes of kind j on item i, m_i = sum_j n_ij of them on it, and n = sum_i m_i in all:

    Fleiss' kappa           (P - C) / (1 - C)       every item has m votes
                            P = mean_i  sum_j n_ij (n_ij - 1) / (m (m - 1))
                            C = sum_j (sum_i n_ij / n)^2
    Krippendorff's alpha    1 - D / E               nominal data, any number of votes; items of one vote say nothing
                            D = 1/n  sum_i  (m_i^2 - sum_j n_ij^2) / (m_i - 1)
                            E = (n^2 - sum_j n_j^2) / (n (n - 1)),   n_j = sum_i n_ij
    standing out            e_a - e > 3 sqrt(s^2 + p (1 - p) / v_a)     annotator a, error rate e_a on v_a votes
                            e = median of all e_a,  s = 1.4826 median |e_a - e|,  p = (v_a e + 1) / (v_a + 2)

1 is agreement, 0 what chance gives. Where all votes are of one kind chance agrees as well, and both are nan. Three
standard deviations: those between people (s, which a few bad ones do not move) and that of the votes of this one.

Sources: J. L. Fleiss, "Measuring nominal scale agreement among many raters", Psychological Bulletin 76(5), 1971.
K. Krippendorff, "Computing Krippendorff's alpha-reliability", 2011.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def fleiss(counts: Ints) -> float:
    """Return kappa of (items, kinds) votes; nan without items, or where all votes are of one kind.

    Raises:
        ValueError: items have different numbers of votes, or fewer than two
    """
    votes = counts.sum(1)
    if len(votes) and (votes.min() < max(2, votes.max())):
        raise ValueError(
            f"items have {votes.min()} to {votes.max()} votes: Fleiss' kappa wants as many on all, 2 or more"
        )
    m = max(2, votes.max(initial=2))
    observed = (counts * (counts - 1)).sum() / (m * (m - 1) * max(1, len(votes)))
    chance = ((counts.sum(0) / max(1, votes.sum())) ** 2).sum()
    return _beyond(observed, chance) if len(votes) else float("nan")


def even(counts: Ints) -> Ints:
    """Return the (items, kinds) votes on items that have as many as most have, of those with two or more."""
    votes = counts.sum(1)
    often = np.bincount(votes[votes > 1], minlength=1)
    m = len(often) - 1 - int(often[::-1].argmax())  # of two numbers that come as often, the larger
    found: Ints = counts[votes == max(2, m)]
    return found


def krippendorff(counts: Ints) -> float:
    """Return alpha of (items, kinds) votes; nan where no item has two, or all votes are of one kind."""
    counts = counts[counts.sum(1) > 1]
    m, n = counts.sum(1), counts.sum()
    if not n:
        return float("nan")
    observed = ((m**2 - (counts**2).sum(1)) / (m - 1)).sum() / n
    chance = (n**2 - (counts.sum(0) ** 2).sum()) / (n * (n - 1))
    return _beyond(1 - observed, 1 - chance)


def stand_out(error: Floats, votes: Ints) -> NDArray[np.bool_]:
    """Return (m,) which annotators err far more than the others; error: (m,) rates; votes: (m,) on which they rest."""
    if not len(error):
        return np.zeros(0, bool)
    middle = np.median(error)
    between = 1.4826 * np.median(np.abs(error - middle))
    p = (votes * middle + 1) / (votes + 2)
    far: NDArray[np.bool_] = error - middle > 3 * np.sqrt(between**2 + p * (1 - p) / votes)
    return far


def _beyond(observed: float, chance: float) -> float:
    return float((observed - chance) / (1 - chance)) if chance < 1 else float("nan")
