"""The list of the files of a build."""

import json

import pytest

from cnlw_tools.card.file_list import CROISSANT, read_shard_hashes

SHA256 = "0" * 64
SHARD = {"@type": "cr:FileObject", "contentUrl": "data/a.parquet", "sha256": SHA256}
TABLE = {"@type": "cr:FileObject", "contentUrl": "tables/base.parquet", "sha256": "1" * 64}
SET = {"@type": "cr:FileSet", "@id": "files/red_40/train", "includes": ["data/a-*.parquet"]}


def write(folder, content):
    """Write the file."""
    (folder / CROISSANT).write_text(json.dumps(content))


def test_only_shards_count(tmp_path):
    """The sha256 of shards are read, by name; tables and sets of files are passed over."""
    other = SHARD | {"contentUrl": "data/A.parquet", "sha256": "2" * 64}
    write(tmp_path, {"distribution": [TABLE, SHARD, SET, other]})

    assert list(read_shard_hashes(tmp_path).items()) == [
        ("A.parquet", "2" * 64),
        ("a.parquet", SHA256),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "its key `distribution` must be a list of files"),
        ({"distribution": {}}, "its key `distribution` must be a list of files"),
        ({"distribution": [SHARD | {"sha256": None}]}, "a.parquet: its sha256 must be 64 hex"),
        ({"distribution": [SHARD | {"sha256": "0" * 63}]}, "a.parquet: its sha256 must be 64 hex"),
        (
            {"distribution": [SHARD | {"contentUrl": "data/../../a.parquet"}]},
            r"../../a.parquet: this file is not in data/",
        ),
    ],
)
def test_a_damaged_list(tmp_path, content, message):
    """The error names file and value, and what to do."""
    write(tmp_path, content)

    with pytest.raises(ValueError, match=f"{tmp_path / CROISSANT}: {message}.*: copy it from"):
        read_shard_hashes(tmp_path)


def test_any_node(tmp_path, fuzz):
    """Any value in place of any node is read or an error that names the file."""

    def read(content):
        write(tmp_path, content)
        return read_shard_hashes(tmp_path)

    fuzz({"distribution": [SHARD, TABLE, SET]}, read, str(tmp_path / CROISSANT))
