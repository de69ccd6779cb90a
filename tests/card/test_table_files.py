"""What the tables of a build hold."""

from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.card.table_files import CLASS_COLUMNS, Candidates, describe_tables
from cnlw_tools.dataset.tables import MANIFEST, VOTES

WEB = [
    {"image_id": name, "label": label, "split": "web", "uri": None, "sha256": None}
    for name, label in (("a", 0), ("a", 1), ("b", 0))
]


def write(folder, name, rows, schema):
    """Write a table."""
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / f"{name}.parquet")


def vote(image_id, label, annotator):
    """Return a vote."""
    return {"image_id": image_id, "label": label, "annotator": annotator, "correct": True}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "classes.csv").write_text("label,name\n0,x\n1,y\n")
    write(tmp_path, "web", WEB, MANIFEST)
    return tmp_path


def test_files(folder):
    """Each table has its sha256 and its columns, by name; other files are passed over."""
    (folder / ".lock").touch()
    classes, web = describe_tables(folder).files

    assert (classes.name, classes.columns) == ("classes.csv", CLASS_COLUMNS)
    assert (web.name, [name for name, _ in web.columns]) == ("web.parquet", MANIFEST.names)
    for table in (classes, web):
        assert table.sha256 == sha256((folder / table.name).read_bytes()).hexdigest()


def test_no_votes(folder):
    """Candidates are counted; nobody has asked whether they are there."""
    assert describe_tables(folder).candidates == Candidates(3, None, 0, 0, 0, (0, 0))


def test_votes(folder):
    """Votes are counted by candidate, which is an image and a label; unsigned votes have no number."""
    votes = [vote("a", 0, "1"), vote("a", 0, "2"), vote("a", 0, None), vote("a", 1, "1")]
    write(folder, "votes", votes, VOTES)
    dead = [row | {"dead": row["image_id"] == "b"} for row in WEB]
    write(folder, "web", dead, MANIFEST.append(pa.field("dead", pa.bool_())))

    assert describe_tables(folder).candidates == Candidates(3, 1, 4, 2, 2, (1, 3))


def test_no_web_images(tmp_path):
    """A dataset without web images has no candidates."""
    (tmp_path / "classes.csv").write_text("label,name\n0,x\n")

    assert describe_tables(tmp_path).candidates == Candidates(0, None, 0, 0, 0, (0, 0))


def test_a_damaged_table(folder):
    """The error names the table."""
    (folder / "votes.parquet").write_bytes(b"x")

    with pytest.raises(ValueError, match=r"votes.parquet:? .*copy it from another build"):
        describe_tables(folder)
