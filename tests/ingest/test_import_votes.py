"""Votes from files: each format, and how they join the votes of a dataset, compared with a loop."""

import itertools
import json
import os
import subprocess
import sys
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
from cnlw_tools.files import default_root
from cnlw_tools.ingest import import_votes
from cnlw_tools.sources.formats import release

FIRST_TIME = datetime(2026, 1, 1, tzinfo=UTC)
SECOND_TIME = datetime(2026, 1, 2, tzinfo=UTC)
NEW_VOTES = [
    ("w0.0", 0, "ann", False, FIRST_TIME),
    ("w0.0", 0, "bob", True, SECOND_TIME),
    ("w1.0", 1, "bob", None, FIRST_TIME),
]
ANSWER_OF_VERDICT = {True: "yes", False: "no", None: "unsure"}
VOTE_ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(0, 1),
        st.sampled_from(["ann", "bob", None]),
        st.sampled_from([True, False, None]),
        st.sampled_from([None, FIRST_TIME, SECOND_TIME]),
    ),
    max_size=6,
)


def vote_table(rows):
    """Return a table of votes."""
    records = [dict(zip(VOTES.names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(records, VOTES)


def vote_rows(table):
    """Return the votes of a table as tuples."""
    return [tuple(record.values()) for record in table.to_pylist()]


def merge_naively(*files):
    """Return how often each vote of some files counts; none if an annotator contradicts himself."""
    nameless_votes = Counter()
    named_votes = set()
    for rows in files:
        nameless_votes |= Counter(row for row in rows if row[2] is None)
        named_votes |= {row for row in rows if row[2] is not None}
    latest_votes = {}
    for vote in named_votes:
        key = vote[:3]
        votes = [row for row in named_votes if row[:3] == key]
        last_time = max((row[4] for row in votes if row[4]), default=None)
        latest = [row for row in votes if row[4] == last_time]
        without_time = [row for row in votes if row[4] is None]
        if len({row[3] for row in [*latest, *without_time]}) > 1:
            return None
        latest_votes[key] = latest[0]
    return Counter(latest_votes.values()) + nameless_votes


@given(VOTE_ROWS, VOTE_ROWS)
def test_merge(old_rows, new_rows):
    """An annotator's later vote counts; equal nameless votes count as in the fuller table."""
    expected = merge_naively(old_rows, new_rows)
    consistent_votes = merge_naively(old_rows)
    assume(consistent_votes is not None)
    old_rows = list(consistent_votes.elements())
    old = vote_table(old_rows)
    new = vote_table(new_rows)

    if expected is None:
        with pytest.raises(ValueError, match="neither is later"):
            import_votes.merge_votes(old, new, "new.csv")
    else:
        merged, n_replaced = import_votes.merge_votes(old, new, "new.csv")
        merged_again, _ = import_votes.merge_votes(merged, new, "new.csv")
        rows = Counter(vote_rows(merged))
        n_kept = (rows & Counter(old_rows)).total()
        assert expected == rows
        assert n_replaced == len(old_rows) - n_kept
        assert merged.equals(merged_again)


def test_merge_in_any_order():
    """Three files give the same votes in whichever order they come."""
    nameless_vote = ("a", 0, None, False, None)
    files = [
        [("a", 0, "ann", True, FIRST_TIME), nameless_vote, nameless_vote],
        [("a", 0, "ann", False, SECOND_TIME), nameless_vote],
        [("b", 1, "ann", None, None)],
    ]
    expected = merge_naively(*files)

    for order in itertools.permutations(files):
        votes = vote_table([])
        for rows in order:
            votes, _ = import_votes.merge_votes(votes, vote_table(rows), "file")
        assert expected == Counter(vote_rows(votes))


def test_free_columns_stay():
    """A free column of the old votes stays; it is null for new votes."""
    old = vote_table([("a", 0, "ann", True, None)]).append_column("seconds", pa.array([4]))
    new = vote_table([("a", 0, "bob", True, None)])

    merged, _ = import_votes.merge_votes(old, new, "file")

    assert [4, None] == merged["seconds"].to_pylist()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_seconds_are_imported(toy, tmp_path, suffix):
    """The seconds of a file are kept, beside votes without any; a file without has no column."""
    path = toy / "annotations/toy/votes.parquet"
    votes = vote_table([("w0.0", 0, "bob", True, FIRST_TIME)])
    file = (tmp_path / "timed").with_suffix(suffix)
    timed = votes.append_column("seconds", pa.array([1.25]))
    if suffix == ".csv":
        pacsv.write_csv(timed, file)
    else:
        pq.write_table(timed, file)

    imported = import_votes.add_votes(file, "toy", toy)

    assert () == imported.other_columns
    seconds = pq.read_table(path)["seconds"]
    assert pa.float32() == seconds.type
    assert [1.25] == seconds.drop_null().to_pylist()


def test_seconds_of_another_type_are_an_error():
    """A column of the dataset's votes that is called seconds must hold numbers."""
    votes = vote_table([("a", 0, "ann", True, None)])
    old = votes.append_column("seconds", pa.array(["long"]))

    with pytest.raises(ValueError, match="column 'seconds'"):
        import_votes.merge_votes(old, votes, "file")


def annotation(completed_by, answer, time):
    """Return an annotation as Label Studio exports it."""
    result = {
        "from_name": "shows",
        "to_name": "image",
        "type": "choices",
        "value": {"choices": [answer]},
    }
    return {
        "completed_by": completed_by,
        "created_at": "2025-12-31T00:00:00.000000Z",
        "updated_at": time.isoformat(),
        "result": [result],
    }


def annotated_task(image, label, *annotations):
    """Return a task as Label Studio exports it."""
    data = {"image_id": image, "label": label}
    return {"id": 1, "data": data, "annotations": list(annotations)}


def write_csv(path):
    """Write the new votes as a csv file."""
    file = path.with_suffix(".csv")
    pacsv.write_csv(vote_table(NEW_VOTES), file)
    return file


def write_parquet(path):
    """Write the new votes as a Parquet file."""
    file = path.with_suffix(".parquet")
    pq.write_table(vote_table(NEW_VOTES), file)
    return file


def write_label_studio(path):
    """Write the new votes as an export of Label Studio, with a skipped task."""
    ann = {"id": 7, "email": "ann"}
    first_task = annotated_task(
        "w0.0",
        0,
        annotation(ann, "no", FIRST_TIME),
        annotation("bob", "yes", SECOND_TIME),
        {"was_cancelled": True, "result": [], "completed_by": 1},
    )
    second_task = annotated_task("w1.0", 1, annotation("bob", "unsure", FIRST_TIME))
    file = path.with_suffix(".json")
    file.write_text(json.dumps([first_task, second_task]))
    return file


def write_json_min(path):
    """Write the new votes as JSON-MIN of Label Studio."""
    rows = []
    for image, label, annotator, verdict, time in NEW_VOTES:
        rows.append(
            {
                "id": 1,
                "image_id": image,
                "label": label,
                "shows": ANSWER_OF_VERDICT[verdict],
                "annotator": annotator,
                "updated_at": str(time),
            }
        )
    file = path.with_suffix(".json")
    file.write_text(json.dumps(rows))
    return file


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_label_studio, write_json_min])
def test_formats(write, tmp_path):
    """The same votes are read from every format; Label Studio may have numbers for names."""
    votes = import_votes.read_vote_file(write(tmp_path / "votes")).votes
    name = {"7": "ann"}
    rows = [
        (image, label, name.get(annotator, annotator), *rest)
        for image, label, annotator, *rest in vote_rows(votes)
    ]

    assert NEW_VOTES == rows


def test_optional_columns(tmp_path):
    """The columns of annotators and times may be left out."""
    path = tmp_path / "votes.csv"
    path.write_text("label,image_id,correct\n0,w0.0,true\n")

    assert [("w0.0", 0, None, True, None)] == vote_rows(import_votes.read_vote_file(path).votes)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("label,image_id,at", "'correct' is missing"),
        ("label,image_id,correct,anotator", "'annotator'"),
    ],
)
def test_missing_and_misspelled_columns(tmp_path, header, message):
    """A table without verdicts, or with a misspelled column, is an error."""
    path = tmp_path / "votes.csv"
    path.write_text(f"{header}\n")

    with pytest.raises(ValueError, match=f"column {message}"):
        import_votes.read_vote_file(path)


