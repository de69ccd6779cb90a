"""Votes from files: each format, and how they join those that are there, row by row as a loop would."""

import itertools
import json
from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cnlw_tools.dataset import tables
from cnlw_tools.dataset.tables import VOTES
from cnlw_tools.ingest import import_votes

FIRST, SECOND = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def made(rows):
    return pa.Table.from_pylist([dict(zip(VOTES.names, row, strict=True)) for row in rows], VOTES)


def naive(*sides):
    """The votes of several tables as a bag; none if an annotator contradicts himself."""
    latest, nameless = {}, Counter()
    for side in sides:
        nameless |= Counter(row for row in side if row[2] is None)
    named = {row for side in sides for row in side if row[2] is not None}
    for row in named:
        mine = {r for r in named if r[:3] == row[:3]}
        last = max((r[4] for r in mine if r[4]), default=None)
        counts = {r for r in mine if r[4] == last}
        others = {r for r in mine if r[4] is None}
        if len({r[3] for r in counts | others}) > 1:
            return None
        latest[row[:3]] = counts.pop()
    return Counter(latest.values()) + nameless


ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(0, 1),
        st.sampled_from(["ann", "bob", None]),
        st.sampled_from([True, False, None]),
        st.sampled_from([None, FIRST, SECOND]),
    ),
    max_size=6,
)


@given(ROWS, ROWS)
def test_merge(there, new):
    """Named votes: the later one; nameless ones as often as the fuller side; a contradiction is an error."""
    expected, before = naive(there, new), naive(there)
    assume(before is not None)
    there = list(before.elements())

    if expected is None:
        with pytest.raises(ValueError, match="neither is later"):
            import_votes.merge_votes(made(there), made(new), "new.csv")
    else:
        kept, replaced = import_votes.merge_votes(made(there), made(new), "new.csv")
        rows = [tuple(row.values()) for row in kept.to_pylist()]
        assert expected == Counter(rows)
        assert replaced == len(there) - sum((Counter(rows) & Counter(there)).values())
        assert kept.equals(import_votes.merge_votes(kept, made(new), "new.csv")[0])


def test_merge_in_any_order():
    """Three files give the same votes in whichever order they come."""
    files = [
        [("a", 0, "ann", True, FIRST), ("a", 0, None, False, None), ("a", 0, None, False, None)],
        [("a", 0, "ann", False, SECOND), ("a", 0, None, False, None)],
        [("b", 1, "ann", None, None)],
    ]
    found = []
    for order in itertools.permutations(files):
        votes = made([])
        for file in order:
            votes, _ = import_votes.merge_votes(votes, made(file), "file")
        found.append(Counter(tuple(row.values()) for row in votes.to_pylist()))

    assert [naive(*files)] * 6 == found


def test_free_columns_stay():
    """A column of one's own stays, empty for the votes that have none."""
    mine = made([("a", 0, "ann", True, None)]).append_column("seconds", pa.array([4]))

    kept, _ = import_votes.merge_votes(mine, made([("a", 0, "bob", True, None)]), "file")

    assert [4, None] == kept["seconds"].to_pylist()


SAID = [
    ("w0.0", 0, "ann", False, FIRST),
    ("w0.0", 0, "bob", True, SECOND),
    ("w1.0", 1, "bob", None, FIRST),
]


def task(image, label, *answers, **also):
    annotations = [
        {
            "completed_by": who,
            "created_at": "2025-12-31T00:00:00.000000Z",
            "updated_at": at.isoformat(),
            "result": [
                {
                    "from_name": "shows",
                    "to_name": "image",
                    "type": "choices",
                    "value": {"choices": [answer]},
                }
            ],
        }
        for who, answer, at in answers
    ]
    return {
        "id": 1,
        "data": {"image_id": image, "label": label},
        "annotations": annotations,
        **also,
    }


def as_csv(path):
    pacsv.write_csv(made(SAID), path.with_suffix(".csv"))
    return path.with_suffix(".csv")


