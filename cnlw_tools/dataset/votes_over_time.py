"""How votes change over time: agreement, answers and pace in blocks of votes.

The votes that have a time are put in its order, and divided into blocks of equal size. With m_c
votes of yes and no on candidate c, n_cv of which say the same as vote v:

    a_v = (n_cv - 1) / (m_c - 1)     share of the other votes on c that agree with v
    agreement of a block             mean of a_v over its votes of yes and no with m_c > 1

A vote is compared with all other votes on its candidate, of whatever time. If agreement falls, or
votes become faster, people may be tired, or may have begun to see the class in another way.
"""

from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset.row_numbers import number_rows
from cnlw_tools.dataset.row_selection import take_rows
from cnlw_tools.dataset.verdicts import CANDIDATE

MAX_BLOCKS = 5
LEAST_VOTES = 20  # in a block: of fewer, a share says little
END_OF_TIME = 253_402_300_800_000_000  # microseconds: the year 10,000, which `datetime` lacks
SECONDS = "seconds"  # column with how long the picture was in view, if it was measured


class Block(NamedTuple):
    """Votes that follow each other."""

    begin: datetime
    end: datetime
    n_votes: int
    no: float  # share of the votes; nan if there are no votes of yes and no
    unsure: float  # share of all votes
    agreement: float  # nan if no candidate has a second vote
    seconds: float  # median; nan if it was not measured


def divide_votes(votes: pa.Table) -> list[Block]:
    """Return the blocks of the votes that have a time from 1970 to 9999, the first block first.

    Args:
        votes: of the VOTES schema, maybe with a column ``seconds``
    """
    agreement = agreement_with_others(votes)
    times = pc.fill_null(votes["at"].cast(pa.int64()), -1).to_numpy()
    order = np.argsort(times, kind="stable")
    order = order[(times[order] >= 0) & (times[order] < END_OF_TIME)]
    n_blocks = min(MAX_BLOCKS, max(1, len(order) // LEAST_VOTES))
    blocks = []
    for rows in np.array_split(order, n_blocks):
        if len(rows):
            blocks.append(_describe_block(take_rows(votes, rows), agreement[rows]))
    return blocks


def agreement_with_others(votes: pa.Table) -> NDArray[np.float64]:
    """Return (v,) the share of the other votes on its candidate that agree with each vote.

    It is nan for a vote of unsure, and where there is no other vote of yes or no.
    """
    (candidate,) = number_rows([votes], CANDIDATE)
    says_yes = pc.fill_null(votes["correct"], False).to_numpy()
    is_decisive = votes["correct"].is_valid().to_numpy()
    n_candidates = int(candidate.max(initial=-1)) + 1
    n_yes = np.bincount(candidate[is_decisive & says_yes], minlength=n_candidates)
    n_votes = np.bincount(candidate[is_decisive], minlength=n_candidates)
    n_same = np.where(says_yes, n_yes[candidate], (n_votes - n_yes)[candidate])
    n_others = n_votes[candidate] - 1
    is_compared = is_decisive & (n_others > 0)
    agreement = np.full(len(votes), np.nan)
    agreement[is_compared] = (n_same[is_compared] - 1) / n_others[is_compared]
    return agreement


def median_seconds(votes: pa.Table) -> float:
    """Return the median of the seconds that votes took; nan if they were not measured."""
    seconds = vote_seconds(votes)
    return float(np.median(seconds)) if len(seconds) else float("nan")


def vote_seconds(votes: pa.Table) -> NDArray[np.float64]:
    """Return the seconds of the votes for which they were measured."""
    if SECONDS not in votes.column_names:
        return np.empty(0)
    seconds: NDArray[np.float64] = votes[SECONDS].drop_null().to_numpy().astype(np.float64)
    return seconds


def _describe_block(votes: pa.Table, agreement: NDArray[np.float64]) -> Block:
    correct = votes["correct"]
    n_decisive = len(votes) - correct.null_count
    n_no = n_decisive - (pc.sum(correct).as_py() or 0)
    compared = agreement[~np.isnan(agreement)]
    return Block(
        begin=votes["at"][0].as_py(),
        end=votes["at"][-1].as_py(),
        n_votes=len(votes),
        no=n_no / n_decisive if n_decisive else float("nan"),
        unsure=correct.null_count / len(votes),
        agreement=float(compared.mean()) if len(compared) else float("nan"),
        seconds=median_seconds(votes),
    )