def test_release(tmp_path):
    """The verdicts of the release are votes of the annotator ``consensus``."""
    verdict = {
        "image/id": "w0.0",
        "image/uri": "http://x",
        "image/class/label": 0,
        "image/class/label/is_clean": 0,
    }
    path = tmp_path / "mini-imagenet-annotations.json"
    path.write_text(json.dumps({"data": [[verdict]]}))

    assert [("w0.0", 0, "consensus", False, None)] == vote_rows(
        import_votes.read_vote_file(path).votes
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("image/class/label/is_clean", "maybe", "column 'correct', annotation 1: 'maybe'"),
        ("image/class/label", 1.9, "column 'label', annotation 1: 1.9"),
        ("image/class/label", 1e400, "column 'label', annotation 1: inf"),
        ("image/id", None, "column 'image_id', annotation 1: None"),
        ("image/uri", 5, "column 'uri', annotation 1: 5"),
    ],
)
def test_wrong_values_of_the_release(tmp_path, key, value, message):
    """The error names the file, the annotation and the value."""
    verdict = {
        "image/id": "w0.0",
        "image/uri": None,
        "image/class/label": 0,
        "image/class/label/is_clean": "false",
    }
    path = tmp_path / "mini-imagenet-annotations.json"
    path.write_text(json.dumps({"data": [[verdict], verdict | {key: value}]}))

    with pytest.raises(ValueError, match=f"annotations.json: {message}"):
        import_votes.read_vote_file(path)


