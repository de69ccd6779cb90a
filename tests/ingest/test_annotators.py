"""Annotators become numbers, the same ones in every form; no name and no address is published."""

import json
import stat

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from cnlw_tools.cli import main
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from cnlw_tools.ingest import import_votes
from cnlw_tools.ingest.annotators import AnnotatorKey

ANN = "ann@lab.example"
BOB = "bob@lab.example"


def add_csv(root, *rows, name="votes.csv"):
    """Import a csv file; a row is an image of class 0, an annotator, a verdict and a time."""
    file = root / name
    lines = [f"{image},0,{annotator},{verdict},{time}" for image, annotator, verdict, time in rows]
    file.write_text("\n".join(["image_id,label,annotator,correct,at", *lines]) + "\n")
    return import_votes.add_votes(file, "toy", root)


def add_json(root, content):
    """Import a file of Label Studio."""
    file = root / "answers.json"
    file.write_text(json.dumps(content))
    return import_votes.add_votes(file, "toy", root)


def task(image, completed_by, answer="no", time="2026-03-01T10:00:00Z"):
    """Return an answered task of Label Studio."""
    result = [{"from_name": "shows", "value": {"choices": [answer]}}]
    annotation = {"completed_by": completed_by, "updated_at": time, "result": result}
    return {"data": {"image_id": image, "label": 0}, "annotations": [annotation]}


def json_min(image, annotator, answer="no", time="2026-03-01T10:00:00Z"):
    """Return the same as a row of JSON-MIN."""
    row = {"image_id": image, "label": 0, "shows": answer, "updated_at": time}
    return row | {"annotator": annotator}


@pytest.fixture
def root(toy):
    """A project folder with candidates and no votes."""
    (toy / "annotations/toy/votes.parquet").unlink()
    return toy


def annotators(root):
    """Return image and annotator of each vote."""
    votes = pq.read_table(root / "annotations/toy/votes.parquet")
    return list(zip(votes["image_id"].to_pylist(), votes["annotator"].to_pylist(), strict=True))


def key(root):
    """Return the key as pairs of number and name."""
    lines = (root / "annotators/toy.csv").read_text().splitlines()
    assert "number,name" == lines[0]
    return [tuple(line.split(",")) for line in lines[1:]]


@pytest.mark.parametrize(
    "forms",
    [
        [7, {"id": 7, "email": ANN}, "7", {"id": "7"}],
        [{"id": 7, "email": ANN}, 7, {"email": ANN}],
    ],
)
def test_completed_by_as_number_or_object_is_one_annotator(root, forms):
    """The same vote in another form changes nothing."""
    counts = [add_json(root, [task("w0.0", form)]).n_votes for form in forms]

    assert [1] * len(forms) == counts
    assert [("w0.0", "7")] == annotators(root)


def test_json_min_with_addresses_and_json_with_numbers(root):
    """JSON-MIN calls annotators by address, JSON by number and address: they are one person."""
    first = add_json(root, [json_min("w0.0", ANN), json_min("w0.1", BOB)])
    second = add_json(
        root, [task("w0.0", {"id": 12, "email": ANN}), task("w0.1", {"id": 3, "email": BOB})]
    )
    third = add_json(root, [task("w0.0", 12), task("w0.1", 3)])

    assert [2, 2, 2] == [first.n_votes, second.n_votes, third.n_votes]
    assert [("w0.0", "1"), ("w0.1", "2")] == annotators(root)
    assert [("1", "12"), ("1", ANN), ("2", "3"), ("2", BOB)] == key(root)


def test_two_numbers_that_turn_out_to_be_one_person(root):
    """Votes under an address and under a number are joined when an export has both."""
    add_csv(root, ("w0.0", ANN, "false", "2026-01-01"), ("w0.1", ANN, "true", ""))
    add_json(root, [task("w0.0", 7), task("w0.2", 7)])
    result = add_json(root, [task("w0.3", {"id": 7, "email": ANN})])

    assert [("w0.1", "7"), ("w0.0", "7"), ("w0.2", "7"), ("w0.3", "7")] == annotators(root)
    assert (4, 1) == (result.n_votes, result.n_replaced)


def test_the_same_person_gets_the_same_number_again(root):
    """In later files, other files and other orders."""
    add_csv(root, ("w0.0", ANN, "no", ""), ("w0.1", BOB, "no", ""))
    add_csv(root, ("w0.2", BOB, "no", ""), ("w0.3", "Eve", "no", ""), name="b.csv")
    add_csv(root, ("w0.4", f" {ANN.upper()}", "no", ""), name="c.csv")

    expected = [("w0.0", "1"), ("w0.1", "2"), ("w0.2", "2"), ("w0.3", "3"), ("w0.4", "1")]
    assert expected == annotators(root)


