"""Parquet files are decoded only if their size in memory is honest."""

import contextlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.files import parquet
from cnlw_tools.files.untrusted import BadFile

LONG, N_ROWS = "x" * 1_000_000, 3_000


def repeated(text: str, n: int, types: pa.DataType) -> pa.Array:
    """Return an array of one text, which takes its place once."""
    indices = pa.array([0] * n, pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array([text]).cast(types))


def write(path, column, **options):
    pq.write_table(pa.table({"a": column}), path, store_schema=False, **options)
    return path


@pytest.mark.parametrize(
    "column",
    [
        repeated(LONG, N_ROWS, pa.string()),
        repeated(LONG, N_ROWS, pa.binary()),
        pa.StructArray.from_arrays([repeated(LONG, N_ROWS, pa.string())], ["bytes"]),
        pa.ListArray.from_arrays(
            pa.array(range(N_ROWS + 1), pa.int32()), repeated(LONG, N_ROWS, pa.large_string())
        ),
    ],
    ids=["text", "bytes", "struct", "list"],
)
def test_a_dictionary_of_one_long_text_is_not_decoded(tmp_path, column):
    """A file of kilobytes that would become 3 GB is refused, in tables, row groups and batches."""
    path = write(tmp_path / "a.parquet", column)

    with pytest.raises(BadFile, match=r"a\.parquet: up to .* MB in memory, and a file of its size"):
        parquet.read_table(path)
    with parquet.open_parquet(path) as file:
        with pytest.raises(BadFile, match="MB in memory"):
            parquet.read_row_group(file, path, 0)
        with pytest.raises(BadFile, match="MB in memory"):
            next(parquet.read_batches(file, path, 1000))
        assert 67 == len(next(parquet.read_batches(file, path, 400)))  # of 1 MB each


def test_one_long_text_among_short_ones(tmp_path):
    """One long text beside many short ones is no reason to refuse a file: its bytes are counted."""
    indices = pa.array([0] + [1] * 2_000_000, pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array([LONG, "short"]))
    path = write(tmp_path / "a.parquet", column)

    assert 2_000_001 == len(parquet.read_table(path))


def test_prefixes(tmp_path, monkeypatch):
    """Texts that repeat the one before are counted, too."""
    monkeypatch.setattr(parquet, "LEAST_LIMIT", 10_000_000)
    options = {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}}
    ids = pa.array([f"id{i:07d}" for i in range(100_000)])
    honest = write(tmp_path / "a.parquet", ids, **options)
    bomb = write(tmp_path / "b.parquet", pa.array([LONG] * 12), **options)

    assert 100_000 == len(parquet.read_table(honest))
    with pytest.raises(BadFile, match="up to 12 MB in memory"):
        parquet.read_table(bomb)


def test_numbers_without_end(tmp_path, monkeypatch):
    """A number that stands in every row takes some bytes on the disk and 4 a row in memory."""
    monkeypatch.setattr(parquet, "LEAST_LIMIT", 1_000_000)
    path = write(tmp_path / "a.parquet", pa.array([7] * 300_000, pa.int32()))

    with pytest.raises(BadFile, match="up to 1 MB in memory"):
        parquet.read_table(path)


@pytest.mark.parametrize("read", [parquet.read_table, parquet.read_schema, parquet.read_n_rows])
def test_what_is_no_parquet(tmp_path, read):
    """Every way to read names the file and the remedy."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 nothing")

    with pytest.raises(BadFile, match=r"a\.parquet cannot be read as Parquet .*: make or copy"):
        read(path)


def test_columns_come_as_asked_for(tmp_path):
    """Columns come in the order of their names in the call; a missing one is an error."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [1], "b": [{"x": 2, "y": 3}]}), path)

    assert {"b": [{"x": 2}], "a": [1]} == parquet.read_table(path, ["b.x", "a"]).to_pydict()
    with pytest.raises(BadFile, match=r"a\.parquet:? .*\bc\b"):
        parquet.read_table(path, ["a", "c"])
    with parquet.open_parquet(path) as file:
        with pytest.raises(BadFile, match=r"a\.parquet:? .*\bc\b"):
            parquet.read_row_group(file, path, 0, ["c"])
        with pytest.raises(BadFile, match=r"a\.parquet:? .*\bc\b"):
            next(parquet.read_batches(file, path, 1, ["c"]))


def test_a_damaged_footer_does_not_end_the_process(tmp_path):
    """The lowest bit of any byte may be another: pyarrow aborts if it is asked about a column that is damaged."""
    image = pa.StructArray.from_arrays([pa.array([b"a", b"b"]), pa.array(["c", None])], ["x", "y"])
    path = write(tmp_path / "a.parquet", image)
    content = path.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little")
    for i in range(len(content) - 8 - footer, len(content) - 8):
        path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
        with contextlib.suppress(BadFile, OSError):
            parquet.read_table(path)
