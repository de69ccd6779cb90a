"""A vote that was answered is on the disk, whatever else happens to the table."""

import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from functools import partial

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnlw_tools.browser.vote_table import Change, Given, VoteTable, now
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.dataset import read_dataset
from cnlw_tools.dataset.tables import VOTES
from cnlw_tools.ingest.import_votes import add_votes, merge_votes
from tests.browser.voting import (
    NAME,
    candidate,
    noise_picture,
    run_at_once,
    write_root,
    write_store,
)

N_CANDIDATES = 30
TIMES = st.permutations(range(1_700_000_000_000_000, 1_700_000_000_000_012))
VOTE_ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from("12"), st.sampled_from([True, False, None])),
    min_size=1,
    max_size=12,
)


@pytest.fixture
def root(tmp_path):
    return write_root(tmp_path, [candidate(f"w{i}", i % 3) for i in range(N_CANDIDATES)])


@pytest.fixture
def table(root):
    votes = VoteTable(NAME, root)
    yield votes
    votes.close()


def read_votes(root):
    """Return the votes on the disk: (image, number) -> (correct, seconds)."""
    votes = read_dataset(NAME, root).votes.to_pylist()
    result = {(v["image_id"], v["annotator"]): (v["correct"], v.get("seconds")) for v in votes}
    assert len(result) == len(votes)
    return result


def vote(row, person, correct, at=None, seconds=None):
    return Change(row, person, Given(correct, at or now(), seconds))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=VOTE_ROWS, times=TIMES, data=st.data())
def test_votes_join_as_in_an_import(root, rows, times, data):
    """Votes in any order and in any groups give the table that an import of all of them gives."""
    (root / "annotations" / NAME / "votes.parquet").unlink(missing_ok=True)
    changes = [vote(*row, at) for row, at in zip(rows, times, strict=False)]
    table = VoteTable(NAME, root)
    rest = list(changes)
    while rest:
        n = data.draw(st.integers(1, len(rest)))
        table.apply(rest[:n])
        rest = rest[n:]
    table.close()

    records = [
        {
            "image_id": f"w{row}",
            "label": row % 3,
            "annotator": person,
            "correct": given.correct,
            "at": given.at,
        }
        for row, person, given, _ in changes
    ]
    columns = {name: [record[name] for record in records] for name in VOTES.names}
    expected, _ = merge_votes(VOTES.empty_table(), pa.table(columns, VOTES), "all")
    on_disk = pq.read_table(table.path)
    assert count_rows(expected) == count_rows(on_disk)
    counted = table.standing.counts.sum()
    assert len(on_disk) == counted


def count_rows(votes):
    return Counter(tuple(record.values()) for record in votes.to_pylist())


def test_names_become_numbers(table, root):
    """The table has numbers, and the key has the names; a name that is a number stays."""
    table.apply([vote(0, "ann", True), vote(0, "7", False), vote(1, "bob@lab.org", None)])

    key = (root / "annotators" / f"{NAME}.csv").read_text()
    numbers = dict(reversed(line.split(",")) for line in key.splitlines()[1:])
    assert {"7": "7"}.items() <= numbers.items()
    expected = {
        ("w0", numbers["ann"]): (True, None),
        ("w0", "7"): (False, None),
        ("w1", numbers["bob@lab.org"]): (None, None),
    }
    assert expected == read_votes(root)


def test_undo(table, root):
    """The vote is removed, or the former one is restored, several steps back."""
    first, second, third = now() - 3, now() - 2, now() - 1
    table.apply([vote(0, "1", True, first, 2.5)])
    (result,) = table.apply([vote(0, "1", False, second)])
    table.apply([vote(1, "1", None, third)])
    assert Given(True, first, 2.5) == result.former

    undo = [Change(1, "1", None, third), Change(0, "1", result.former, second)]
    assert [True, True] == [outcome.is_applied for outcome in table.apply(undo)]
    assert {("w0", "1"): (True, 2.5)} == read_votes(root)
    assert 1 == table.n_written
    table.apply([Change(0, "1", None, first)])
    assert {} == read_votes(root)
    assert VOTES.names == pq.read_schema(table.path).names


