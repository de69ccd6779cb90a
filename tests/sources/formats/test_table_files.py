"""Parquet files, Arrow streams, and Arrow files, which Feather is."""

from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from cnlw_tools.sources.formats.table_files import open_table_file, read_chunk, read_column
from cnlw_tools.sources.hf import HuggingFace
from tests.sources.labelled_tables import make_table

WORDS = ["rose", "tulip", "rose", "aster", "tulip"]


def write_parquet(table, path):
    """Write row groups of two rows."""
    pq.write_table(table, path, row_group_size=2)


def write_stream(table, path):
    """Write an Arrow stream of batches of two rows."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write_file(table, path):
    """Write an Arrow file of batches of two rows."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write_feather(table, path):
    """Write a compressed Feather file."""
    feather.write_feather(table, path, compression="lz4", chunksize=2)


WRITERS = {
    "x.parquet": write_parquet,
    "X.PARQUET": write_parquet,
    "stream.arrow": write_stream,
    "file.arrow": write_file,
    "x.feather": write_feather,
}


@pytest.mark.parametrize("name", WRITERS)
def test_columns_and_chunks(tmp_path, name):
    """A column is that of the table, as a whole and chunk by chunk."""
    table = make_table(pa.array(WORDS), extra=pa.array(range(5)))
    WRITERS[name](table, tmp_path / name)
    file = open_table_file(tmp_path / name)
    parts = [read_chunk(chunk, "image").to_pylist() for chunk in file.chunks]

    assert file.schema.names == ["image", "label", "extra"]
    assert read_column(file, "label").to_pylist() == WORDS
    assert [*chain(*parts)] == table["image"].to_pylist()
    assert [chunk.n_rows for chunk in file.chunks] == [len(part) for part in parts]
    assert len(parts) == (1 if name == "stream.arrow" else 3)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    "kind",
    [pa.binary(), pa.large_binary(), pa.binary_view(), pa.struct([("bytes", pa.large_binary())])],
    ids=str,
)
def test_columns_of_images(tmp_path, name, kind):
    """Images are bytes of any of Arrow's types, or structs that hold them."""
    table = make_table(pa.array(WORDS))
    encoded = [image["bytes"] for image in table["image"].to_pylist()]
    is_struct = pa.types.is_struct(kind)
    values = [{"bytes": image} for image in encoded] if is_struct else encoded
    WRITERS[name](table.set_column(0, "image", pa.array(values, kind)), tmp_path / name)
    source = HuggingFace(tmp_path)

    assert [source.read(i) for i in source.manifest()["image_id"].to_pylist()] == encoded
    assert source.classes() == ("aster", "rose", "tulip")


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("cut", [0, 3, 10, 400])
def test_damaged_files(tmp_path, name, cut):
    """A file that is cut off is an error that names it."""
    WRITERS[name](make_table(pa.array(WORDS)), tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:cut])

    with pytest.raises(
        ValueError, match=rf"{name} cannot be read as .* \(.*\): copy this file again"
    ):
        HuggingFace(tmp_path).manifest()


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(("old", "new"), [(b"tulip", b"tuli\xe9"), (b"label", b"labe\xe9")])
def test_text_that_is_not_utf8(tmp_path, name, old, new):
    """Names of columns or of classes that are not UTF-8 are an error that names the file."""
    table = make_table(pa.array(WORDS)).replace_schema_metadata({})
    WRITERS[name](table, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data.replace(old, new))

    with pytest.raises(ValueError, match=rf"{name}:? "):
        HuggingFace(tmp_path).manifest()


def test_feather_of_version_1(tmp_path):
    """The error for Feather of version 1 says what it is and what to do."""
    (tmp_path / "x.feather").write_bytes(b"FEA1" + bytes(100) + b"FEA1")

    with pytest.raises(
        ValueError,
        match=r"x.feather: this is a Feather file of version 1, which is not read: write it",
    ):
        open_table_file(tmp_path / "x.feather")
