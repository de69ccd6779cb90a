"""The checked way in: what is read as it is, and every complaint with file, column, row and remedy."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.dataset import hashing, tables
from cnlw_tools.dataset.table_io import read_table
from cnlw_tools.dataset.tables import MANIFEST, PLAN, RUNS, VOTES, ManifestInfo
from cnlw_tools.recipe.inputs import SourceOptions


def manifest(**changes: object):
    columns = {"image_id": ["a", "b", "c"], "label": [0, 1, 1], "split": ["train"] * 3}
    columns |= {"uri": pa.nulls(3), "sha256": pa.nulls(3)}
    return pa.table({**columns, **changes})


def vote(**changes: object):
    columns = {
        "image_id": ["a", "b", "c"],
        "label": [0, 1, 1],
        "annotator": ["x"] * 3,
        "correct": [True, False, None],
    }
    columns |= {"at": [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)] * 3}
    return pa.table({**columns, **changes})


def planned(**changes: object):
    columns = {
        "image_id": ["a", "b"],
        "label": [0, 1],
        "clean_label": [0, 0],
        "origin": ["base", "base"],
    }
    columns |= {"replaces": pa.nulls(2), "is_noisy": [False, True], "split": ["train", "train"]}
    return pa.table({**columns, **changes})


def measured(**changes: object):
    names = ("run", "dataset", "config", "noise", "method", "options")
    text = {name: ["x", "x"] for name in names}
    columns = {
        **text,
        "level": [40, None],
        "seed": [0, 0],
        "epoch": [0, 1],
        "metric": ["accuracy"] * 2,
        "value": [0.5, None],
    }
    return pa.table({**columns, **changes})


WEB = manifest(split=["web"] * 3).cast(MANIFEST)


@pytest.fixture
def stored(tmp_path):
    def store(table) -> Path:
        pq.write_table(table, tmp_path / "x.parquet")
        return tmp_path / "x.parquet"

    return store


def complaint(read, path, *more: object, **options: object) -> str:
    """Read what must not be read, and return the message behind the path."""
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}\b") as caught:
        read(path, *more, **options)
    return str(caught.value).removeprefix(str(path)).lstrip(": ")


# What is read


def test_manifest(stored):
    """A manifest with 64-bit labels and a free column is read as the schema says, the free column behind."""
    path = stored(manifest(licence=["mit"] * 3, label=pa.array([0, 1, 1], pa.int64())))

    table = tables.read_manifest(path, 2)

    assert pa.schema([*MANIFEST, pa.field("licence", pa.string())]) == table.schema
    assert table["label"].to_pylist() == [0, 1, 1]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float64()])
def test_label_kinds(stored, kind):
    """Labels of any numeric type are read where no value is lost."""
    table = tables.read_manifest(stored(manifest(label=pa.array([0, 1, 1]).cast(kind))), 2)

    assert table["label"].to_pylist() == [0, 1, 1]
    assert pa.int32() == table["label"].type


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
)
def test_text_kinds(stored, kind):
    """Ids of any text type are read."""
    table = tables.read_manifest(stored(manifest(image_id=pa.array(["a", "b", "c"]).cast(kind))), 2)

    assert table["image_id"].to_pylist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    "free", [[[1], [], [2, 3]], [{"a": 1}] * 3, [b"\xff"] * 3, [None] * 3, ["x"] * 3]
)
def test_free_columns(stored, free):
    """A free column of any type is kept, and can be digested."""
    table = tables.read_manifest(stored(manifest(free=pa.array(free))), 2)

    assert free == table["free"].to_pylist()
    assert hashing.digest(table) != hashing.digest(table.drop_columns("free"))


@pytest.mark.parametrize(
    ("read", "schema"),
    [
        (lambda p: tables.read_manifest(p, 2), MANIFEST),
        (lambda p: tables.read_manifest(p, 2, web=True), MANIFEST),
        (lambda p: tables.read_votes(p, WEB), VOTES),
        (tables.read_plan, PLAN),
        (tables.read_runs, RUNS),
    ],
)
def test_empty_tables(stored, read, schema):
    """A table of no rows is a table."""
    table = read(stored(schema.empty_table()))

    assert (0, schema) == (len(table), table.schema)


@pytest.mark.parametrize(
    ("read", "table"),
    [
        (lambda p: tables.read_manifest(p, 2), manifest()),
        (lambda p: tables.read_votes(p, WEB), vote()),
        (tables.read_plan, planned()),
        (tables.read_runs, measured()),
    ],
)
def test_round_trip(stored, read, table, tmp_path):
    """What was read, written and read again is the same."""
    again = read(stored(table))

    tables.write_parquet(again, tmp_path / "again.parquet")

    assert again.equals(read(tmp_path / "again.parquet"))


def test_csv(tmp_path):
    """A manifest may be CSV; ids that look like numbers stay text, and what is empty is null."""
    path = tmp_path / "x.csv"
    path.write_text(
        "image_id,label,split,uri,sha256\n007,0,train,,\n8,1,train,http://x,\nnull,1,probe,,ab\n"
    )

    table = tables.read_manifest(path, 2)

    assert table["image_id"].to_pylist() == ["007", "8", "null"]
    assert table["uri"].to_pylist() == [None, "http://x", None]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "image_id;label;annotator\n007;3;anna\n"),
        ("x.CSV", "\ufeffimage_id;label;annotator\r\n007;3;anna\r\n"),
        ("x.tsv", "annotator\tlabel\timage_id\nanna\t3\t007\n"),
        ("x.csv", "\nImage_ID,Label,ANNOTATOR\n007,3,anna\n"),
        ("x.csv", "image_id , label, annotator \n007 , 3, anna \n"),
        ("x.csv", "image_id,label,annotator\n007,3.0,anna\n"),
    ],
)
def test_dialects_of_csv(tmp_path, name, text):
    """Separators, capitals and blanks in heads, and blanks around values make no difference."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    schema = pa.schema([VOTES.field(name) for name in ("image_id", "label", "annotator")])

    table = read_table(path, schema)

    assert table.to_pylist() == [{"image_id": "007", "label": 3, "annotator": "anna"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id;label\na;3\n", "column 'image_id' is missing.* The columns are: id, label"),
        (
            "Label,LABEL,image_id\n1,2,a\n",
            "several columns have the same name: label, label, image_id",
        ),
        ("", "cannot be read"),
        ("\n\n", "cannot be read"),
    ],
)
def test_heads_that_are_none(tmp_path, text, message):
    """The error says which columns there are."""
    (tmp_path / "x.csv").write_text(text)
    schema = pa.schema([VOTES.field(name) for name in ("image_id", "label")])

    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "x.csv", schema)