@pytest.mark.parametrize(
    ("is_clean", "verdict"),
    [("false", False), ("False", False), ("0", False), (0.0, False), ("true", True), (None, None)],
)
def test_verdicts_of_the_release(tmp_path, is_clean, verdict):
    """The word false is false, and null is unsure."""
    annotation = {
        "image/id": "w0.0.jpg",
        "image/uri": None,
        "image/class/label": "0",
        "image/class/label/is_clean": is_clean,
    }
    path = tmp_path / "mini-imagenet-annotations.json"
    path.write_text(json.dumps({"data": [annotation]}))
    web, votes = release.read_annotations(path)

    assert [("w0.0", 0, "consensus", verdict, None)] == vote_rows(votes)
    assert [None] == web["uri"].to_pylist()


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_label_studio])
def test_add_votes(write, tmp_path, toy):
    """New votes follow those of the dataset; a second import of them adds nothing."""
    file = write(tmp_path / "more")
    old = pq.read_table(toy / "annotations/toy/votes.parquet")[1:]  # without ann's vote on w0.0
    number = {"ann": "1", "bob": "2"}
    expected = [
        (image, label, number[name], *rest)
        for image, label, name, *rest in vote_rows(old) + NEW_VOTES
    ]
    tables.write_parquet(old, toy / "annotations/toy/votes.parquet")

    first = import_votes.add_votes(file, "toy", toy)
    second = import_votes.add_votes(file, "toy", toy)
    rows = vote_rows(pq.read_table(first.path))

    assert (3, 0) == (first.n_added, first.n_replaced)
    assert (0, 0) == (second.n_added, second.n_replaced)
    assert expected == rows
    assert [first.path] == list(first.path.parent.iterdir())


def test_a_later_vote_replaces(tmp_path, toy):
    """A later vote of an annotator replaces an earlier one, and is counted."""
    file = tmp_path / "eve.parquet"
    tables.write_parquet(vote_table([("w2.1", 2, "eve", True, FIRST_TIME)]), file)
    import_votes.add_votes(file, "toy", toy)
    tables.write_parquet(vote_table([("w2.1", 2, "eve", None, SECOND_TIME)]), file)
    imported = import_votes.add_votes(file, "toy", toy)

    assert (0, 1) == (imported.n_added, imported.n_replaced)
    later_vote = ("w2.1", 2, "2", None, SECOND_TIME)
    assert later_vote == vote_rows(pq.read_table(imported.path))[-1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("w9.9", 0, "ann", True, None), r"row 0: .*no such image_id and label"),
        (
            ("w0.0", 0, "ann", True, None),
            r"'ann' gives two verdicts on image 'w0.0', label 0 \(1 such votes\)",
        ),
        (("w0.0", 0, "ann", True, FIRST_TIME), "neither is later"),
    ],
)
def test_nothing_is_written_in_error(row, message, tmp_path, toy):
    """A vote on no candidate, or a contradiction without times, leaves the votes as they were."""
    path = toy / "annotations/toy/votes.parquet"
    content = path.read_bytes()
    tables.write_parquet(vote_table([row]), tmp_path / "more.parquet")

    with pytest.raises(ValueError, match=message):
        import_votes.add_votes(tmp_path / "more.parquet", "toy", toy)

    assert content == path.read_bytes()


