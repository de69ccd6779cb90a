"""Votes in blocks of time: agreement as pairs of votes counted one by one."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from cnlw_tools.dataset.tables import VOTES
from cnlw_tools.dataset.votes_over_time import agreement_with_others, divide_votes, vote_seconds

START = datetime(2026, 3, 1, tzinfo=UTC)


def make_votes(n, seed=0, n_candidates=30):
    """Return random votes in the order of time, every tenth unsure, each two minutes after the other."""
    random = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        answer = None if i % 10 == 9 else bool(random.integers(2))
        row = {"image_id": f"i{random.integers(n_candidates)}", "label": int(random.integers(2))}
        row |= {"annotator": str(i), "correct": answer, "at": START + timedelta(minutes=2 * i)}
        rows.append(row)
    return rows


def test_agreement_is_the_share_of_equal_votes_of_others():
    """For each vote, all other votes of yes and no on its candidate are compared with it."""
    rows = make_votes(100)

    agreement = agreement_with_others(pa.Table.from_pylist(rows, VOTES))

    for i, row in enumerate(rows):
        others = [
            other["correct"]
            for j, other in enumerate(rows)
            if j != i
            and (other["image_id"], other["label"]) == (row["image_id"], row["label"])
            and other["correct"] is not None
        ]
        if row["correct"] is None or not others:
            assert np.isnan(agreement[i])
        else:
            assert agreement[i] == pytest.approx(others.count(row["correct"]) / len(others))


def test_blocks_are_equal_parts_in_order_of_time():
    """Votes are sorted by time; each block has its share of answers and its own seconds."""
    rows = make_votes(103)
    table = pa.Table.from_pylist(rows, VOTES).append_column(
        "seconds", pa.array([float(i) for i in range(103)], pa.float32())
    )
    agreement = agreement_with_others(table)
    shuffled = table.take(np.random.default_rng(1).permutation(103))

    blocks = divide_votes(shuffled)

    assert [21, 21, 21, 20, 20] == [block.n_votes for block in blocks]
    start = 0
    for block in blocks:
        part = rows[start : start + block.n_votes]
        answers = [row["correct"] for row in part]
        decisive = [answer for answer in answers if answer is not None]
        assert (part[0]["at"], part[-1]["at"]) == (block.begin, block.end)
        assert block.no == pytest.approx(decisive.count(False) / len(decisive))
        assert block.unsure == pytest.approx(answers.count(None) / len(answers))
        assert block.agreement == pytest.approx(np.nanmean(agreement[start : start + len(part)]))
        assert block.seconds == start + (len(part) - 1) / 2
        start += len(part)


def test_few_votes_are_one_block():
    """Fewer than two blocks' worth stay together; votes without a time are left out."""
    rows = make_votes(39)
    undated = [row | {"at": None} for row in rows[:5]]

    (block,) = divide_votes(pa.Table.from_pylist(undated + rows[5:], VOTES))

    assert 34 == block.n_votes
    assert np.isnan(block.seconds)
    assert [] == divide_votes(pa.Table.from_pylist(undated, VOTES))
    assert [] == divide_votes(VOTES.empty_table())
    assert 0 == len(vote_seconds(VOTES.empty_table()))


def test_one_vote_agrees_with_nobody():
    """Without a second vote on a candidate, there is no agreement."""
    (block,) = divide_votes(pa.Table.from_pylist(make_votes(1), VOTES))

    assert np.isnan(block.agreement)
    assert np.isnan(divide_votes(pa.Table.from_pylist(make_votes(10)[9:], VOTES))[0].no)


@pytest.mark.parametrize("time", [-1, 9 * 10**18])
def test_a_time_that_is_no_date_counts_as_none(time):
    """Such as nanoseconds that were stored as microseconds."""
    votes = pa.Table.from_pylist(make_votes(3), VOTES)
    times = votes["at"].cast(pa.int64()).to_pylist()
    at = pa.array([*times[:2], time], pa.int64()).cast(VOTES.field("at").type)
    (block,) = divide_votes(votes.set_column(4, VOTES.field("at"), at))

    assert (START, START + timedelta(minutes=2)) == (block.begin, block.end)