def test_spellings_of_a_name_are_one_person(root):
    """Capitals and blanks make no other person, in one file or in several."""
    add_csv(root, ("w0.0", "Cid Lee", "no", "2026-01-01"), ("w0.0", "cid lee", "yes", "2026-01-02"))
    again = add_csv(root, ("w0.0", " CID  LEE ", "yes", "2026-01-02"), name="b.csv")
    add_csv(root, ("w0.0", "Consensus", "no", ""), ("w0.0", "consensus", "no", ""), name="c.csv")

    assert (0, 0) == (again.n_added, again.n_replaced)
    assert [("w0.0", "1"), ("w0.0", "2"), ("w0.0", "consensus")] == annotators(root)


def test_a_key_with_two_spellings_keeps_both_numbers(root):
    """An earlier version took them for two people; importing their votes again changes nothing."""
    path = root / "annotators/toy.csv"
    path.parent.mkdir()
    path.write_text("number,name\n1,Cid\n2,cid\n")
    rows = [("w0.0", "Cid", "no", ""), ("w0.0", "cid", "yes", ""), ("w0.1", "CID", "yes", "")]
    for _ in range(2):
        add_csv(root, *rows)

        assert [("w0.0", "1"), ("w0.0", "2"), ("w0.1", "1")] == annotators(root)


def test_a_number_that_somebody_has_already(root):
    """The annotator 1 of a later file is not the person who became 1."""
    add_csv(root, ("w0.0", ANN, "no", ""))
    add_csv(root, ("w0.0", "1", "yes", ""), ("w0.0", "2", "yes", ""), name="b.csv")
    again = add_csv(root, ("w0.0", "1", "yes", ""), name="c.csv")

    assert [("w0.0", "1"), ("w0.0", "3"), ("w0.0", "2")] == annotators(root)
    assert (0, 0) == (again.n_added, again.n_replaced)


def test_numbers_stay_and_need_no_key(root):
    """Small numbers and the consensus are kept, and no key is written."""
    add_csv(root, ("w0.0", "12", "no", ""), ("w0.1", "consensus", "no", ""), ("w0.2", "", "no", ""))

    assert [("w0.0", "12"), ("w0.1", "consensus"), ("w0.2", None)] == annotators(root)
    assert not (root / "annotators").exists()


@pytest.mark.parametrize("name", ["0170123456789", "007", "a02", "worker 5", "1e3", "-1"])
def test_whatever_is_no_small_number_becomes_one(root, name):
    """A telephone number is no small number."""
    add_csv(root, ("w0.0", name, "no", ""))

    assert [("w0.0", "1")] == annotators(root)
    assert [("1", name)] == key(root)


def test_two_people_with_one_number(root):
    """Another address under a known number is an error with a remedy, and nothing is written."""
    add_json(root, [task("w0.0", {"id": 7, "email": ANN})])
    content = (root / "annotations/toy/votes.parquet").read_bytes()
    other = [task("w0.0", {"id": 7, "email": BOB})]

    with pytest.raises(ValueError, match=rf"annotator 7 is {BOB} here, but {ANN} in .*toy.csv: if"):
        add_json(root, other)
    assert content == (root / "annotations/toy/votes.parquet").read_bytes()

    with (root / "annotators/toy.csv").open("a") as file:
        file.write(f"7,{BOB}\n")
    assert 1 == add_json(root, other).n_votes


def test_names_of_an_earlier_version_become_numbers(toy):
    """Votes that were imported with names and addresses are renumbered by the next import."""
    path = toy / "annotations/toy/votes.parquet"
    rows = [("w0.0", ANN), ("w0.1", "5"), ("w0.2", "ann"), ("w0.3", None)]
    records = [{"image_id": image, "label": 0, "annotator": name} for image, name in rows]
    pq.write_table(pa.Table.from_pylist(records, VOTES), path)

    result = add_json(toy, [task("w0.0", {"id": 5, "email": ANN}, "unsure")])

    expected = [("w0.1", "5"), ("w0.2", "2"), ("w0.3", None), ("w0.0", "5")]
    assert expected == annotators(toy)
    assert 4 == result.n_votes


def test_the_key_is_private(root):
    """Only its owner can read it, and git passes its folder over."""
    add_csv(root, ("w0.0", ANN, "no", ""))
    path = root / "annotators/toy.csv"

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert "*\n" == (root / "annotators/.gitignore").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("number,name\n1,a\n2,a\n", "row 0: 'a' occurs 2 times"),
        ("number,name\nann,a\n", "column 'number', row 0: 'ann'"),
        ("number,name\n,a\n", "column 'number', row 0: None"),
        ("name\na\n", "column 'number' is missing"),
    ],
)
def test_damaged_keys(tmp_path, text, message):
    """The error for a key that was damaged names the place."""
    path = tmp_path / "toy.csv"
    path.write_text(text)

    with pytest.raises(ValueError, match=message):
        AnnotatorKey(path)