def one_annotated_task(image, answer):
    """Return an export of one task with one answer."""
    return json.dumps([annotated_task(image, 0, annotation("x", answer, FIRST_TIME))])


BROKEN_FILES = {
    "votes.txt": ("", "votes are read from .csv, .parquet and .json"),
    "min.json": (
        '[{"image_id": "a", "label": 0, "shows": {"choices": ["yes", "no"]}}]',
        "task 0: there are 2 answers",
    ),
    "tasks.json": ('[{"data": {"image_id": "a", "label": 0}}]', "export it as JSON or JSON-MIN"),
    "cut.json": ("[{", "cut.json cannot be read as JSON"),
    "deep.json": ("[" * 100_000, "deep.json cannot be read as JSON"),
    "text.json": ('"yes"', "not the annotations of the release"),
    "other.json": ('{"votes": []}', "not the annotations of the release"),
    "two.json": (
        one_annotated_task("a", "yes").replace('["yes"]', '["yes", "no"]'),
        "task 0: there are 2 answ",
    ),
    "word.json": (one_annotated_task("a", "yess"), "Did you mean 'yes'"),
    "number.json": (one_annotated_task(5, "yes"), "column 'image_id', task 0: 5 .* id is a text"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_broken_files(name, tmp_path):
    """The error for a file that holds no votes says what to do."""
    text, message = BROKEN_FILES[name]
    (tmp_path / name).write_text(text)

    with pytest.raises((ValueError, LookupError), match=message):
        import_votes.read_vote_file(tmp_path / name)


def test_not_text(tmp_path):
    """The error for bytes that are not UTF-8 names the file."""
    (tmp_path / "x.json").write_bytes(b"[\xff]")

    with pytest.raises(ValueError, match=r"x.json cannot be read as JSON"):
        import_votes.read_vote_file(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["false", "False", "no", "n", "0", ""], [False, False, False, False, False, None]),
        (["true", "False", "", "", "", ""], [True, False, None, None, None, None]),
        (["0", "1", "", "1", "0", "1"], [False, True, None, True, False, True]),
        (["1.0", "0.0", "unsure", "yes", "NaN", "Y"], [True, False, None, True, None, True]),
    ],
)
def test_verdicts_of_csv(tmp_path, verdicts, expected):
    """The words of a column are read one by one, whatever the others are."""
    path = tmp_path / "votes.csv"
    lines = [f"w0.{number},0,{verdict}" for number, verdict in enumerate(verdicts)]
    path.write_text("\n".join(["image_id,label,correct", *lines]) + "\n")

    votes = import_votes.read_vote_file(path).votes

    assert expected == votes["correct"].to_pylist()


PARQUET_COLUMNS = {
    "label": [
        pa.array([0, 3], pa.uint64()),
        pa.array([0.0, 3.0]),
        pa.array(["0", "3"]).dictionary_encode(),
    ],
    "correct": [
        pa.array([False, True]),
        pa.array([0, 1], pa.int8()),
        pa.array(["no", "yes"], pa.large_string()),
    ],
    "annotator": [pa.array([7, 8]), pa.array(["7", "8"]), pa.array([7.0, 8.0])],
    "at": [
        pa.array([FIRST_TIME, SECOND_TIME], pa.timestamp("ns", "Europe/Berlin")),
        pa.array([FIRST_TIME, SECOND_TIME], pa.timestamp("s")),
        pa.array([FIRST_TIME.date(), SECOND_TIME.date()]),
        pa.array([FIRST_TIME.timestamp(), SECOND_TIME.timestamp()]),
        pa.array([int(FIRST_TIME.timestamp()) * 1000, int(SECOND_TIME.timestamp()) * 1000]),
        pa.array([FIRST_TIME.isoformat(), SECOND_TIME.isoformat()]),
    ],
}


