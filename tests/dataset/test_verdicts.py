"""Verdicts, and the pool of red noise, counted vote by vote."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.dataset import dawid_skene, verdicts
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from cnlw_tools.recipe import recipe


def ballots(rows):
    return pa.Table.from_pylist(
        [dict(zip(("image_id", "label", "correct"), row, strict=True)) for row in rows], VOTES
    )


def candidates(pairs, **free: pa.Array):
    table = pa.Table.from_pylist(
        [{"image_id": i, "label": c, "split": "web"} for i, c in pairs], MANIFEST
    )
    for name, column in free.items():
        table = table.append_column(name, column)
    return table


def naive(rows, min_votes):
    counts = defaultdict(Counter)
    for image, label, correct in rows:
        counts[image, label][correct] += 1
    verdict = {}
    for pair, count in counts.items():
        enough = count[True] + count[False] >= min_votes
        verdict[pair] = (
            None if not enough or count[True] == count[False] else count[True] > count[False]
        )
    return verdict


BALLOTS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 2), st.sampled_from([True, False, None])),
    max_size=60,
)


@given(BALLOTS, st.integers(1, 4))
def test_verdicts(rows, min_votes):
    """More yes than no shows the class, more no than yes does not, a tie or too few votes is neither."""
    table = verdicts.compute_verdicts(ballots(rows), min_votes).to_pylist()

    assert naive(rows, min_votes) == {
        (row["image_id"], row["label"]): row["shows"] for row in table
    }


@given(BALLOTS)
def test_counts(rows):
    """Every vote is counted once, the unsure apart."""
    count = Counter(rows)
    table = verdicts.compute_verdicts(ballots(rows)).to_pylist()

    assert {
        (row["image_id"], row["label"]): (row["yes"], row["no"], row["unsure"]) for row in table
    } == {(i, c): (count[i, c, True], count[i, c, False], count[i, c, None]) for i, c, _ in rows}


@given(BALLOTS, st.integers(1, 3), st.randoms(use_true_random=False))
def test_pool(rows, min_votes, shuffle):
    """The pool holds each image that is wrong for a class once, whatever the order of votes and candidates."""
    pairs = sorted({(i, c) for i, c, _ in rows} | {("z", 0)})
    wrong = {pair for pair, shows in naive(rows, min_votes).items() if shows is False}

    pool = verdicts.wrong_candidates(candidates(pairs), ballots(rows), min_votes)
    pairs_in_pool = list(zip(pool["image_id"].to_pylist(), pool["label"].to_pylist(), strict=True))
    shuffle.shuffle(pairs)
    shuffle.shuffle(rows)
    again = verdicts.wrong_candidates(candidates(pairs), ballots(rows), min_votes)

    assert {i for i, _ in wrong} == {i for i, _ in pairs_in_pool}
    assert len(pairs_in_pool) == len({i for i, _ in pairs_in_pool})
    assert set(pairs_in_pool) <= wrong
    assert set(pairs_in_pool) == set(
        zip(again["image_id"].to_pylist(), again["label"].to_pylist(), strict=True)
    )


SIGNED = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.integers(0, 1),
        st.sampled_from(["x", "y", "z"]),
        st.sampled_from([True, False, None]),
    ),
    unique_by=lambda row: row[:3],
    max_size=24,
)


def signed(rows):
    return pa.Table.from_pylist([dict(zip(VOTES.names, row, strict=False)) for row in rows], VOTES)


@given(SIGNED, st.integers(1, 3), st.randoms(use_true_random=False))
def test_dawid_skene(rows, min_votes, shuffle):
    """Each candidate gets the verdict of its odds, whatever the order of votes; too few votes are none."""
    table = verdicts.compute_verdicts(signed(rows), min_votes, "dawid_skene")
    decisive = sorted(row for row in rows if row[3] is not None)
    pairs, people = sorted({row[:2] for row in decisive}), sorted({row[2] for row in decisive})
    item = np.array([pairs.index(row[:2]) for row in decisive], np.int64)
    annotator = np.array([people.index(row[2]) for row in decisive], np.int64)
    odds = dawid_skene.estimate(
        item, annotator, np.array([row[3] for row in decisive], bool)
    ).log_odds
    shuffle.shuffle(rows)
    again = verdicts.compute_verdicts(signed(rows), min_votes, "dawid_skene")

    expected = {}
    for pair in {row[:2] for row in rows}:
        enough = sum(row[:2] == pair for row in decisive) >= min_votes
        even = pair not in pairs or abs(odds[pairs.index(pair)]) < dawid_skene.TIE
        expected[pair] = None if not enough or even else bool(odds[pairs.index(pair)] > 0)
    for verdict_table in (table, again):
        assert expected == {
            (row["image_id"], row["label"]): row["shows"] for row in verdict_table.to_pylist()
        }


def test_the_better_annotator_decides_a_tie():
    """Who agrees with the others elsewhere wins against who does not; by majority it is a tie."""
    rows = [(f"i{i}", 0, annotator, i % 2 == 0) for i in range(20) for annotator in "xyz"]
    rows += [(f"i{i}", 0, "bad", i % 2 == 1) for i in range(20)]
    rows += [("t", 0, "x", False), ("t", 0, "bad", True)]

    by = {
        rule: verdicts.compute_verdicts(signed(rows), 1, rule).to_pylist()[-1]["shows"]
        for rule in verdicts.RULES
    }
    pool = verdicts.wrong_candidates(candidates([("t", 0)]), signed(rows), 1, "dawid_skene")
    worth = {
        row["annotator"]: row for row in verdicts.annotator_error_rates(signed(rows)).to_pylist()
    }

    assert {"majority": None, "dawid_skene": False} == by
    assert ["t"] == pool["image_id"].to_pylist()
    assert worth["bad"]["error"] > 0.9 > 0.1 > worth["x"]["error"]
    assert (21, 20) == (worth["bad"]["votes"], worth["y"]["votes"])


def test_dawid_skene_of_many():
    """Of a thousand candidates each gets its own verdict: where all agree, theirs."""
    draw = np.random.default_rng(0)
    shows = dict(
        zip(draw.permutation(1000).tolist(), (draw.random(1000) < 0.5).tolist(), strict=True)
    )
    rows = [(f"i{i}", i % 3, annotator, yes) for i, yes in shows.items() for annotator in "xyz"]
    rows = [rows[i] for i in draw.permutation(len(rows))]

    table = verdicts.compute_verdicts(signed(rows), 1, "dawid_skene").to_pylist()

    assert {f"i{i}": yes for i, yes in shows.items()} == {
        row["image_id"]: row["shows"] for row in table
    }


def test_nameless_votes_have_no_weight():
    """Dawid and Skene need names, unless nobody is for or against; no other rule is known."""
    with pytest.raises(ValueError, match=r'1 votes name no annotator.*"majority"'):
        verdicts.compute_verdicts(ballots([("a", 0, True), ("a", 0, None)]), 1, "dawid_skene")
    assert [None] == verdicts.compute_verdicts(ballots([("a", 0, None)]), 1, "dawid_skene")[
        "shows"
    ].to_pylist()
    assert 0 == len(verdicts.annotator_error_rates(VOTES.empty_table()))
    with pytest.raises(LookupError, match="Did you mean 'majority'"):
        verdicts.compute_verdicts(ballots([]), 1, "majorty")


def test_lot_is_fair():
    """Images that are wrong for two classes are dealt to both about evenly."""
    pairs = [(f"i{i}", c) for i in range(400) for c in (0, 1)]

    pool = verdicts.wrong_candidates(candidates(pairs), ballots([(i, c, False) for i, c in pairs]))

    assert len(pool) == 400
    assert 150 < sum(pool["label"].to_pylist()) < 250


def test_wrong_for_one_class_only():
    """An image that shows one of its two classes is in the pool of the other."""
    pool = verdicts.wrong_candidates(
        candidates([("a", 0), ("a", 1)]), ballots([("a", 0, True), ("a", 1, False)])
    )

    assert list(zip(pool["image_id"].to_pylist(), pool["label"].to_pylist(), strict=True)) == [
        ("a", 1)
    ]


def test_no_votes():
    """Without votes no image is judged wrong."""
    assert len(verdicts.wrong_candidates(candidates([("a", 0)]), VOTES.empty_table())) == 0


def test_nothing():
    """Without candidates there is no pool."""
    assert len(verdicts.wrong_candidates(MANIFEST.empty_table(), VOTES.empty_table())) == 0


def test_free_columns():
    """Free columns of any name and type come along."""
    web = candidates(
        [("a", 0), ("b", 1)], row=pa.array([7, 8]), deep=pa.array([[1], [2]]), none=pa.nulls(2)
    )

    pool = verdicts.wrong_candidates(web, ballots([("b", 1, False)]))

    assert pool.select(["row", "deep", "none"]).to_pylist() == [
        {"row": 8, "deep": [2], "none": None}
    ]


def test_rules_are_those_of_recipes():
    """What a recipe may ask for is what there is."""
    assert recipe.VERDICTS == tuple(verdicts.RULES)
