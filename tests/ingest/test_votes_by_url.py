"""A list of candidates with answers is a table of votes."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cnlw_tools.cli import main
from cnlw_tools.dataset.dataset import read_dataset
from cnlw_tools.ingest.candidates import add_candidates
from cnlw_tools.ingest.import_votes import add_votes

URL = "https://example.org"


def write(path: Path, *lines: str) -> Path:
    """Write a file of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with three candidates of `flowers`; one address is a candidate for both classes."""
    root = tmp_path / "my"
    write(root / "manifests/flowers/classes.csv", "label,name", "0,rose", "1,tulip")
    lines = [f"rose,{URL}/1", f"rose,{URL}/2", f"tulip,{URL}/1"]
    add_candidates(write(tmp_path / "list.csv", "class,url", *lines), "flowers", root)
    return root


def test_a_list_with_answers_is_imported(root, tmp_path):
    """Classes may be names or numbers; a row without an answer is no vote, and may get one later."""
    lines = ["class;url;query;annotator;correct", f"rose;{URL}/1;q;ann;no", f"rose;{URL}/2;q;ann;"]
    first = write(tmp_path / "votes.csv", *lines, f"1;{URL}/1;q;ann;yes")
    arguments = ["votes", "import", str(first), "--dataset", "flowers", "--root", str(root)]

    result = CliRunner().invoke(main, arguments)
    later = write(tmp_path / "later.csv", *lines[:2], f"rose;{URL}/2;q;ann;unsure")
    add_votes(later, "flowers", root)

    assert "2 votes added; 2 in all" in result.output
    assert "votes.csv: 1 row without an answer\n" in result.output
    assert "votes.csv: columns left out: query" in result.output
    dataset = read_dataset("flowers", root)
    uri_of_id = dict(
        zip(*(dataset.web[name].to_pylist() for name in ("image_id", "uri")), strict=True)
    )
    votes = [
        (uri_of_id[row["image_id"]][-1], row["label"], row["correct"])
        for row in dataset.votes.to_pylist()
    ]
    assert [("1", 0, False), ("1", 1, True), ("2", 0, None)] == votes


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"lily,{URL}/1,no", "column 'class', row 1: 'lily'"),
        (f",{URL}/1,no", "column 'class', row 1: ''"),
        (f"rose,{URL}/3,no", f"column 'url', row 1: '{URL}/3'"),
        ("rose,,no", "column 'url', row 1: None"),
        (f"tulip,{URL}/2,no", "no such image_id and label in the web manifest"),
        (f"rose,{URL}/2,\nrose,{URL}/2,maybe", "column 'correct', row 2: 'maybe'"),
    ],
)
def test_what_is_no_candidate_is_an_error(root, tmp_path, row, message):
    """The error names the column and the row, and no vote is written."""
    file = write(tmp_path / "votes.csv", "class,url,correct", f"rose,{URL}/1,no", row)

    with pytest.raises(ValueError, match=r"votes\.csv: column") as error:
        add_votes(file, "flowers", root)

    assert message in str(error.value)
    assert not (root / "annotations").exists()