@pytest.mark.parametrize("column", PARQUET_COLUMNS)
def test_types_of_parquet(tmp_path, column):
    """A column may have any type that holds its values."""
    expected = [("a", 0, "7", False, FIRST_TIME), ("b", 3, "8", True, SECOND_TIME)]
    votes = vote_table(expected)
    for values in PARQUET_COLUMNS[column]:
        changed = votes.set_column(VOTES.names.index(column), column, values)
        pq.write_table(changed, tmp_path / "votes.parquet")

        read = import_votes.read_vote_file(tmp_path / "votes.parquet").votes

        assert expected == vote_rows(read), values.type


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("label", pa.array([0, 1.9])),
        ("correct", pa.array([1, 2])),
        ("at", pa.array([0, 10**17], pa.timestamp("ms"))),
        ("at", pa.array([SECOND_TIME, datetime(1970, 1, 1, tzinfo=UTC)])),
        ("image_id", pa.array([5, 6])),
        ("annotator", pa.array([[1], [2]])),
    ],
)
def test_wrong_values_of_parquet(tmp_path, column, values):
    """The error names the file, the column and the row."""
    table = vote_table([("a", 0, None, None, None)] * 2)
    table = table.set_column(VOTES.names.index(column), column, values)
    pq.write_table(table, tmp_path / "votes.parquet")

    with pytest.raises(ValueError, match=rf"votes.parquet: column '{column}', row \d: "):
        import_votes.read_vote_file(tmp_path / "votes.parquet")


def test_a_corrected_vote_with_times_in_seconds(toy, tmp_path):
    """Unix seconds are the time that they say, so the corrected vote is the later one."""
    path = tmp_path / "votes.csv"
    header = "image_id,label,annotator,correct,at\n"
    path.write_text(f"{header}w2.1,2,eve,true,1798761600\n")
    import_votes.add_votes(path, "toy", toy)
    path.write_text(f"{header}w2.1,2,eve,false,1798761601\n")
    imported = import_votes.add_votes(path, "toy", toy)

    expected = ("w2.1", 2, "2", False, datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert (0, 1) == (imported.n_added, imported.n_replaced)
    assert expected == vote_rows(pq.read_table(imported.path))[-1]


def test_free_columns_of_other_types(toy, tmp_path):
    """Columns that votes do not have are left out, and named; their types do not matter."""
    for number, lead_time in enumerate(["12", "12.5", "12 s", "true"]):
        path = tmp_path / f"votes{number}.csv"
        path.write_text(
            f"image_id,label,annotator,correct,lead_time\nw0.{number},0,5,no,{lead_time}"
        )
        imported = import_votes.add_votes(path, "toy", toy)
        assert ("lead_time",) == imported.other_columns

    assert VOTES.names == pq.read_table(imported.path).column_names
    assert 168 + 4 == imported.n_votes


IMPORT = """
import sys
from pathlib import Path
from cnlw_tools.ingest.import_votes import add_votes
print("ready", flush=True)
sys.stdin.readline()
for file in sys.argv[2:]:
    add_votes(Path(file), "toy", Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_two_imports_at_once(toy, tmp_path):
    """All votes of both arrive, and every person has one number."""
    commands = []
    for annotator in "xy":
        files = []
        for number in range(8):
            file = tmp_path / f"{annotator}{number}.csv"
            row = f"w0.{number},0,{annotator}@x.org,no"
            file.write_text(f"image_id,label,annotator,correct\n{row}\n")
            files.append(str(file))
        commands.append([sys.executable, "-c", IMPORT, str(toy), *files])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    env = {**os.environ, "PYTHONPATH": str(default_root())}
    processes = [subprocess.Popen(command, env=env, **pipes) for command in commands]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()

    assert [0, 0] == [process.wait() for process in processes]
    for process in processes:
        process.communicate()
    votes = pq.read_table(toy / "annotations/toy/votes.parquet")
    counts = Counter(votes["annotator"].to_pylist())
    assert {"1": 168, "2": 8, "3": 8} == counts


def test_no_candidates(tmp_path, toy):
    """A dataset without candidates takes no votes."""
    (toy / "manifests/toy/web.parquet").unlink()
    (toy / "annotations/toy/votes.parquet").unlink()

    with pytest.raises(ValueError, match=r"web.parquet: there is no candidate to vote on"):
        import_votes.add_votes(write_csv(tmp_path / "x"), "toy", toy)
