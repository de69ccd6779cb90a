"""A list of addresses becomes candidates: each once, with an id that is the same everywhere."""

from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from cnlw_tools.cli import main
from cnlw_tools.dataset.dataset import read_dataset
from cnlw_tools.ingest.candidates import add_candidates, read_candidates
from cnlw_tools.ingest.import_votes import add_votes
from tests.sources.conftest import draw_jpeg, put

CLASSES = ("rose", "tulip", "café")
URL = "https://example.org"


def write(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    """Write a list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join([*lines, ""]).encode(encoding))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a dataset `flowers` that has classes and nothing else."""
    rows = [f"{label},{name}" for label, name in enumerate(CLASSES)]
    write(tmp_path / "my/manifests/flowers/classes.csv", "label,name", *rows)
    return tmp_path / "my"


def web_path(root: Path) -> Path:
    """Return the path of the candidates."""
    return root / "manifests/flowers/web.parquet"


def new(folder: Path, candidates: Path, *options: str, name: str = "flowers") -> Result:
    """Run `cnlw new` on photographs of the classes of a folder."""
    arguments = ["new", name, folder / "photos", "--candidates", candidates]
    arguments += ["--root", folder / "my", *options]
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def lay_out_photographs(folder: Path) -> None:
    """Write five photographs of each of two classes."""
    for label, name in enumerate(CLASSES[:2]):
        for i in range(5):
            put(folder / "photos" / name / f"{i}.jpg", draw_jpeg(10 * label + i))


def test_a_list_becomes_a_manifest(root, tmp_path):
    """A row is the digest of the url, the label, and all further columns as text."""
    lines = ["Class,URL,rank,licence", f"tulip,{URL}/a.jpg,1,CC0", f'rose,"{URL}/b,c.jpg",02,']
    file = write(tmp_path / "list.csv", *lines)

    result = add_candidates(file, "flowers", root)

    assert (2, 2, 0, ("café",)) == result[1:]
    common = {"split": "web", "sha256": None}
    urls = [f"{URL}/a.jpg", f"{URL}/b,c.jpg"]
    ids = [sha256(url.encode()).hexdigest()[:16] for url in urls]
    expected = [
        {"image_id": ids[0], "label": 1, "uri": urls[0], "rank": "1", "licence": "CC0"} | common,
        {"image_id": ids[1], "label": 0, "uri": urls[1], "rank": "02", "licence": None} | common,
    ]
    assert expected == read_dataset("flowers", root).web.to_pylist()


def test_what_excel_writes(tmp_path):
    """A byte order mark, semicolons, blanks, empty rows and columns and other ends of lines."""
    lines = ["class; url ;;", f"rose ; {URL}/a;;", ";;;", "", f"0;{URL}/b"]
    file = tmp_path / "list.csv"
    file.write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    tabs = write(tmp_path / "list.tsv", "url\tclass", f"{URL}/a\trose", f"{URL}/b\trose")

    read = read_candidates(file, CLASSES)

    assert [0, 0] == read.candidates["label"].to_pylist()
    assert [f"{URL}/a", f"{URL}/b"] == read.candidates["uri"].to_pylist()
    assert read.candidates.equals(read_candidates(tabs, CLASSES).candidates)


def test_a_url_may_be_found_for_two_classes(tmp_path):
    """Equal lines count once; one url of two classes is two candidates with one image."""
    lines = ["class,url,query", f"rose,{URL},red", f"tulip,{URL},", f"rose,{URL},other"]

    read = read_candidates(write(tmp_path / "list.csv", *lines), CLASSES)

    assert 1 == read.n_repeated
    assert [(0, "red"), (1, None)] == [
        (row["label"], row["query"]) for row in read.candidates.to_pylist()
    ]
    assert 1 == len(set(read.candidates["image_id"].to_pylist()))


def test_both_forms_of_a_name_are_one(tmp_path):
    """A name in Unicode's decomposed form, as macOS writes it, is the class."""
    file = write(tmp_path / "list.csv", "class,url", f"cafe\u0301,{URL}")

    assert [2] == read_candidates(file, CLASSES).candidates["label"].to_pylist()


def test_a_number_that_may_be_a_name_is_a_name(tmp_path):
    """If classes are called 1 and 2, the word 1 is the name of the first, and 0 is none."""
    file = write(tmp_path / "list.csv", "class,url", f"1,{URL}")
    other = write(tmp_path / "other.csv", "class,url", f"0,{URL}")

    assert [0] == read_candidates(file, ("1", "2")).candidates["label"].to_pylist()
    with pytest.raises(ValueError, match="line 2: unknown class '0'"):
        read_candidates(other, ("1", "2"))


def test_a_longer_list_adds_to_the_table(root, tmp_path):
    """Old rows stay in front, with their votes; empty further values are filled in, others not."""
    first = write(tmp_path / "list.csv", "class,url,query", f"rose,{URL}/1,", f"rose,{URL}/2,q")
    add_candidates(first, "flowers", root)
    image_id = read_dataset("flowers", root).web["image_id"][1].as_py()
    votes = write(tmp_path / "v.csv", "image_id,label,annotator,correct", f"{image_id},0,1,no")
    add_votes(votes, "flowers", root)
    lines = ["url,class,query,page", f"{URL}/3,tulip,,p3", f"{URL}/2,rose,x,p2", f"{URL}/1,0,y,"]

    result = add_candidates(write(tmp_path / "longer.csv", *lines), "flowers", root)

    assert (3, 1) == (result.n_candidates, result.n_new)
    dataset = read_dataset("flowers", root)
    rows = [(row["uri"][-1], row["query"], row["page"]) for row in dataset.web.to_pylist()]
    assert [("1", "y", None), ("2", "q", "p2"), ("3", None, "p3")] == rows
    assert [image_id] == dataset.votes["image_id"].to_pylist()


def test_the_same_list_changes_nothing(root, tmp_path):
    """Twice the same list, and a shorter one, leave the same bytes; elsewhere they are the same."""
    lines = [f"rose,{URL}/{i},{i}" for i in range(20)]
    file = write(tmp_path / "list.csv", "class,url,rank", *lines)
    add_candidates(file, "flowers", root)
    before = web_path(root).read_bytes()

    again = add_candidates(file, "flowers", root)
    shorter = write(tmp_path / "shorter.csv", "class,url", f"rose,{URL}/7")
    add_candidates(shorter, "flowers", root)

    assert (20, 0) == (again.n_candidates, again.n_new)
    assert before == web_path(root).read_bytes()
    web_path(root).unlink()
    add_candidates(file, "flowers", root)
    assert before == web_path(root).read_bytes()


def test_a_manifest_made_by_hand_is_continued(root, tmp_path):
    """Candidates are compared by url, whatever their ids are; numbers of a column stay numbers."""
    file = write(tmp_path / "list.csv", "class,url,rank", f"rose,{URL}/1,7", f"rose,{URL}/2,8")
    add_candidates(file, "flowers", root)
    table = pq.read_table(web_path(root)).to_pandas().head(1)
    table["image_id"], table["rank"] = "own_1", table["rank"].astype(int)
    table.to_parquet(web_path(root), index=False)

    result = add_candidates(file, "flowers", root)

    assert (2, 1) == (result.n_candidates, result.n_new)
    web = read_dataset("flowers", root).web
    assert ["own_1", sha256(f"{URL}/2".encode()).hexdigest()[:16]] == web["image_id"].to_pylist()
    assert [7, 8] == web["rank"].to_pylist()
    text = write(tmp_path / "text.csv", "class,url,rank", f"rose,{URL}/3,first")
    with pytest.raises(ValueError, match="column 'rank' cannot be read as int64"):
        add_candidates(text, "flowers", root)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["class,link", "rose,x"],
            "no column 'url'; the columns are 'class', 'link': if 'link' is",
        ),
        (["label,url", "0,x"], "no column 'class'; the columns are 'label', 'url': if 'label' is"),
        (["a,b"], "no column 'class'; the columns are 'a', 'b': rename one"),
        ([""], "no column 'class'"),
        (["class,url"], "there is no candidate: add a line for each"),
        (["class,url,URL"], "two columns are called 'url'"),
        (["class,url,sha256"], "the column 'sha256' has the name of a column of web.parquet"),
        (
            ["class,url", f"rose,{URL}", "", f"rsoe,{URL}"],
            "line 4: unknown class 'rsoe'. Did you mean 'rose'? The classes are rose, tulip, café",
        ),
        (["class,url", f"3,{URL}"], "line 2: unknown class '3'"),
        (["class,url", f",{URL}"], "line 2: there is no class"),
        (["class,url", "rose,"], "line 2: there is no url: give one that begins with http"),
        (["class,url", "rose"], "line 2: there is no url"),
        (["class,url", "rose,ftp://x/y"], "line 2: 'ftp://x/y' is not an address"),
        (["class,url", "rose,https:///y"], "line 2: 'https:///y' is not an address"),
        (["class,url", f"rose,{URL}/{'y' * 9000}"], "and at most 8,192 are read"),
        (["class,url", f"rose,{URL}/a,b.jpg"], "line 2: 3 values for 2 columns: put a value"),
        (["class,url", f'rose,"{URL}/a', f"rose,{URL}/b"], "cannot be read as CSV (line 2: "),
    ],
)
def test_a_wrong_line_is_one_error(root, tmp_path, lines, message):
    """The error names the line, the value and the remedy, and nothing is written."""
    file = write(tmp_path / "list.csv", *lines)

    with pytest.raises(ValueError, match=r"list\.csv:? ") as error:
        add_candidates(file, "flowers", root)

    assert message in str(error.value)
    assert not web_path(root).exists()


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encodings(root, tmp_path, encoding):
    """A file that is not UTF-8 is an error with the line."""
    file = write(tmp_path / "list.csv", "class,url", f"café,{URL}", encoding=encoding)
    line = {"utf-16": 1, "latin-1": 2}[encoding]

    with pytest.raises(ValueError, match=f"line {line}: this is not text in UTF-8"):
        add_candidates(file, "flowers", root)


