"""How many more votes a level needs, at the rate so far."""

from math import ceil, inf

import numpy as np

from cnlw_tools.plans.vote_needs import estimate_needs


def test_the_estimate_goes_on_at_the_rate_so_far():
    """So many votes, and so many judged candidates, for each missing image as for each known one."""
    needed, known = [10, 8, 5, 7, 0], [4, 8, 9, 0, 0]
    votes, judged = [33, 50, 70, 20, 0], [11, 16, 20, 9, 0]

    needs = estimate_needs(*map(np.array, (needed, known, votes, judged)))

    assert [6, 0, 0, 7, 0] == needs.missing.tolist()
    assert [ceil(6 * 33 / 4), 0, 0, inf, 0] == needs.votes.tolist()
    assert [ceil(6 * 11 / 4), 0, 0, inf, 0] == needs.candidates.tolist()
