"""The URLs to fetch come from a table that strangers wrote."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.store.manifest import BLOCK_ROWS, Manifest, find_id_problem

VALID_IDS = ["a", "n01532829/123.jpg", "ü", "a b", "..a", "a..", "C:a", "x" * 512]
INVALID_IDS = [
    None,
    "",
    " ",
    "../a",
    "a/../b",
    "..",
    ".",
    "./a",
    "/etc/passwd",
    "a\\b",
    "a\0b",
    "a\nb",
    "~/a",
    "x" * 513,
]


@pytest.mark.parametrize("image_id", VALID_IDS + INVALID_IDS)
def test_ids(image_id):
    """An id that is empty, not printable, or a path out of a folder is invalid."""
    assert (image_id in INVALID_IDS) == (find_id_problem(image_id) is not None)


def test_rows(write_manifest):
    """All rows are read in order, with their columns on licences."""
    path = write_manifest(
        {"a": "http://x/", "b": None, None: "http://y/"},
        license=["CC0", None, ""],
        author=["me", "you", None],
    )

    rows = [row for block in Manifest(path).read_blocks() for row in block]

    assert ["a", "b", "(no id, row 2)"] == [row.image_id for row in rows]
    assert ["http://x/", None, "http://y/"] == [row.uri for row in rows]
    assert [None, "no uri", "no image_id, or one that is not UTF-8"] == [
        row.problem for row in rows
    ]
    assert {"license": "CC0", "author": "me"} == json.loads(rows[0].licence)
    assert [{"author": "you"}, None] == [json.loads(rows[1].licence), rows[2].licence]


def test_blocks(tmp_path):
    """Only a block of rows is in memory at a time, whatever the row groups of the file are."""
    n = 3 * BLOCK_ROWS + 1
    pq.write_table(
        pa.table({"uri": [f"http://x/{i}" for i in range(n)], "image_id": map(str, range(n))}),
        tmp_path / "m.parquet",
    )

    sizes = [len(block) for block in Manifest(tmp_path / "m.parquet").read_blocks()]

    assert (n, BLOCK_ROWS) == (sum(sizes), max(sizes))
    assert n == len(Manifest(tmp_path / "m.parquet"))


def test_unusual_types(tmp_path):
    """Dictionaries and large strings are accepted; bytes that are not UTF-8 make a row invalid."""
    raw = pa.Array.from_buffers(
        pa.string(),
        2,
        [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xff\xfe")],
    )
    uris = pa.array(["http://x/", "http://y/"], pa.large_string()).dictionary_encode()
    pq.write_table(pa.table({"image_id": raw, "uri": uris}), tmp_path / "m.parquet")

    (block,) = Manifest(tmp_path / "m.parquet").read_blocks()

    assert ["a", "(no id, row 1)"] == [row.image_id for row in block]
    assert ["http://x/", "http://y/"] == [row.uri for row in block]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image_id": ["a"], "url": ["b"]}, "column 'uri' is missing. Did you mean 'url'?"),
        ({"id": ["a"], "uri": ["b"]}, "column 'image_id' is missing"),
        ({"image_id": [1], "uri": ["b"]}, "column 'image_id' has type int64; store it as string"),
    ],
)
def test_wrong_tables(tmp_path, columns, message):
    """An error names a column that is missing or has a wrong type."""
    pq.write_table(pa.table(columns), tmp_path / "m.parquet")

    with pytest.raises(ValueError, match=message):
        Manifest(tmp_path / "m.parquet")


def test_wrong_files(tmp_path):
    """A missing file is an error, and so is one that is not Parquet."""
    (tmp_path / "m.parquet").write_text("image_id,uri")

    with pytest.raises(ValueError, match="cannot be read as Parquet"):
        Manifest(tmp_path / "m.parquet")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        Manifest(tmp_path / "n.parquet")
