"""How many more votes a level of red noise needs, by class.

    k   wrong images that the level needs: the slots of the class that turn noisy
    w   wrong images that are known and available
    v   votes on candidates of the class so far, those of unsure among them
    j   candidates of the class with a verdict

    missing images     max(0, k - w)
    further votes      (k - w) v / w, rounded up
    further candidates (k - w) j / w, rounded up: how many more have to get a verdict

Both assume that further votes find wrong images as often as the votes so far. Where no wrong image
is known yet, nothing can be said.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]


class VoteNeeds(NamedTuple):
    """What a level needs; each array has an entry for each class."""

    needed: Ints  # wrong images
    available: Ints  # wrong images
    missing: Ints  # wrong images
    votes: NDArray[np.float64]  # further votes; inf where no wrong image is known
    candidates: NDArray[np.float64]  # further candidates with a verdict; inf likewise


def estimate_needs(needed: Ints, available: Ints, n_votes: Ints, n_judged: Ints) -> VoteNeeds:
    """Return what each class still needs.

    Args:
        needed: (C,) wrong images that the level needs
        available: (C,) wrong images that are known and available
        n_votes: (C,) votes on candidates of the class so far
        n_judged: (C,) candidates with a verdict
    """
    missing = np.maximum(0, needed - available)
    return VoteNeeds(
        needed,
        available,
        missing,
        votes=_extrapolate(missing, n_votes, available),
        candidates=_extrapolate(missing, n_judged, available),
    )


def _extrapolate(missing: Ints, n_spent: Ints, available: Ints) -> NDArray[np.float64]:
    """Return (C,) missing * spent / available, rounded up; 0 if nothing is missing."""
    estimate = np.full(len(missing), np.inf)
    np.divide(missing * n_spent, available, out=estimate, where=available > 0)
    return np.where(missing > 0, np.ceil(estimate), 0)
