"""Votes are the truth; verdicts are computed.

shows its class        more yes than no
does not               more no than yes
neither, never used    a tie, or fewer than ``min_votes`` yes and no together; the unsure do not count

By the rule ``majority`` all votes weigh the same. By ``dawid_skene``, for annotators with names, they weigh as much as
their annotators are worth (dawid_skene.py), and a tie is where both are equally likely.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import hashing, prng
from cnlw_tools.dataset import dawid_skene
from cnlw_tools.registry import pick

KEY = ["image_id", "label"]


def verdicts(votes: pa.Table, min_votes: int = 1, verdict: str = "majority") -> pa.Table:
    """Count the votes on each candidate that has any, and judge it.

    Returns:
        image_id, label, yes, no, unsure (int64) and shows (bool; null: neither), one row a candidate

    Raises:
        LookupError: there is no such rule
        ValueError: a rule that asks who said it, and a vote that nobody signed
    """
    yes = pc.fill_null(votes["correct"], False)
    no = pc.fill_null(pc.invert(votes["correct"]), False)
    counted = {"yes": yes, "no": no, "unsure": pc.is_null(votes["correct"])}
    each = pa.table(
        {**{k: votes[k] for k in KEY}, **{k: v.cast(pa.int64()) for k, v in counted.items()}}
    )
    sums = each.group_by(KEY, use_threads=False).aggregate([(k, "sum") for k in counted])
    sums = sums.select([*KEY, *(f"{k}_sum" for k in counted)]).rename_columns([*KEY, *counted])
    lean = pick(RULES, verdict, "verdict")(
        votes, sums
    )  # above 0: it shows its class; below: it does not
    undecided = pc.or_(pc.equal(lean, 0), pc.less(pc.add(sums["yes"], sums["no"]), min_votes))
    shows = pc.if_else(undecided, pa.scalar(None, pa.bool_()), pc.greater(lean, 0))
    return sums.append_column("shows", shows)


def annotators(votes: pa.Table) -> pa.Table:
    """Return what each annotator is worth by Dawid and Skene: annotator, votes (yes and no), error.

    Raises:
        ValueError: a vote that nobody signed
    """
    said, _, found = _estimate(votes)
    who = said["annotator"].unique()
    count = np.bincount(_numbers(said["annotator"]), minlength=len(who))
    return pa.table({"annotator": who, "votes": count, "error": found.error})


def tally(web: pa.Table, found: pa.Table, classes: int) -> NDArray[np.int64]:
    """Count candidates by verdict, (C, 4): shows its class, does not, neither, nobody was asked; found: verdicts."""
    kind = pc.if_else(
        pc.is_null(found["shows"]), 2, pc.if_else(pc.fill_null(found["shows"], True), 0, 1)
    )
    rows = web.select(KEY).join(
        found.select(KEY).append_column("kind", kind), KEY, use_threads=False
    )
    cell = 4 * rows["label"].to_numpy().astype(np.int64) + pc.fill_null(rows["kind"], 3).to_numpy()
    return np.bincount(cell, minlength=4 * classes).reshape(classes, 4)


def judged_wrong(
    web: pa.Table, votes: pa.Table, min_votes: int = 1, verdict: str = "majority"
) -> pa.Table:
    """Return the candidates that do not show their class: the pool of red noise, each image once.

    An image that is wrong for two classes is dealt to one of them by lot, so that it serves one slot.
    """
    found = verdicts(votes, min_votes, verdict)
    wrong = found.filter(pc.equal(found["shows"], False)).select(KEY)
    rows = web.select(KEY).append_column("row", pa.array(np.arange(len(web))))
    kept = rows.join(wrong, KEY, join_type="left semi", use_threads=False)["row"].to_numpy()
    return _one_class_each(web.take(np.sort(kept)))


def _majority(votes: pa.Table, sums: pa.Table) -> pa.ChunkedArray:
    return pc.subtract(sums["yes"], sums["no"])


def _dawid_skene(votes: pa.Table, sums: pa.Table) -> pa.ChunkedArray:
    """Return the log odds of each candidate; 0 where they are even, or nobody said yes or no."""
    said, item, found = _estimate(votes)
    odds = np.where(np.abs(found.odds) < dawid_skene.EVEN, 0, found.odds)
    rows = sums.select(KEY).append_column("row", pa.array(np.arange(len(sums))))
    first = np.flatnonzero(np.diff(item, prepend=-1))  # the first vote on each candidate
    known = said.select(KEY).take(first).append_column("odds", pa.array(odds))
    return pc.fill_null(rows.join(known, KEY, use_threads=False).sort_by("row")["odds"], 0)


def _estimate(votes: pa.Table) -> tuple[pa.Table, NDArray[np.int64], dawid_skene.Estimate]:
    """Return the votes of yes and no by candidate, the number of each one's candidate, and what is likely of these."""
    said = votes.filter(pc.is_valid(votes["correct"]))
    if said["annotator"].null_count:
        raise ValueError(
            f"{said['annotator'].null_count} votes name no annotator, and Dawid and Skene weigh annotators: "
            'name them, or give verdict = "majority"'
        )
    said = said.sort_by([(name, "ascending") for name in (*KEY, "annotator")])
    image, label = _numbers(said["image_id"]), said["label"].to_numpy()
    another = (np.diff(image, prepend=0) != 0) | (np.diff(label, prepend=label[:1]) != 0)
    item = another.cumsum()
    return (
        said,
        item,
        dawid_skene.estimate(item, _numbers(said["annotator"]), said["correct"].to_numpy()),
    )


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Number the values of a column in the order in which they come, (n,)."""
    numbers: NDArray[np.int64] = (
        column.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    )
    return numbers


def _one_class_each(pool: pa.Table) -> pa.Table:
    """Keep one row of each image: the one with the smallest lot."""
    if pc.count_distinct(pool["image_id"]).as_py() == len(pool):
        return pool
    codes = pool["image_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    keys = hashing.keys(pool["image_id"], 0) ^ prng.mix(pool["label"].to_numpy().astype(np.uint64))
    order = np.lexsort((prng.uniform(keys, prng.Stream.ONE_OF_ITS_CLASSES), codes))
    first = np.r_[True, np.diff(codes[order]) != 0]
    return pool.take(np.sort(order[first]))


RULES = {"majority": _majority, "dawid_skene": _dawid_skene}
