"""Votes are the truth; verdicts are computed.

shows its class        more yes than no
does not               more no than yes
neither, never used    a tie, or fewer than ``min_votes`` yes and no together; the unsure do not count
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools import columns, dice

KEY = ["image_id", "label"]
LOT = 2  # the stream of random numbers that deals a candidate of two classes to one of them


def verdicts(votes: pa.Table, min_votes: int = 1) -> pa.Table:
    """Count the votes on each candidate that has any.

    Returns:
        image_id, label, yes, no, unsure (int64) and shows (bool; null: neither), in the order of first votes
    """
    yes = pc.fill_null(votes["correct"], False)
    no = pc.fill_null(pc.invert(votes["correct"]), False)
    counted = {"yes": yes, "no": no, "unsure": pc.is_null(votes["correct"])}
    each = pa.table({**{k: votes[k] for k in KEY}, **{k: v.cast(pa.int64()) for k, v in counted.items()}})
    sums = each.group_by(KEY, use_threads=False).aggregate([(k, "sum") for k in counted])
    sums = sums.select([*KEY, *(f"{k}_sum" for k in counted)]).rename_columns([*KEY, *counted])
    undecided = pc.or_(pc.equal(sums["yes"], sums["no"]), pc.less(pc.add(sums["yes"], sums["no"]), min_votes))
    shows = pc.if_else(undecided, pa.scalar(None, pa.bool_()), pc.greater(sums["yes"], sums["no"]))
    return sums.append_column("shows", shows)


def judged_wrong(web: pa.Table, votes: pa.Table, min_votes: int = 1) -> pa.Table:
    """Return the candidates that do not show their class: the pool of red noise, each image once.

    An image that is wrong for two classes is dealt to one of them by lot, so that it serves one slot.
    """
    found = verdicts(votes, min_votes)
    wrong = found.filter(pc.equal(found["shows"], False)).select(KEY)
    rows = web.select(KEY).append_column("row", pa.array(np.arange(len(web))))
    kept = rows.join(wrong, KEY, join_type="left semi", use_threads=False)["row"].to_numpy()
    return _one_class_each(web.take(np.sort(kept)))


def _one_class_each(pool: pa.Table) -> pa.Table:
    """Keep one row of each image: the one with the smallest lot."""
    if pc.count_distinct(pool["image_id"]).as_py() == len(pool):
        return pool
    codes = pool["image_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    keys = columns.keys(pool["image_id"], 0) ^ dice.mix(pool["label"].to_numpy().astype(np.uint64))
    order = np.lexsort((dice.uniform(keys, LOT), codes))
    first = np.r_[True, np.diff(codes[order]) != 0]
    return pool.take(np.sort(order[first]))
