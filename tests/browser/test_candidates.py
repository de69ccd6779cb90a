"""Which candidate comes next, compared with a loop, and which are never asked about."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.browser import candidates as module
from cnlw_tools.browser.candidates import Candidates, find_available, find_copies, lots
from cnlw_tools.browser.vote_table import NOBODY, Standing
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from cnlw_tools.store.store import Store
from tests.browser.voting import candidate, noise_picture, write_store

N, N_CLASSES = 12, 3
WEB = pa.Table.from_pylist([candidate(f"w{i}", i % N_CLASSES) for i in range(N)], MANIFEST)
COUNTS = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=N, max_size=N)


def standing(counts, voted=()):
    """Return a standing in which person 1 has voted on some rows."""
    counts = np.array(counts, np.int64).reshape(N, 3)
    candidate_rows = np.array([0, *voted], np.int64)
    annotator = np.array([NOBODY, *[0] * len(voted)], np.int64)
    return Standing(VOTES.empty_table(), candidate_rows, annotator, counts, {"1": 0})


def next_naively(counts, voted, asked, held, elsewhere, label, n_votes, n, first_label=0):
    """Return the next rows as the docstring says."""
    lot = lots(WEB).tolist()
    ranked = []
    for row in range(N):
        missing = n_votes - counts[row][0] - counts[row][1]
        is_left_out = row in voted or row in held or row not in asked
        if is_left_out or missing <= 0 or label not in (None, row % N_CLASSES):
            continue
        place = (row % N_CLASSES - first_label) % N_CLASSES
        ranked.append((row in elsewhere, missing, place, lot[row], row))
    return [row for *_, row in sorted(ranked)[:n]]


@given(
    counts=COUNTS,
    voted=st.sets(st.integers(0, N - 1)),
    asked=st.sets(st.integers(0, N - 1)),
    held=st.sets(st.integers(0, N - 1), max_size=3),
    n_elsewhere=st.integers(0, 5),
    label=st.sampled_from([None, 0, 2]),
    n=st.integers(1, N),
    first=st.integers(0, N_CLASSES),
)
def test_next(counts, voted, asked, held, n_elsewhere, label, n, first):
    """Those on no other screen come first, then those that lack fewest votes, by class, by lot."""
    is_asked = np.isin(np.arange(N), [*asked])
    pages = Candidates(WEB, is_asked, 3, N_CLASSES)
    now = standing(counts, sorted(voted))
    elsewhere = pages.next_rows(now, None, "other", n_elsewhere) if n_elsewhere else []

    rows = pages.next_rows(now, "1", "mine", n, held, label, first)

    assert next_naively(counts, voted, asked, held, elsewhere, label, 3, n, first) == rows


def test_two_people_get_different_candidates(monkeypatch):
    """Nobody gets what somebody else has on the screen, as long as another one is open."""
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    pages = Candidates(WEB, np.ones(N, bool), 3, N_CLASSES)
    now = standing([(0, 0, 0)] * N)
    first = pages.next_rows(now, "1", "a", 6)
    second = pages.next_rows(now, "2", "b", 6)

    assert set(range(N)) == {*first, *second}
    assert first == pages.next_rows(now, "1", "a", 6)
    assert {*first, *second} == {*pages.next_rows(now, "3", "c", N)}
    pages.release(first[:1])
    assert first[:1] == pages.next_rows(now, "3", "d", 1)
    clock[0] = 2 * module.ON_SCREEN
    assert first == pages.next_rows(now, "4", "e", 6)


def test_the_order_is_no_hint():
    """The order differs from that of the manifest, and stays the same."""
    pages = Candidates(WEB, np.ones(N, bool), 3, N_CLASSES)
    rows = pages.next_rows(standing([(0, 0, 0)] * N), None, "a", N)

    assert rows != sorted(rows)
    assert rows == sorted(range(N), key=lambda row: (row % N_CLASSES, lots(WEB)[row]))


@given(counts=COUNTS, voted=st.sets(st.integers(0, N - 1)))
def test_rows_of_a_class(counts, voted):
    """The grid has all of them, first those that this person may vote on and that lack votes."""
    pages = Candidates(WEB, np.arange(N) > 0, 3, N_CLASSES)
    lot = lots(WEB).tolist()

    rows = pages.rows_of_class(standing(counts, sorted(voted)), "1", 0)

    def place(row):
        return (row in voted or sum(counts[row][:2]) >= 3, lot[row])

    assert sorted([3, 6, 9], key=place) == rows.tolist()


@given(counts=COUNTS, voted=st.sets(st.integers(0, N - 1)))
def test_progress(counts, voted):
    """Each class counts candidates and votes: of all, of the complete ones, of one person."""
    asked = set(range(1, N))
    pages = Candidates(WEB, np.arange(N) > 0, 3, N_CLASSES)

    progress = pages.progress(standing(counts, sorted(voted)), "1")

    for label in range(N_CLASSES):
        rows = [row for row in asked if row % N_CLASSES == label]
        complete = [row for row in rows if counts[row][0] + counts[row][1] >= 3]
        left = [row for row in rows if row not in complete and row not in voted]
        given = sum(min(3, sum(counts[row][:2])) for row in rows)
        own = len(voted & {*rows})
        assert (len(rows), len(complete), len(left), given, own) == progress[label]


def test_sure_examples():
    """They have at least two votes, all of them yes; those with most come first."""
    counts = [(0, 0, 0)] * N
    for row, votes in {
        0: (3, 0, 0),
        3: (4, 0, 0),
        6: (9, 1, 0),
        9: (9, 0, 1),
        1: (9, 0, 0),
    }.items():
        counts[row] = votes
    pages = Candidates(WEB, np.ones(N, bool), 3, N_CLASSES)

    assert [3, 0] == pages.sure_examples(standing(counts), 0)
    assert [] == pages.sure_examples(standing(counts), 2)
    pages.remove(3)
    assert [0] == pages.sure_examples(standing(counts), 0)


@pytest.fixture
def store(tmp_path):
    """A store of w0 to w6: w1, w2 and w4 look alike, w3 is dead, w5 was never fetched."""
    pictures = {f"w{i}": noise_picture(i) for i in (0, 1, 6)}
    pictures |= {"w2": pictures["w1"], "w4": pictures["w1"], "w3": None}
    with Store(write_store(tmp_path / "store", pictures)) as images:
        yield images


def test_the_dead_are_not_asked_about(store):
    """A candidate without a picture, marked as dead, or withdrawn, is not available."""
    rows = [candidate(f"w{i}", 0, dead=i == 6, withdrawn=i == 0) for i in range(7)]
    web = pa.Table.from_pylist(rows)

    assert [False, True, True, False, True, False, False] == find_available(web, store).tolist()
    assert [False, *[True] * 5, False] == find_available(web, None).tolist()


def test_placeholders_are_not_asked_about(tmp_path):
    """A file that ten ids share is no picture of anything."""
    pictures = {f"w{i}": noise_picture(0) for i in range(10)} | {"w10": noise_picture(1)}
    web = pa.Table.from_pylist([candidate(f"w{i}", 0) for i in range(11)], MANIFEST)
    with Store(write_store(tmp_path / "store", pictures)) as images:
        assert [False] * 10 + [True] == find_available(web, images).tolist()


@pytest.mark.parametrize(
    ("labels", "voted", "copies"),
    [
        ([0] * 7, None, [2, 4]),
        ([0] * 7, 4, [1, 2]),
        ([0, 0, 1, 0, 1, 0, 0], None, [4]),
        ([0, 0, 1, 0, 2, 0, 0], None, []),
    ],
)
def test_of_pictures_that_look_alike_one_is_asked_about(store, labels, voted, copies):
    """In each class, it is the one with most votes, and then the first."""
    web = pa.Table.from_pylist(
        [candidate(f"w{i}", label) for i, label in enumerate(labels)], MANIFEST
    )
    counts = np.zeros((7, 3), np.int64)
    if voted is not None:
        counts[voted, 1] = 2

    is_copy = find_copies(web, store, find_available(web, store), counts)

    assert copies == np.flatnonzero(is_copy).tolist()


@pytest.mark.parametrize("n_left", [2, 0])
def test_an_image_that_leaves_the_store_meanwhile_is_no_copy(tmp_path, n_left):
    """A fetch that is at work takes a damaged image away between two looks at the store."""
    pictures = {f"w{i}": noise_picture(7) if i < n_left else None for i in range(4)}
    web = pa.Table.from_pylist([candidate(f"w{i}", 0) for i in range(4)], MANIFEST)
    with Store(write_store(tmp_path / "store", pictures)) as store:
        is_copy = find_copies(web, store, np.ones(4, bool), np.zeros((4, 3), np.int64))

    assert [1][: n_left // 2] == np.flatnonzero(is_copy).tolist()