def test_classes_csv(tmp_path):
    """Class names may be numbers, and the words that CSV readers take for nothing."""
    path = tmp_path / "classes.csv"
    path.write_text('label,name\n0,7\n1,null\n2,"a, b"\n')

    assert tables.read_classes(path) == ("7", "null", "a, b")


def test_classes_round_trip(tmp_path):
    """Class names come back as they were written."""
    names = ["a", "b, c", 'd "e"', "7", "NA", "ünï", " x "]

    tables.write_csv(
        pa.table({"label": range(len(names)), "name": names}), tmp_path / "classes.csv"
    )

    assert tuple(names) == tables.read_classes(tmp_path / "classes.csv")


# What is refused


def test_missing_file(tmp_path):
    """A missing file is named."""
    with pytest.raises(
        FileNotFoundError, match=re.escape(f"{tmp_path / 'no.parquet'}: there is no such file")
    ):
        tables.read_plan(tmp_path / "no.parquet")


@pytest.mark.parametrize("keep", [0, 3, 50, -1, -9])
def test_truncated(stored, keep):
    """A truncated file is named, with the remedy."""
    path = stored(manifest())
    path.write_bytes(path.read_bytes()[:keep])

    message = complaint(tables.read_manifest, path, 2)

    assert message.startswith("cannot be read as ")
    assert message.endswith("): make or copy this file again")