def test_undo_spares_a_later_vote(table, root):
    """A vote that another tab gave since then stays."""
    table.apply([vote(0, "1", True, 10**15)])
    table.apply([vote(0, "1", False, 10**15 + 1)])

    (result,) = table.apply([Change(0, "1", None, 10**15)])

    assert not result.is_applied
    assert {("w0", "1"): (False, None)} == read_votes(root)


def test_a_late_vote_does_not_replace_a_later_one(table, root):
    """A vote that waited in a browser counts only if no later one is there."""
    table.apply([vote(0, "1", True, 10**15 + 1)])
    (result,) = table.apply([vote(0, "1", False, 10**15)])

    assert not result.is_applied
    assert {("w0", "1"): (True, None)} == read_votes(root)


def test_a_vote_in_the_future_can_be_changed(table, root):
    """A clock that was ahead gave a vote a time that has not come yet."""
    table.apply([vote(0, "1", True, now() + 10**10)])
    (result,) = table.apply([vote(0, "1", False)])

    assert result.is_applied
    assert {("w0", "1"): (False, None)} == read_votes(root)


def test_a_repeated_vote_has_the_same_answer(table, root):
    """A vote that is sent again, since the answer was lost, can be undone as the first one."""
    table.apply([vote(0, "1", True, 10**15)])
    again = [vote(0, "1", False, 10**15 + 1)]
    results = [table.apply(again) for _ in range(3)]

    assert results[0] == results[1] == results[2]
    assert Given(True, 10**15) == results[0][0].former
    assert 2 == table.n_written


def test_seconds_are_a_column_only_if_a_vote_has_them(table):
    """Votes without seconds are stored as before."""
    table.apply([vote(0, "1", True)])
    assert VOTES == pq.read_schema(table.path).remove_metadata()
    table.apply([vote(1, "1", True, seconds=1.5)])
    assert [*VOTES.names, "seconds"] == pq.read_schema(table.path).names
    assert pa.float32() == pq.read_schema(table.path).field("seconds").type
    assert [None, 1.5] == pq.read_table(table.path)["seconds"].to_pylist()


def test_an_import_meanwhile_is_kept(table, root, tmp_path):
    """What an import and another server wrote between two votes stays."""
    table.apply([vote(0, "ann", True)])
    file = tmp_path / "more.csv"
    file.write_text("image_id,label,annotator,correct\nw1,1,bob,no\nw2,2,ann,yes\n")
    add_votes(file, NAME, root)
    other = VoteTable(NAME, root)
    other.apply([vote(3, "eve", None)])
    other.close()
    table.apply([vote(4, "ann", False)])

    numbers = table._key.numbers
    expected = {
        ("w0", numbers["ann"]): (True, None),
        ("w1", numbers["bob"]): (False, None),
        ("w2", numbers["ann"]): (True, None),
        ("w3", numbers["eve"]): (None, None),
        ("w4", numbers["ann"]): (False, None),
    }
    assert expected == read_votes(root)
    counts = table.standing.counts
    assert [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]] == counts[:5].tolist()


def test_what_others_wrote_is_seen_without_a_vote(table, root, tmp_path):
    """Votes of an import and of another server count as soon as the page asks what comes next."""
    table.refresh()
    before = table.standing
    file = tmp_path / "more.csv"
    file.write_text("image_id,label,annotator,correct\nw1,1,bob,no\n")
    add_votes(file, NAME, root)
    assert before is table.standing
    table.refresh()
    assert [0, 1, 0] == table.standing.counts[1].tolist()
    other = VoteTable(NAME, root)
    other.apply([vote(3, "eve", None)])
    other.close()
    table.refresh()

    assert [0, 0, 1] == table.standing.counts[3].tolist()
    assert table.number_of("Eve") == table._key.numbers["eve"] != table.number_of("bob")
    after = table.standing
    table.refresh()
    assert after is table.standing  # a file that has not changed is not read