def test_a_line_may_not_be_endless(root, tmp_path, monkeypatch):
    """A file without line ends is an error, before it is in memory."""
    monkeypatch.setattr("cnlw_tools.files.texts.LONGEST_LINE", 100)
    file = write(tmp_path / "list.csv", "class,url", "rose," + "x" * 200)

    with pytest.raises(ValueError, match="line 2: it has 0 MB, but at most 0 MB are read"):
        add_candidates(file, "flowers", root)


def test_new_makes_a_dataset_in_one_step(tmp_path):
    """Classes, photographs, candidates and the command that fetches them; twice, all is the same."""
    lay_out_photographs(tmp_path)
    file = write(tmp_path / "list.csv", "class,url", f"rose,{URL}/1")

    runs = [new(tmp_path, file, "--validation", "20") for _ in range(2)]

    assert [0, 0] == [run.exit_code for run in runs], runs[0].output
    assert "2 classes; validation 2, train 8" in runs[0].output
    assert "web.parquet: 1 candidate, 1 of them new\n" in runs[0].output
    assert "web.parquet: 1 candidate, 0 of them new\n" in runs[1].output
    assert "note: classes without a candidate, so without red noise: 'tulip'" in runs[0].output
    root = str(tmp_path / "my")
    assert f"next:\ncnlw fetch --dataset flowers --root {root}\n" in runs[0].output
    names = sorted(path.name for path in (tmp_path / "my/manifests/flowers").iterdir())
    assert ["base.parquet", "classes.csv", "web.parquet"] == names


