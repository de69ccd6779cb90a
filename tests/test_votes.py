"""Verdicts, and the pool of red noise, counted vote by vote."""

from collections import Counter, defaultdict

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools import votes
from cnlw_tools.tables import MANIFEST, VOTES


def ballots(rows):
    return pa.Table.from_pylist([dict(zip(("image_id", "label", "correct"), row, strict=True)) for row in rows], VOTES)


def candidates(pairs, **free: pa.Array):
    table = pa.Table.from_pylist([{"image_id": i, "label": c, "split": "web"} for i, c in pairs], MANIFEST)
    for name, column in free.items():
        table = table.append_column(name, column)
    return table


def naive(rows, min_votes):
    found = defaultdict(Counter)
    for image, label, correct in rows:
        found[image, label][correct] += 1
    verdict = {}
    for pair, count in found.items():
        enough = count[True] + count[False] >= min_votes
        verdict[pair] = None if not enough or count[True] == count[False] else count[True] > count[False]
    return verdict


BALLOTS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 2), st.sampled_from([True, False, None])), max_size=60
)


@given(BALLOTS, st.integers(1, 4))
def test_verdicts(rows, min_votes):
    """More yes than no shows the class, more no than yes does not, a tie or too few votes is neither."""
    found = votes.verdicts(ballots(rows), min_votes).to_pylist()

    assert naive(rows, min_votes) == {(row["image_id"], row["label"]): row["shows"] for row in found}


@given(BALLOTS)
def test_counts(rows):
    """Every vote is counted once, the unsure apart."""
    count = Counter(rows)
    found = votes.verdicts(ballots(rows)).to_pylist()

    assert {(row["image_id"], row["label"]): (row["yes"], row["no"], row["unsure"]) for row in found} == {
        (i, c): (count[i, c, True], count[i, c, False], count[i, c, None]) for i, c, _ in rows
    }


@given(BALLOTS, st.integers(1, 3), st.randoms(use_true_random=False))
def test_pool(rows, min_votes, shuffle):
    """The pool holds each image that is wrong for a class once, whatever the order of votes and candidates."""
    pairs = sorted({(i, c) for i, c, _ in rows} | {("z", 0)})
    wrong = {pair for pair, shows in naive(rows, min_votes).items() if shows is False}

    found = votes.judged_wrong(candidates(pairs), ballots(rows), min_votes)
    chosen = list(zip(found["image_id"].to_pylist(), found["label"].to_pylist(), strict=True))
    shuffle.shuffle(pairs)
    shuffle.shuffle(rows)
    again = votes.judged_wrong(candidates(pairs), ballots(rows), min_votes)

    assert {i for i, _ in wrong} == {i for i, _ in chosen}
    assert len(chosen) == len({i for i, _ in chosen})
    assert set(chosen) <= wrong
    assert set(chosen) == set(zip(again["image_id"].to_pylist(), again["label"].to_pylist(), strict=True))


def test_lot_is_fair():
    """Images that are wrong for two classes are dealt to both about evenly."""
    pairs = [(f"i{i}", c) for i in range(400) for c in (0, 1)]

    found = votes.judged_wrong(candidates(pairs), ballots([(i, c, False) for i, c in pairs]))

    assert len(found) == 400
    assert 150 < sum(found["label"].to_pylist()) < 250


def test_wrong_for_one_class_only():
    """An image that shows one of its two classes is in the pool of the other."""
    pool = votes.judged_wrong(candidates([("a", 0), ("a", 1)]), ballots([("a", 0, True), ("a", 1, False)]))

    assert list(zip(pool["image_id"].to_pylist(), pool["label"].to_pylist(), strict=True)) == [("a", 1)]


def test_no_votes():
    """Without votes no image is judged wrong."""
    assert len(votes.judged_wrong(candidates([("a", 0)]), VOTES.empty_table())) == 0


def test_nothing():
    """Without candidates there is no pool."""
    assert len(votes.judged_wrong(MANIFEST.empty_table(), VOTES.empty_table())) == 0


def test_free_columns():
    """Free columns of any name and type come along."""
    web = candidates([("a", 0), ("b", 1)], row=pa.array([7, 8]), deep=pa.array([[1], [2]]), none=pa.nulls(2))

    pool = votes.judged_wrong(web, ballots([("b", 1, False)]))

    assert pool.select(["row", "deep", "none"]).to_pylist() == [{"row": 8, "deep": [2], "none": None}]