def test_many_at_once(table, root, tmp_path):
    """Threads, a second server and imports that write at once lose nothing."""
    other = VoteTable(NAME, root)
    file = tmp_path / "more.csv"
    lines = [f"w{i},{i % 3},idle,yes\n" for i in range(N_CANDIDATES)]
    file.write_text("image_id,label,annotator,correct\n" + "".join(lines))

    def give(votes, person):
        for row in range(N_CANDIDATES):
            votes.apply([vote(row, person, row % 2 == 0)])

    tasks = [partial(give, table, f"a{i}") for i in range(4)]
    tasks += [partial(give, other, f"b{i}") for i in range(2)]
    run_at_once([*tasks, partial(add_votes, file, NAME, root)])
    other.close()

    votes = read_votes(root)
    assert 7 * N_CANDIDATES == len(votes)
    assert 7 == len({number for _, number in votes})


def test_a_failed_write_changes_nothing(table, root, monkeypatch):
    """If the table cannot be written, the votes are not counted, and the next ones are saved."""
    table.apply([vote(0, "1", True)])

    def fail(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(tables, "write_parquet", fail)
        with pytest.raises(OSError, match="the disk is full"):
            table.apply([vote(1, "1", True), vote(0, "1", False)])
    assert 1 == table.standing.counts.sum()
    table.apply([vote(2, "2", None)])

    assert {("w0", "1"): (True, None), ("w2", "2"): (None, None)} == read_votes(root)


def test_other_candidates(table, root):
    """If the candidates change, their rows are others: the page has to be started again."""
    write_parquet = tables.write_parquet
    web = read_dataset(NAME, root).web
    write_parquet(web.slice(1), root / "manifests" / NAME / "web.parquet")

    with pytest.raises(ValueError, match=r"web\.parquet: the candidates were changed .* start it"):
        table.apply([vote(0, "1", True)])


def test_no_candidates(tmp_path):
    """A dataset without candidates, or one of the package, is an error with a remedy."""
    with pytest.raises(ValueError, match="no candidate to vote on: add some with"):
        VoteTable(NAME, write_root(tmp_path, []))
    with pytest.raises(LookupError, match="comes with the package and is never changed"):
        VoteTable("shapes", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("n_answered", [1, 60])
def test_a_kill_loses_no_answered_vote(root, tmp_path, n_answered):
    """After SIGKILL amid a storm of votes and an import, each vote that was answered is there."""
    ids = [f"w{i}" for i in range(N_CANDIDATES)]
    store = write_store(tmp_path / "store", {name: noise_picture(i) for i, name in enumerate(ids)})
    command = ["votes", "annotate", "--dataset", NAME, "--root", root, "--store", store]
    server = subprocess.Popen(
        [sys.executable, "-m", "cnlw_tools", *map(str, command)], stdout=subprocess.PIPE, text=True
    )
    address = server.stdout.readline().split()[1]
    answered = []

    def give(person):
        for row in range(N_CANDIDATES):
            one = {"image_id": f"w{row}", "label": row % 3, "verdict": "no", "seconds": 1.0}
            body = json.dumps({"name": person, "votes": [one]}).encode()
            try:
                with urllib.request.urlopen(f"{address}votes", body, timeout=20) as response:  # noqa: S310
                    response.read()
            except (OSError, http.client.HTTPException):
                return  # the server was killed
            answered.append((f"w{row}", person))
            if len(answered) >= n_answered:
                os.kill(server.pid, signal.SIGKILL)

    file = tmp_path / "more.csv"
    votes = {"image_id": ids, "label": [i % 3 for i in range(N_CANDIDATES)]}
    votes |= {"annotator": ["99"] * N_CANDIDATES, "correct": ["yes"] * N_CANDIDATES}
    pacsv.write_csv(pa.table(votes), file)
    tasks = [partial(give, str(i)) for i in range(8)]
    try:
        run_at_once([*tasks, partial(add_votes, file, NAME, root)])
    finally:
        server.kill()
        server.wait()
        server.stdout.close()

    there = read_votes(root)
    assert n_answered <= len(answered) < 8 * N_CANDIDATES
    assert {*answered} <= there.keys()
    assert {(image_id, "99") for image_id in ids} <= there.keys()
    add_votes(file, NAME, root)  # the folder is not locked, and drafts are cleared away
    files = [path.name for path in (root / "annotations" / NAME).iterdir()]
    assert ["votes.parquet"] == files