def test_contradictions_are_told_by_name(root):
    """The error calls the annotator as the file does."""
    with pytest.raises(ValueError, match=rf"'{ANN}' gives two verdicts on image 'w0.0'"):
        add_csv(root, ("w0.0", ANN, "no", ""), ("w0.0", ANN, "yes", ""))


def make_pictures(folder):
    """Write two classes of four images."""
    for number in range(8):
        path = folder / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(path)


def cnlw(*arguments):
    """Run a command; return its result."""
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def pictures(tmp_path):
    """A project folder with the dataset `pets`, which has images and candidates."""
    make_pictures(tmp_path / "pictures")
    imported = cnlw("import", "folder", tmp_path / "pictures", "--as", "pets", "--root", tmp_path)
    assert 0 == imported.exit_code
    web = [
        {"image_id": f"w{number}", "label": 0, "split": "web", "uri": f"http://x/{number}"}
        for number in range(8)
    ]
    pq.write_table(pa.Table.from_pylist(web, MANIFEST), tmp_path / "manifests/pets/web.parquet")
    return tmp_path


def build(root):
    """Build the dataset `pets`; return the result of the command."""
    options = ("--dataset", "pets", "--root", root, "--data-dir", root / "pictures")
    return cnlw("build", *options, "--noise", "blue", "--level", "0", "--out", root / "build")


def test_no_address_is_published_whichever_way_it_came(pictures):
    """After imports of every kind, no file of annotations, build or tasks has an @ in it."""
    who = {"id": 7, "email": ANN}
    release = {
        "image/id": "w5",
        "image/uri": "u",
        "image/class/label": 0,
        "image/class/label/is_clean": "false",
    }
    files = {
        "a.json": json.dumps([task("w0", who), task("w1", BOB)]),
        "b.json": json.dumps([json_min("w2", ANN), json_min("w3", {"email": BOB})]),
        "c.csv": f"image_id,label,correct,annotator,mail\nw4,0,no,{ANN},{ANN}\n",
        "d.json": json.dumps({"data": [release]}),
    }
    for name, text in files.items():
        (pictures / name).write_text(text)
    table = {"image_id": ["w6"], "label": [0], "correct": [1], "annotator": [BOB], "mail": [BOB]}
    pq.write_table(pa.table(table), pictures / "e.parquet")
    names = [pictures / name for name in (*files, "e.parquet")]
    imported = cnlw("votes", "import", *names, "--dataset", "pets", "--root", pictures)
    tasks = pictures / "tasks.json"
    exported = cnlw("votes", "export", "--dataset", "pets", "--root", pictures, "--out", tasks)
    built = build(pictures)

    assert [0, 0, 0] == [imported.exit_code, exported.exit_code, built.exit_code], built.output
    assert "c.csv: columns left out: mail" in imported.output
    assert "annotators/pets.csv: the names of the annotators; do not publish" in imported.output
    votes = pq.read_table(pictures / "build/tables/votes.parquet")
    assert VOTES.names == votes.column_names
    assert ["7", "1", "7", "1", "7", "consensus", "1"] == votes["annotator"].to_pylist()
    paths = [tasks, *(pictures / "annotations").rglob("*"), *(pictures / "build").rglob("*")]
    for path in paths:
        text = path.read_bytes() if path.is_file() else b""
        assert not any(word in text for word in (b"ann@", b"bob@", b"lab.example")), path


@pytest.mark.parametrize("column", ["annotator", "comment"])
def test_a_build_refuses_addresses(pictures, column):
    """Votes of an earlier version, or written by hand, are not published with addresses."""
    votes = {"image_id": ["w0", "w1"], "label": [0, 0], "annotator": ["1", "2"]}
    votes |= {"correct": [True, None], "at": pa.nulls(2, VOTES.field("at").type)}
    votes[column] = ["1", ANN]
    path = pictures / "annotations/pets/votes.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(votes), path)

    result = build(pictures)

    assert 1 == result.exit_code
    assert f"column '{column}', row 1: '{ANN}' (1 such rows); a build would" in str(result.output)
    assert not (pictures / "build").exists()
    if column == "annotator":
        cnlw("votes", "import", path, "--dataset", "pets", "--root", pictures)
        assert 0 == build(pictures).exit_code
