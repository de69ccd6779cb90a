"""Tasks go out for what is short of votes, and answers come back as votes."""

import json
import re
from collections import Counter
from pathlib import Path

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
WEB = pa.Table.from_pylist(
    [{"image_id": i, "label": c, "split": "web", "uri": f"http://x/{i}"} for i, c in PAIRS],
    MANIFEST,
)


def cnlw(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def ballots(rows):
    return pa.Table.from_pylist(
        [dict(zip(("image_id", "label", "correct"), row, strict=True)) for row in rows], VOTES
    )


def keys(tasks):
    return [(task["data"]["image_id"], task["data"]["label"]) for task in tasks]


@given(
    st.lists(st.tuples(st.sampled_from(PAIRS), st.sampled_from([True, False, None])), max_size=20),
    st.integers(1, 4),
)
def test_short_of_votes(said, wanted):
    """A task for each candidate with too few yes and no, the unsure not counted, in the order of the manifest."""
    count = Counter(pair for pair, answer in said if answer is not None)

    made = label_studio.make_tasks(
        WEB, ballots([(*pair, answer) for pair, answer in said]), ("cup", "jug"), wanted, None
    )

    assert [pair for pair in PAIRS if count[pair] < wanted] == keys(made)


def test_a_task():
    """A task shows the image, asks for the class by name, and remembers what it is about."""
    made = label_studio.make_tasks(WEB[1:2], VOTES.empty_table(), ("cup", "jug"), 1, None)

    assert [{"data": {"image": "http://x/a", "class": "jug", "image_id": "a", "label": 1}}] == made


def test_url():
    """Images may be served elsewhere, by id; any id makes a whole URL."""
    web = WEB[:1].set_column(0, MANIFEST.field("image_id"), pa.array(["a b/ü"]))
    made = label_studio.make_tasks(
        web, VOTES.empty_table(), ("cup", "jug"), 1, "http://y/{image_id}.jpg"
    )

    assert "http://y/a%20b/%C3%BC.jpg" == made[0]["data"]["image"]
    with pytest.raises(ValueError, match=r"put \{image_id\} into it"):
        label_studio.make_tasks(web, VOTES.empty_table(), ("cup", "jug"), 1, "http://y/")


def test_nowhere_and_dead():
    """A candidate without a uri is an error; one whose image is dead is no task."""
    bare = WEB.set_column(3, MANIFEST.field("uri"), pa.array([*["http://x"] * 5, None]))
    dead = bare.append_column("dead", pa.array([False] * 5 + [True]))

    assert PAIRS[:5] == keys(
        label_studio.make_tasks(dead, VOTES.empty_table(), ("cup", "jug"), 1, None)
    )
    with pytest.raises(ValueError, match=r"column 'uri', row 5: 'c'"):
        label_studio.make_tasks(bare, VOTES.empty_table(), ("cup", "jug"), 1, None)


def test_nothing_to_do():
    """No candidates, no tasks."""
    assert [] == label_studio.make_tasks(WEB[:0], VOTES.empty_table(), (), 3, None)


def test_answers_are_those_of_the_interface():
    """What the interface offers is what is understood, under the name that is looked for."""
    assert [*label_studio.ANSWERS] == re.findall(r'<Choice value="(\w+)"', label_studio.INTERFACE)
    assert 'Choices name="shows"' in label_studio.INTERFACE
    assert ["class", "image"] == sorted(re.findall(r"\$(\w+)", label_studio.INTERFACE))


@pytest.mark.parametrize(
    "who", [None, 7, {"id": 7}, {"id": 7, "email": "ann@x"}, {"id": 7, "email": ""}]
)
def test_annotators(who):
    """An annotator is an address, else a number, else nobody."""
    result = [
        {"from_name": "shows", "value": {"choices": ["no"]}},
        {"from_name": "note", "value": {"text": ["x"]}},
    ]
    task = {
        "data": {"image_id": "a", "label": 0},
        "annotations": [{"completed_by": who, "result": result}],
    }
    named = {"None": None, "7": "7", "{'id': 7}": "7", "{'id': 7, 'email': ''}": "7"}.get(
        str(who), "ann@x"
    )

    found = label_studio.read_export(json.dumps([task]), "x.json").to_pylist()

    assert [
        {"image_id": "a", "label": 0, "annotator": named, "correct": False, "at": None}
    ] == found


def annotated(path: Path, who: int) -> None:
    """Answer every task: no to the odd ones of each class, unsure of the first."""
    tasks = json.loads(path.read_text())
    for i, task in enumerate(tasks):
        answer = (
            "unsure"
            if i == 0
            else "no"
            if int(task["data"]["image_id"].split(".")[1]) % 2
            else "yes"
        )
        result = [
            {
                "from_name": "shows",
                "to_name": "image",
                "type": "choices",
                "value": {"choices": [answer]},
            }
        ]
        task["annotations"] = [
            {"completed_by": who, "created_at": "2026-01-01T00:00:00Z", "result": result}
        ]
    path.write_text(json.dumps(tasks))


def test_round_trip(toy, tmp_path):
    """Out to Label Studio, answered, back in: until nobody is short of votes; the pool is what was said."""
    web = pq.read_table(toy / "manifests/toy/web.parquet")
    uris = pa.array([f"http://x/{i}" for i in web["image_id"].to_pylist()])
    tables.write_parquet(
        web.set_column(3, MANIFEST.field("uri"), uris), toy / "manifests/toy/web.parquet"
    )
    (toy / "annotations/toy/votes.parquet").unlink()
    file, left = tmp_path / "tasks.json", []
    for who in range(3):
        said = cnlw(
            "export", "tasks", "--dataset", "toy", "--root", toy, "--votes", 2, "--out", file
        )
        left.append(
            int(re.search(r"(\d+) of 168 candidates have fewer than 2 votes", said.output)[1])
        )
        annotated(file, who)
        done = cnlw("import", "votes", file, "--dataset", "toy", "--root", toy)
    again = cnlw("import", "votes", file, file, "--dataset", "toy", "--root", toy)

    votes = tables.read_votes(toy / "annotations/toy/votes.parquet", web)
    wrong = {i for i in web["image_id"].to_pylist() if int(i.split(".")[1]) % 2}
    assert [168, 168, 1] == left
    assert "1 votes added; 337 in all" in done.output
    assert 2 == again.output.count("0 votes added; 337 in all")
    assert label_studio.INTERFACE == file.with_suffix(".xml").read_text()
    assert wrong == set(votes.filter(pc.equal(votes["correct"], False))["image_id"].to_pylist())


def test_import_wants_a_dataset(toy, tmp_path):
    """Votes without a dataset, and a dataset with what are no votes, are errors."""
    for arguments, message in (
        (["import", "votes", "x.csv", "--root", toy], "Give --dataset"),
        (["import", "folder", tmp_path, "--dataset", "toy"], "--dataset goes with votes"),
        (["import", "folder", "a", "b"], "give one folder or file that holds all of it"),
        (
            ["export", "tasks", "--dataset", "toy", "--root", toy, "--out", "x.txt"],
            "name it x.json",
        ),
        (["export", "tasks", "--dataset", "tow", "--root", toy], "Did you mean 'toy'"),
    ):
        said = cnlw(*arguments)
        assert (1, True) == (said.exit_code, message in said.output), said.output
