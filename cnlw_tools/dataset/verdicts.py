"""What the votes on a web candidate come to: votes are stored, verdicts are computed.

    shows its class        more yes than no
    does not show it       more no than yes
    undecided, never used  a tie, or fewer than ``min_votes`` votes of yes and no (unsure votes do
                           not count)

By the rule ``majority`` all votes have the same weight. By ``dawid_skene``, for annotators with
names, a vote has the weight that its annotator earns (dawid_skene.py), and a tie is where both
are equally likely.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import prng
from cnlw_tools.dataset import dawid_skene, hashing
from cnlw_tools.registry import pick

CANDIDATE = ["image_id", "label"]  # the columns that identify a candidate
SHOWS, SHOWS_NOT, UNDECIDED, NO_VOTES = range(4)  # columns of what `count_verdicts` returns


def compute_verdicts(
    votes: pa.Table,
    min_votes: int = 1,
    rule: str = "majority",
) -> pa.Table:
    """Count the votes on each candidate that has any, and decide whether it shows its class.

    Args:
        votes: of the VOTES schema
        min_votes: votes of yes and no that a decision takes
        rule: majority or dawid_skene

    Returns:
        one row a candidate: image_id, label; yes, no, unsure (int64); shows (bool; null: undecided)

    Raises:
        LookupError: there is no such rule
        ValueError: the rule needs annotators' names, and a vote has none
    """
    score_candidates = pick(RULES, rule, "verdict")
    verdicts = _count_votes(votes)
    score = score_candidates(votes, verdicts)  # above 0: shows its class; below 0: does not
    n_decisive = pc.add(verdicts["yes"], verdicts["no"])
    is_undecided = pc.or_(pc.equal(score, 0), pc.less(n_decisive, min_votes))
    shows = pc.if_else(is_undecided, pa.scalar(None, pa.bool_()), pc.greater(score, 0))
    return verdicts.append_column("shows", shows)


def annotator_error_rates(votes: pa.Table) -> pa.Table:
    """Estimate each annotator's share of wrong votes by Dawid and Skene.

    Returns:
        annotator, votes (of yes and no), error; one row an annotator

    Raises:
        ValueError: a vote names no annotator
    """
    decisive, _, estimate = _estimate(votes)
    names = decisive["annotator"].unique()
    n_votes = np.bincount(_value_numbers(decisive["annotator"]), minlength=len(names))
    return pa.table({"annotator": names, "votes": n_votes, "error": estimate.error_rate})


def count_verdicts(
    web: pa.Table,
    verdicts: pa.Table,
    n_classes: int,
) -> NDArray[np.int64]:
    """Count the candidates of each class by verdict.

    Returns:
        (C, 4): shows its class, does not show it, undecided, no votes
    """
    shows = verdicts["shows"]
    decided = pc.if_else(pc.fill_null(shows, True), SHOWS, SHOWS_NOT)
    verdict = pc.if_else(pc.is_null(shows), UNDECIDED, decided)
    verdict_table = verdicts.select(CANDIDATE)
    verdict_table = verdict_table.append_column("verdict", verdict)
    candidates = web.select(CANDIDATE)
    candidates = candidates.join(verdict_table, CANDIDATE, use_threads=False)
    label = candidates["label"].to_numpy().astype(np.int64)
    column = pc.fill_null(candidates["verdict"], NO_VOTES).to_numpy()
    cell = 4 * label + column
    counts = np.bincount(cell, minlength=4 * n_classes)
    return counts.reshape(n_classes, 4)


def wrong_candidates(
    web: pa.Table,
    votes: pa.Table,
    min_votes: int = 1,
    rule: str = "majority",
) -> pa.Table:
    """Return the candidates that do not show their class, each image once: the pool of red noise.

    An image that is wrong for two classes goes to one of them, by a random number of its own, so
    that it serves one slot.
    """
    verdicts = compute_verdicts(votes, min_votes, rule)
    is_wrong = pc.equal(verdicts["shows"], False)
    wrong = verdicts.filter(is_wrong).select(CANDIDATE)
    candidates = _numbered_candidates(web)
    matches = candidates.join(wrong, CANDIDATE, join_type="left semi", use_threads=False)
    rows = np.sort(matches["row"].to_numpy())
    return _one_class_per_image(web.take(rows))


def _count_votes(votes: pa.Table) -> pa.Table:
    """Return the numbers of yes, no and unsure votes, one row a candidate that has votes."""
    correct = votes["correct"]
    answers = {
        "yes": pc.fill_null(correct, False),
        "no": pc.fill_null(pc.invert(correct), False),
        "unsure": pc.is_null(correct),
    }
    columns = {name: votes[name] for name in CANDIDATE}
    for name, answer in answers.items():
        columns[name] = answer.cast(pa.int64())
    groups = pa.table(columns).group_by(CANDIDATE, use_threads=False)
    sums = groups.aggregate([(name, "sum") for name in answers])
    sum_names = [f"{name}_sum" for name in answers]
    sums = sums.select([*CANDIDATE, *sum_names])
    return sums.rename_columns([*CANDIDATE, *answers])


def _majority(votes: pa.Table, counts: pa.Table) -> pa.ChunkedArray:
    """Return how many more votes say yes than no, for each candidate."""
    return pc.subtract(counts["yes"], counts["no"])


def _dawid_skene(votes: pa.Table, counts: pa.Table) -> pa.ChunkedArray:
    """Return the log odds of each candidate; 0 where they are even or all votes are unsure."""
    decisive, candidate, estimate = _estimate(votes)
    is_tie = np.abs(estimate.log_odds) < dawid_skene.TIE
    log_odds = np.where(is_tie, 0, estimate.log_odds)
    first_votes = np.flatnonzero(np.diff(candidate, prepend=-1))  # the first on each candidate
    scores = decisive.select(CANDIDATE).take(first_votes)
    scores = scores.append_column("log_odds", pa.array(log_odds))
    candidates = _numbered_candidates(counts)
    candidates = candidates.join(scores, CANDIDATE, use_threads=False).sort_by("row")
    return pc.fill_null(candidates["log_odds"], 0)


def _estimate(votes: pa.Table) -> tuple[pa.Table, NDArray[np.int64], dawid_skene.Estimate]:
    """Fit the model of Dawid and Skene to the votes of yes and no.

    Returns:
        these v votes, sorted by candidate; (v,) the index of each one's candidate; the estimate

    Raises:
        ValueError: a vote names no annotator
    """
    decisive = votes.filter(pc.is_valid(votes["correct"]))
    n_unsigned = decisive["annotator"].null_count
    if n_unsigned:
        raise ValueError(
            f"{n_unsigned} votes name no annotator, but the rule of Dawid and Skene needs to "
            "know who voted: "
            'name the annotators, or give verdict = "majority"'
        )
    sort_columns = [*CANDIDATE, "annotator"]
    decisive = decisive.sort_by([(name, "ascending") for name in sort_columns])
    image = _value_numbers(decisive["image_id"])
    label = decisive["label"].to_numpy()
    new_image = np.diff(image, prepend=0) != 0
    new_label = np.diff(label, prepend=label[:1]) != 0
    candidate = (new_image | new_label).cumsum()
    annotator = _value_numbers(decisive["annotator"])
    says_yes = decisive["correct"].to_numpy()
    estimate = dawid_skene.estimate(candidate, annotator, says_yes)
    return decisive, candidate, estimate


def _numbered_candidates(table: pa.Table) -> pa.Table:
    """Return the candidates of a table, with the numbers of their rows."""
    row = pa.array(np.arange(len(table)))
    return table.select(CANDIDATE).append_column("row", row)


def _value_numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return (n,) the distinct values of a column as 0, 1, 2 ... in order of their first row."""
    indices = column.combine_chunks().dictionary_encode().indices
    numbers: NDArray[np.int64] = indices.to_numpy().astype(np.int64)
    return numbers


def _one_class_per_image(candidates: pa.Table) -> pa.Table:
    """Keep one row of each image: the one with the smallest random number."""
    image_id = candidates["image_id"]
    if pc.count_distinct(image_id).as_py() == len(candidates):
        return candidates
    image = image_id.combine_chunks().dictionary_encode().indices.to_numpy()
    label = candidates["label"].to_numpy().astype(np.uint64)
    candidate_keys = hashing.random_keys(image_id, 0) ^ prng.mix(label)
    lot = prng.uniform(candidate_keys, prng.Stream.ONE_OF_ITS_CLASSES)
    order = np.lexsort((lot, image))
    is_new_image = np.diff(image[order]) != 0
    is_first = np.append(True, is_new_image)
    kept_rows = np.sort(order[is_first])
    return candidates.take(kept_rows)


RULES = {"majority": _majority, "dawid_skene": _dawid_skene}