@given(st.data())
def test_corrupt(tmp_path_factory, data):
    """A file with a wrong byte anywhere is read or refused, and never ends in another error."""
    path = tmp_path_factory.getbasetemp() / "corrupt.parquet"
    pq.write_table(manifest(uri=["http://x"] * 3), path)
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)

    try:
        table = tables.read_manifest(path, 2)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert set(MANIFEST.names) <= set(table.column_names)


def test_misspelt_column(stored):
    """A missing column is named with the one that was probably meant and those that there are."""
    table = manifest().rename_columns({"image_id": "imageid"})

    assert (
        complaint(tables.read_manifest, stored(table), 2)
        == "column 'image_id' is missing. Did you mean 'imageid'? The columns are: imageid, label, split, uri, sha256"
    )


def test_twice_named(tmp_path):
    """Two columns of one name are refused, in CSV and in Parquet."""
    path = tmp_path / "x.csv"
    path.write_text("label,name,name\n0,a,b\n")

    assert (
        complaint(tables.read_classes, path)
        == "several columns have the same name: label, name, name; remove or rename one"
    )


def test_twice_named_parquet(stored):
    """Two columns of one name in Parquet are refused."""
    table = pa.table(
        [*manifest().columns, pa.array(["a"] * 3)], names=[*manifest().column_names, "split"]
    )

    assert "split" in complaint(tables.read_manifest, stored(table), 2)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"label": ["a", "b", "c"]},
            "column 'label' has type string (string is not int32); store it as int32",
        ),
        (
            {"label": ["0", "1", "1"]},
            "column 'label' has type string (string is not int32); store it as int32",
        ),
        (
            {"image_id": [1, 2, 3]},
            "column 'image_id' has type int64 (int64 is not string); store it as string",
        ),
        ({"label": [0.5, 1, 1]}, "column 'label' has type double"),
        ({"label": [1 << 40, 1, 1]}, "column 'label' has type int64"),
        (
            {"label": [0, None, 1]},
            "column 'label', row 1: None (1 such rows); this column may not be empty",
        ),
        (
            {"image_id": ["a", None, None]},
            "column 'image_id', row 1: None (2 such rows); this column may not be",
        ),
        (
            {"split": pa.nulls(3)},
            "column 'split', row 0: None (3 such rows); this column may not be empty",
        ),
        (
            {"label": [0, 2, 1]},
            "column 'label', row 1: 2 (1 such rows); labels run from 0 to 1: fix the label",
        ),
        (
            {"label": [0, 1, -1]},
            "column 'label', row 2: -1 (1 such rows); labels run from 0 to 1: fix the label",
        ),
        (
            {"split": ["train", "web", "web"]},
            "column 'split', row 1: 'web' (2 such rows); the split 'web' belongs in",
        ),
        (
            {"image_id": ["a", "b", "b"]},
            "column 'image_id', row 1: 'b' occurs 2 times; keep one row of each",
        ),
    ],
)
def test_bad_manifest(stored, columns, expected):
    """A wrong type, a hole, a label out of range, a wrong split or an id that comes twice is refused."""
    assert (
        expected == complaint(tables.read_manifest, stored(manifest(**columns)), 2)[: len(expected)]
    )


def test_first_duplicate(stored):
    """Of several ids that come more than once, the one that begins first is named."""
    path = stored(pa.concat_tables([manifest(), manifest(), manifest(image_id=["c", "d", "e"])]))

    assert "column 'image_id', row 0: 'a' occurs 2 times" in complaint(
        tables.read_manifest, path, 2
    )


def test_web_manifest(stored):
    """A web manifest may show an image under two labels, but not under one label twice."""
    table = manifest(split=["web"] * 3, image_id=["a", "b", "b"], label=[0, 0, 1])

    assert len(tables.read_manifest(stored(table), 2, web=True)) == 3
    table = table.set_column(1, "label", pa.array([0, 1, 1]))
    assert (
        complaint(tables.read_manifest, stored(table), 2, web=True)
        == "column 'image_id+label', row 1: 'b', 1 occurs 2 times; keep one row of each"
    )