def as_parquet(path):
    pq.write_table(made(SAID), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def as_label_studio(path):
    skipped = {"was_cancelled": True, "result": [], "completed_by": 1}
    tasks = [task("w0.0", 0, ({"id": 7, "email": "ann"}, "no", FIRST), ("bob", "yes", SECOND))]
    tasks += [task("w1.0", 1, ("bob", "unsure", FIRST))]
    tasks[0]["annotations"].append(skipped)
    path.with_suffix(".json").write_text(json.dumps(tasks))
    return path.with_suffix(".json")


def as_json_min(path):
    words = {True: "yes", False: "no", None: "unsure"}
    rows = [
        {
            "id": 1,
            "image_id": image,
            "label": label,
            "shows": words[answer],
            "annotator": who,
            "updated_at": str(at),
        }
        for image, label, who, answer, at in SAID
    ]
    path.with_suffix(".json").write_text(json.dumps(rows))
    return path.with_suffix(".json")


@pytest.mark.parametrize("write", [as_csv, as_parquet, as_label_studio, as_json_min])
def test_formats(write, tmp_path):
    """The same votes come out of every format."""
    assert (
        made(SAID).to_pylist() == import_votes.read_vote_file(write(tmp_path / "votes")).to_pylist()
    )


def test_columns_that_may_be_left_out(tmp_path):
    """Who voted, and when, may be unsaid; what was said may not, nor may a column be misspelled."""
    path = tmp_path / "votes.csv"
    path.write_text("label,image_id,correct\n0,w0.0,true\n")

    assert (
        made([("w0.0", 0, None, True, None)]).to_pylist()
        == import_votes.read_vote_file(path).to_pylist()
    )
    for head, message in (
        ("label,image_id,at", "'correct' is missing"),
        ("label,image_id,correct,anotator", "'annotator'"),
    ):
        path.write_text(f"{head}\n")
        with pytest.raises(ValueError, match=f"column {message}"):
            import_votes.read_vote_file(path)


def test_release(tmp_path):
    """The verdicts of the release are votes of the annotator ``consensus``."""
    flat = {
        "image/id": "w0.0",
        "image/uri": "http://x",
        "image/class/label": 0,
        "image/class/label/is_clean": 0,
    }
    path = tmp_path / "mini-imagenet-annotations.json"
    path.write_text(json.dumps({"data": [[flat]]}))

    assert [("w0.0", 0, "consensus", False, None)] == [
        tuple(r.values()) for r in import_votes.read_vote_file(path).to_pylist()
    ]


@pytest.mark.parametrize("write", [as_csv, as_parquet, as_label_studio])
def test_add(write, tmp_path, toy):
    """Votes come on top of those of the dataset; a second time nothing comes; none of them is lost."""
    file = write(tmp_path / "more")
    before = pq.read_table(toy / "annotations/toy/votes.parquet")
    dropped = before.filter(
        pa.array([i > 0 for i in range(len(before))])
    )  # ann has not said anything of w0.0 yet
    tables.write_parquet(dropped, toy / "annotations/toy/votes.parquet")

    first, second = (
        import_votes.add_votes(file, "toy", toy),
        import_votes.add_votes(file, "toy", toy),
    )
    found = pq.read_table(first.path).to_pylist()

    assert (3, 0, 0, 0) == (first.n_added, first.n_replaced, second.n_added, second.n_replaced)
    assert dropped.to_pylist() + made(SAID).to_pylist() == found
    assert [] == [p.name for p in first.path.parent.iterdir() if p != first.path]


def test_a_later_vote_replaces(tmp_path, toy):
    """The vote of an annotator gives way to a later one, and that is counted."""
    for when, answer in ((FIRST, True), (SECOND, None)):
        tables.write_parquet(made([("w2.1", 2, "eve", answer, when)]), tmp_path / "eve.parquet")
        done = import_votes.add_votes(tmp_path / "eve.parquet", "toy", toy)

    assert (0, 1) == (done.n_added, done.n_replaced)
    assert (
        made([("w2.1", 2, "eve", None, SECOND)]).to_pylist()
        == pq.read_table(done.path).to_pylist()[-1:]
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("w9.9", 0, "ann", True, None), r"row 0: .*no such image_id and label"),
        (
            ("w0.0", 0, "ann", True, None),
            r"'ann' gives two verdicts on image 'w0.0', label 0 \(1 such votes\)",
        ),
        (("w0.0", 0, "ann", True, FIRST), "neither is later"),
    ],
)
def test_nothing_is_written_in_error(row, message, tmp_path, toy):
    """A vote on no candidate, or a contradiction without times, leaves the votes as they were."""
    tables.write_parquet(made([row]), tmp_path / "more.parquet")
    before = (toy / "annotations/toy/votes.parquet").read_bytes()

    with pytest.raises(ValueError, match=message):
        import_votes.add_votes(tmp_path / "more.parquet", "toy", toy)

    assert before == (toy / "annotations/toy/votes.parquet").read_bytes()


BROKEN = {
    "votes.txt": ("", "votes are read from .csv, .parquet and .json"),
    "min.json": (
        '[{"image_id": "a", "label": 0, "shows": {"choices": ["yes", "no"]}}]',
        "task 0: 2 answers",
    ),
    "tasks.json": ('[{"data": {"image_id": "a", "label": 0}}]', "export it as JSON or JSON-MIN"),
    "cut.json": ("[{", "not an export of Label Studio"),
    "other.json": ('{"votes": []}', "not the annotations of the release"),
    "two.json": (
        json.dumps([task("a", 0, ("x", "yes", FIRST))]).replace('["yes"]', '["yes", "no"]'),
        "task 0: 2 answ",
    ),
    "word.json": (json.dumps([task("a", 0, ("x", "yess", FIRST))]), "Did you mean 'yes'"),
    "number.json": (json.dumps([task(5, 0, ("x", "yes", FIRST))]), "not an export of Label Studio"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(name, tmp_path):
    """What is no file of votes is an error that says what to do."""
    text, message = BROKEN[name]
    (tmp_path / name).write_text(text)

    with pytest.raises((ValueError, LookupError), match=message):
        import_votes.read_vote_file(tmp_path / name)


def test_not_text(tmp_path):
    """Bytes that are no UTF-8 are an error that names the file."""
    (tmp_path / "x.json").write_bytes(b"[\xff]")

    with pytest.raises(ValueError, match=r"x.json: not UTF-8"):
        import_votes.read_vote_file(tmp_path / "x.json")


def test_no_candidates(tmp_path, toy):
    """Votes need something to be on."""
    (toy / "manifests/toy/web.parquet").unlink()
    (toy / "annotations/toy/votes.parquet").unlink()

    with pytest.raises(ValueError, match=r"web.parquet: no candidate to vote on"):
        import_votes.add_votes(as_csv(tmp_path / "x"), "toy", toy)
