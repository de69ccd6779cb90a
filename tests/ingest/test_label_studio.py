"""Tasks are written for candidates that are short of votes, and answers are read as votes."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.cli import main
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from cnlw_tools.ingest import label_studio

PAIRS = [(image, label) for image in "abc" for label in (0, 1)]
CLASSES = ("cup", "jug")
NO_VOTES = VOTES.empty_table()
WEB = pa.Table.from_pylist(
    [
        {"image_id": image, "label": label, "split": "web", "uri": f"http://x/{image}"}
        for image, label in PAIRS
    ],
    MANIFEST,
)


def cnlw(*arguments):
    """Run a command."""
    return CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)


def vote_table(rows):
    """Return votes on candidates, each a pair of the candidate and the verdict."""
    votes = []
    for (image, label), verdict in rows:
        votes.append({"image_id": image, "label": label, "correct": verdict})
    return pa.Table.from_pylist(votes, VOTES)


def make_tasks(web, votes, classes, min_votes, url, is_asked=None):
    """Return the tasks; people are asked about all candidates if nothing else is said."""
    asked = np.ones(len(web), bool) if is_asked is None else np.array(is_asked)
    return label_studio.make_tasks(web, votes, classes, min_votes, url, asked)


def candidates(tasks):
    """Return the image and the label that each task asks about."""
    return [(task["data"]["image_id"], task["data"]["label"]) for task in tasks]


@given(
    st.lists(st.tuples(st.sampled_from(PAIRS), st.sampled_from([True, False, None])), max_size=20),
    st.integers(1, 4),
)
def test_short_of_votes(votes, min_votes):
    """Each candidate with too few yes and no votes gets a task, in the order of the manifest."""
    n_votes = Counter(pair for pair, verdict in votes if verdict is not None)

    tasks = make_tasks(WEB, vote_table(votes), CLASSES, min_votes, None)

    assert [pair for pair in PAIRS if n_votes[pair] < min_votes] == candidates(tasks)


def test_a_task():
    """A task shows the image, asks for the class by name, and holds the id and the label."""
    tasks = make_tasks(WEB[1:2], NO_VOTES, CLASSES, 1, None)

    assert [{"data": {"image": "http://x/a", "class": "jug", "image_id": "a", "label": 1}}] == tasks


def test_url():
    """Images may be served elsewhere, by id; ids are quoted in the URL."""
    web = WEB[:1].set_column(0, MANIFEST.field("image_id"), pa.array(["a b/ü"]))
    tasks = make_tasks(web, NO_VOTES, CLASSES, 1, "http://y/{image_id}.jpg")

    assert "http://y/a%20b/%C3%BC.jpg" == tasks[0]["data"]["image"]
    with pytest.raises(ValueError, match=r"put \{image_id\} into it"):
        make_tasks(web, NO_VOTES, CLASSES, 1, "http://y/")


def test_candidates_without_uri():
    """A candidate without a uri is an error, unless nobody is asked about it."""
    web = WEB.set_column(3, MANIFEST.field("uri"), pa.array([*["http://x"] * 5, None]))
    tasks = make_tasks(web, NO_VOTES, CLASSES, 1, None, [True] * 5 + [False])

    assert PAIRS[:5] == candidates(tasks)
    with pytest.raises(ValueError, match=r"column 'uri', row 5: 'c'"):
        make_tasks(web, NO_VOTES, CLASSES, 1, None)


def test_answers_are_counted():
    """A candidate has a number of yes, of no and of unsure, in the order of the manifest."""
    votes = [(PAIRS[2], True), (PAIRS[2], False), (PAIRS[2], None), (PAIRS[5], False)]

    counts = label_studio.count_answers(WEB, vote_table(votes))

    none = [0, 0, 0]
    assert [none, none, [1, 1, 1], none, none, [0, 1, 0]] == counts.tolist()


def test_nothing_to_do():
    """Without candidates there are no tasks."""
    assert [] == make_tasks(WEB[:0], NO_VOTES, (), 3, None)


def test_the_interface():
    """It offers the answers that are understood, and uses the names that tasks have."""
    assert [*label_studio.ANSWERS] == re.findall(r'<Choice value="(\w+)"', label_studio.INTERFACE)
    assert 'Choices name="shows"' in label_studio.INTERFACE
    assert ["class", "image"] == sorted(re.findall(r"\$(\w+)", label_studio.INTERFACE))


@pytest.mark.parametrize(
    ("completed_by", "annotator"),
    [
        (None, None),
        (7, "7"),
        ({"id": 7}, "7"),
        ("7", "7"),
        (7.0, "7"),
        ({"id": 7, "email": "ann@x"}, "7"),
        ({"id": 7, "email": ""}, "7"),
        ({"id": None, "email": "Ann@x"}, "ann@x"),
    ],
)
def test_annotators(completed_by, annotator):
    """An annotator is called by number, else by address; there may be none."""
    result = [
        {"from_name": "shows", "value": {"choices": ["no"]}},
        {"from_name": "note", "value": {"text": ["x"]}},
    ]
    task = {
        "data": {"image_id": "a", "label": 0},
        "annotations": [{"completed_by": completed_by, "result": result}],
    }
    expected = {
        "image_id": "a",
        "label": 0,
        "annotator": annotator,
        "correct": False,
        "at": None,
    }

    export = label_studio.read_export([task], "x.json")

    assert [expected] == export.votes.to_pylist()


CANDIDATE = {"image_id": "a", "label": 0}
BLANK_RESULTS = ([], None, [{"from_name": "shows", "value": {"choices": []}}])
BLANK_RESULTS += ([{"from_name": "note", "value": {"text": ["too dark"]}}],)
BLANK_RESULTS += ([{"from_name": "shows", "value": {}}],)
ANSWERED = [{"from_name": "shows", "value": {"choices": ["yes"]}}]


@pytest.mark.parametrize("result", BLANK_RESULTS)
def test_blank_answers_are_no_votes(result):
    """An answer that was submitted without a choice is neither a vote nor an error."""
    annotations = [{"completed_by": 1, "result": result}]
    task = {"data": CANDIDATE, "annotations": annotations}

    votes, people, n_unanswered = label_studio.read_export([task], "x.json")

    assert (0, [], 1) == (len(votes), people, n_unanswered)


@pytest.mark.parametrize(
    "task",
    [
        {"data": CANDIDATE, "annotations": []},
        {"data": CANDIDATE, "annotations": None, "drafts": [{"result": ANSWERED}]},
        {"data": CANDIDATE, "annotations": [{"was_cancelled": True, "result": ANSWERED}]},
        CANDIDATE | {"annotator": None},
        CANDIDATE | {"annotator": 1, "annotation_id": 4, "lead_time": 2.5},
        CANDIDATE | {"annotator": 1, "shows": ""},
        CANDIDATE | {"annotator": 1, "shows": None},
        CANDIDATE | {"annotator": 1, "shows": {"choices": []}},
        CANDIDATE | {"annotator": 1, "shows": "yes", "was_cancelled": True},
        CANDIDATE | {"class": "yes", "image": "no"},
    ],
)
def test_tasks_that_nobody_answered(task):
    """Tasks without answer, skipped tasks and drafts are no votes, in JSON and JSON-MIN."""
    answered = CANDIDATE | {"image_id": "b", "shows": "yes", "annotator": 1}

    export = label_studio.read_export([task, answered], "x.json")

    assert ["b"] == export.votes["image_id"].to_pylist()
    assert 1 == export.n_unanswered


@pytest.mark.parametrize(
    "task",
    [
        {
            "data": CANDIDATE,
            "annotations": [{"result": [{"from_name": "show", "value": {"choices": ["yes"]}}]}],
        },
        CANDIDATE | {"show": "yes"},
    ],
)
def test_a_question_of_another_name(task):
    """Answers to a question that is not ours are not dropped without a word."""
    with pytest.raises(
        ValueError,
        match=r"x.json: task 0: the question must be called 'shows', but it is called 'show'",
    ):
        label_studio.read_export([task], "x.json")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", 1.9, "column 'label', task 1: 1.9"),
        ("label", 10**30, "column 'label', task 1: 1000"),
        ("image_id", None, "column 'image_id', task 1: None"),
        ("updated_at", "yesterday", "column 'at', task 1: 'yesterday'"),
        ("updated_at", 12, "column 'at', task 1: 12"),
        ("annotator", [1], r"column 'annotator', task 1: \[1\]"),
    ],
)
def test_wrong_values(column, value, message):
    """The error names the file, the task and the value."""
    right = CANDIDATE | {"shows": "yes", "annotator": 1}

    with pytest.raises(ValueError, match=f"x.json: {message}"):
        label_studio.read_export([right, right | {column: value}], "x.json")


def test_other_tasks():
    """Tasks that are not ours are an error even if nobody has answered them."""
    for task in ({"data": {"image": "x"}, "annotations": []}, {"image": "x", "annotator": None}):
        with pytest.raises(ValueError, match="not an export of Label Studio with tasks of cnlw"):
            label_studio.read_export([task], "x.json")


def is_wrong(image_id: str) -> bool:
    """Return whether an image is one of the odd ones of its class, which get the answer no."""
    _, number = image_id.split(".")
    return int(number) % 2 == 1


def answer_tasks(path: Path, annotator: int) -> None:
    """Answer every task of a file as an annotator: unsure to the first, no to wrong images."""
    tasks = json.loads(path.read_text())
    for task in tasks:
        answer = "no" if is_wrong(task["data"]["image_id"]) else "yes"
        if task is tasks[0]:
            answer = "unsure"
        result = {
            "from_name": "shows",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": [answer]},
        }
        annotation = {
            "completed_by": annotator,
            "created_at": "2026-01-01T00:00:00Z",
            "result": [result],
        }
        task["annotations"] = [annotation]
    path.write_text(json.dumps(tasks))


def test_round_trip(toy, tmp_path):
    """Tasks are exported, answered and imported until enough votes are there."""
    web = pq.read_table(toy / "manifests/toy/web.parquet")
    image_ids = web["image_id"].to_pylist()
    uris = pa.array([f"http://x/{image_id}" for image_id in image_ids])
    web_with_uris = web.set_column(3, MANIFEST.field("uri"), uris)
    tables.write_parquet(web_with_uris, toy / "manifests/toy/web.parquet")
    (toy / "annotations/toy/votes.parquet").unlink()
    file = tmp_path / "tasks.json"
    dataset_options = ("--dataset", "toy", "--root", toy)
    n_tasks = []
    for annotator in range(3):
        exported = cnlw("votes", "export", *dataset_options, "--votes", 2, "--out", file)
        line = re.search(r"(\d+) of 168 candidates with fewer than 2 votes", exported.output)
        n_tasks.append(int(line[1]))
        answer_tasks(file, annotator)
        imported = cnlw("votes", "import", file, *dataset_options)
    imported_twice = cnlw("votes", "import", file, file, *dataset_options)

    votes = tables.read_votes(toy / "annotations/toy/votes.parquet", web)
    no_votes = votes.filter(pc.equal(votes["correct"], False))
    assert [168, 168, 1] == n_tasks
    assert "1 vote added; 337 in all" in imported.output
    assert 2 == imported_twice.output.count("0 votes added; 337 in all")
    assert label_studio.INTERFACE == file.with_suffix(".xml").read_text()
    assert set(filter(is_wrong, image_ids)) == set(no_votes["image_id"].to_pylist())


def test_nothing_is_written_if_no_candidate_is_short_of_votes(toy, tmp_path):
    """Each has a vote, and one is asked for; a line says so."""
    arguments = ("--dataset", "toy", "--root", toy, "--out", tmp_path / "none.json")
    exported = cnlw("votes", "export", *arguments, "--votes", 1)

    assert exported.exit_code == 0
    assert (
        exported.output == "toy: none of 168 candidates has fewer than 1 vote: nothing to write\n"
    )
    assert [*tmp_path.glob("none.*")] == []


def test_wrong_arguments(toy, tmp_path):
    """The errors for missing, superfluous and misspelled arguments say what to give."""
    for arguments, message in (
        (
            ["votes", "export", "--dataset", "toy", "--root", toy, "--out", "x.txt"],
            "name it x.json",
        ),
        (["votes", "export", "--dataset", "tow", "--root", toy], "Did you mean 'toy'"),
    ):
        result = cnlw(*arguments)
        assert result.exit_code == 1
        assert message in result.output
    for arguments in (["votes", "import", "x.csv", "--root", toy], ["import", "folder", "a", "b"]):
        assert cnlw(*arguments).exit_code == 2  # no --dataset; two folders