def test_web_manifest_with_other_split(stored):
    """A web manifest holds the split web alone."""
    path = stored(manifest(split=["web", "train", "web"]))

    assert "column 'split', row 1: 'train' (1 such rows); a web manifest holds" in complaint(
        tables.read_manifest, path, 2, web=True
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "label,name\n0,a\n2,b\n",
            "column 'label', row 1: 2 (1 such rows); labels must count 0, 1, 2 ... in row",
        ),
        (
            "label,name\n1,a\n0,b\n",
            "column 'label', row 0: 1 (2 such rows); labels must count 0, 1, 2 ... in row",
        ),
        (
            "label,name\n0,a\n1,a\n",
            "column 'name', row 0: 'a' occurs 2 times; give every class a different name",
        ),
        (
            "label,name\n0,\n1,a\n",
            "column 'name', row 0: None (1 such rows); this column may not be empty",
        ),
        (
            "label,nam\n0,a\n",
            "column 'name' is missing. Did you mean 'nam'? The columns are: label, nam",
        ),
        (
            "label,name\n0,a,b\n",
            "cannot be read as CSV (CSV parse error: Expected 2 columns, got 3: 0,a,b): make "
            "or copy",
        ),
        ("", "cannot be read as CSV (Empty CSV file): make or copy this file again"),
    ],
)
def test_bad_classes(tmp_path, text, expected):
    """A class list with gaps, without order, with a name twice or none is refused."""
    path = tmp_path / "classes.csv"
    path.write_text(text)

    assert expected == complaint(tables.read_classes, path)[: len(expected)]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"image_id": ["a", "q", "c"]},
            "column 'image_id', row 1: {'image_id': 'q', 'label': 1} (1 such rows); no",
        ),
        (
            {"label": [0, 0, 1]},
            "column 'image_id', row 1: {'image_id': 'b', 'label': 0} (1 such rows); no such",
        ),
        (
            {"label": [-1, 1, 1]},
            "column 'image_id', row 0: {'image_id': 'a', 'label': -1} (1 such rows); no such",
        ),
        (
            {"correct": ["yes", "no", None]},
            "column 'correct' has type string (string is not bool); store it as bool",
        ),
        (
            {"correct": [1, 0, -1]},
            "column 'correct' has type int64 (a value other than 0 and 1); store it as bool",
        ),
        (
            {"correct": [0.5, 0, 1]},
            "column 'correct' has type double (a value other than 0 and 1); store it as bool",
        ),
        ({"at": ["yesterday"] * 3}, "column 'at' has type string"),
    ],
)
def test_bad_votes(stored, columns, expected):
    """Votes on unknown candidates, and votes that are neither yes nor no, are refused."""
    assert expected == complaint(tables.read_votes, stored(vote(**columns)), WEB)[: len(expected)]


def test_numeric_votes(stored):
    """Votes of 1 and 0 are yes and no."""
    table = tables.read_votes(stored(vote(correct=[1, None, 0])), WEB)

    assert table["correct"].to_pylist() == [True, None, False]


def test_votes_for_another_web(stored):
    """Where the web manifest is empty, every vote is for nothing."""
    assert "(3 such rows)" in complaint(tables.read_votes, stored(vote()), MANIFEST.empty_table())


def test_numbers_are_no_times(stored):
    """A number does not say whether it counts seconds or microseconds; nothing becomes 1970."""
    columns = {"image_id": ["a"], "label": [0], "annotator": ["x"], "correct": [True]}
    path = stored(pa.table(columns | {"at": [1798761600]}))

    message = complaint(tables.read_votes, path, WEB)

    assert message.startswith("column 'at' has type int64 (int64 is not timestamp[us, tz=UTC])")