def test_a_name_of_the_package_is_noted(tmp_path):
    """A dataset called like one of the package is made, and a note says which one is read when."""
    lay_out_photographs(tmp_path)
    file = write(tmp_path / "list.csv", "class,url", f"rose,{URL}/1")

    flowers, mnist = new(tmp_path, file), new(tmp_path, file, name="mnist")

    assert 0 == mnist.exit_code, mnist.output
    assert "note: the package has a dataset 'mnist', too" in mnist.output
    assert "the package has a dataset" not in flowers.output


def test_new_writes_nothing_if_the_list_is_wrong(tmp_path):
    """An unknown class or a missing list is an error before the first photograph is read."""
    lay_out_photographs(tmp_path)
    file = write(tmp_path / "list.csv", "class,url", f"iris,{URL}/1")

    runs = [new(tmp_path, file), new(tmp_path, tmp_path / "gone.csv")]

    assert [1, 1] == [run.exit_code for run in runs]
    assert "line 2: unknown class 'iris'" in runs[0].output
    assert "gone.csv: there is no such file" in runs[1].output
    assert not (tmp_path / "my").exists()


def test_import_candidates_names_its_dataset(root, tmp_path):
    """Without --as, or for a dataset that is not there, the error says what to give."""
    file = write(tmp_path / "list.csv", "class,url", f"rose,{URL}/1")
    command = ["import", "candidates", str(file), "--root", str(root)]

    nameless = CliRunner().invoke(main, command)
    unknown = CliRunner().invoke(main, [*command, "--as", "flower"])
    good = CliRunner().invoke(main, [*command, "--as", "flowers"])

    assert "give it with --as NAME" in nameless.output
    assert "Did you mean 'flowers'?" in unknown.output
    assert "1 candidate, 1 of them new" in good.output