def test_two_votes_of_one_annotator(stored):
    """Two votes of one annotator are refused, at their row in the file; votes without a name may be many."""
    names = [None, None, None, "x", "x"]
    table = pa.table(
        {
            "image_id": ["a"] * 5,
            "label": [0] * 5,
            "annotator": names,
            "correct": [True] * 5,
            "at": pa.nulls(5),
        }
    )

    assert (
        "column 'image_id+label+annotator', row 3: 'a', 0, 'x' occurs 2 times; keep one vote"
        in complaint(tables.read_votes, stored(table), WEB)
    )
    assert len(tables.read_votes(stored(table[:4]), WEB)) == 4


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"origin": ["base", "wab"]},
            "column 'origin', row 1: 'wab' (1 such rows); the origins are base, web, other, white",
        ),
        ({"label": [0, -1]}, "column 'label', row 1: -1"),
        ({"is_noisy": [True, None]}, "column 'is_noisy', row 1: None"),
        (
            {"is_noisy": [0, 3]},
            "column 'is_noisy' has type int64 (a value other than 0 and 1); store it as bool",
        ),
    ],
)
def test_bad_plan(stored, columns, expected):
    """A plan with an unknown origin or a negative label is refused."""
    assert expected == complaint(tables.read_plan, stored(planned(**columns)))[: len(expected)]


def test_bad_runs(stored):
    """One number of a run twice is refused."""
    assert (
        "column 'run+epoch+metric', row 0: 'x', 1, 'accuracy' occurs 2 times; keep one value"
        in complaint(tables.read_runs, stored(measured(epoch=[1, 1])))
    )


# Metadata


@dataclass(frozen=True)
class Info:
    """What a table may say about itself."""

    level: int | None = None
    names: Mapping[str, int | None] = field(default_factory=dict)


def test_metadata(stored):
    """What a plan says of itself survives the file; what other programs say does not."""
    table = tables.with_info(planned().cast(PLAN), {"level": 40, "names": {"ünï": None}})
    path = stored(table.replace_schema_metadata({**table.schema.metadata, b"pandas": b"{}"}))

    again = tables.read_plan(path)

    assert tables.read_info(Info, again, "plan") == Info(40, {"ünï": None})
    assert list(again.schema.metadata) == [b"cnlw"]


def test_no_metadata():
    """A table that says nothing about itself is one whose manifest names no source."""
    assert tables.read_info(ManifestInfo, planned(), "base") == ManifestInfo("")


def test_options_of_a_manifest():
    """The options of a source come back as they were written; nothing is written of defaults."""
    options = SourceOptions("small", label_column="fine", splits=("train",), revision="a" * 40)
    info = ManifestInfo("hf", options)
    table = tables.with_info(planned(), info.as_block())

    assert tables.read_info(ManifestInfo, table, "base") == info
    assert ManifestInfo("folder").as_block() == {"source": "folder"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confg": "x"}, "unknown key 'options.confg'. Did you mean 'config'"),
        ({"splits": "train"}, "options.splits = 'train': it must be a list"),
        ({"revision": "main"}, "options.revision = 'main': it must be a commit: 40 digits"),
        (3, "options = 3: it must be a table"),
    ],
)
def test_wrong_options(options, message):
    """Options that no source has are an error that names the key and the remedy."""
    table = tables.with_info(planned(), {"source": "hf", "options": options})

    with pytest.raises(ValueError, match=f"^base: {message}.*"):
        tables.read_info(ManifestInfo, table, "base", "import it again")


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff", b"3", b'{"level": "40"}', b'{"leve": 40}'])
def test_wrong_metadata(text):
    """Metadata that cannot be read is an error that names the file and the remedy."""
    table = planned().replace_schema_metadata({b"cnlw": text})

    with pytest.raises(ValueError, match=r"^base.parquet:? .*: import it again$"):
        tables.read_info(Info, table, "base.parquet", "import it again")


def test_written_bytes(tmp_path):
    """The same table in other chunks makes the same file."""
    table = pa.table({"a": [str(i) for i in range(5000)], "b": pa.array(range(5000), pa.int32())})
    parts = pa.concat_tables([table.slice(i, 100) for i in range(0, 5000, 100)])

    tables.write_parquet(table, tmp_path / "a.parquet")
    tables.write_parquet(parts, tmp_path / "b.parquet")

    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
