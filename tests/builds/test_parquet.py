"""Hugging Face Parquet: what was planned is what is read back, with `datasets` and with Arrow."""

import json
from io import BytesIO

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cnlw_tools.builds import parquet
from cnlw_tools.dataset.tables import PLAN
from tests.shard_files import write_shard

ROW = {
    "label": 0,
    "clean_label": None,
    "origin": "web",
    "replaces": "b",
    "is_noisy": True,
    "split": "train",
}


def rows(n):
    return pa.Table.from_pylist([{"image_id": f"i{i}", **ROW} for i in range(n)], PLAN)


@pytest.fixture
def shard(tmp_path):
    write_shard(tmp_path / "x.parquet", rows(600), [b"\xff\x00raw" * 20] * 600, ("a", "b"))
    return pq.ParquetFile(tmp_path / "x.parquet")


def test_bytes(shard):
    """Images are stored as they are given, and have no path that could tell of noise."""
    images = shard.read()["image"].to_pylist()

    assert images == [{"bytes": b"\xff\x00raw" * 20, "path": None}] * 600


def test_features(shard):
    """The metadata name the kind of every column, in order."""
    features = json.loads(shard.schema_arrow.metadata[b"huggingface"])["info"]["features"]

    assert list(features) == shard.schema_arrow.names == list(parquet.COLUMNS)
    assert (
        features["label"] == features["clean_label"] == {"names": ["a", "b"], "_type": "ClassLabel"}
    )
    assert features["image"] == {"mode": "RGB", "_type": "Image"}


def test_row_groups(shard):
    """A streaming reader takes 250 rows at a time."""
    meta = shard.metadata

    assert [meta.row_group(i).num_rows for i in range(meta.num_row_groups)] == [250, 250, 100]


def test_compression(shard):
    """Images are neither compressed nor put in a dictionary; the rest is compressed."""
    group = shard.metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}

    assert (
        columns.pop("image.bytes").compression
        == columns.pop("image.path").compression
        == "UNCOMPRESSED"
    )
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    assert not shard.metadata.row_group(0).column(0).has_dictionary_page


def test_too_large(tmp_path, monkeypatch):
    """A shard beyond the limit is an error that says how to make images smaller."""
    monkeypatch.setattr(parquet, "MAX_BYTES", 100)

    with pytest.raises(
        ValueError,
        match=r"x.parquet: 0 MB is too much for a shard of 2 images: set shard_rows = 1 in the recipe",
    ):
        write_shard(tmp_path / "x.parquet", rows(2), [b"x" * 60] * 2, ("a",))
    assert list(tmp_path.iterdir()) == []


def repeated(images, times):
    """Rows of so many images, each so many times in a row, and their bytes."""
    names = [i for i in range(images) for _ in range(times)]
    table = pa.Table.from_pylist([{"image_id": f"i{i}", **ROW} for i in names], PLAN)
    return table, [bytes([i]) * 5000 for i in names]


@pytest.mark.parametrize("times", [2, 21, 101])
def test_an_image_that_repeats_is_stored_once(tmp_path, times):
    """Rows of one image cost its bytes once a row group, and all come back."""
    table, images = repeated(50, times)
    write_shard(tmp_path / "x.parquet", table, images, ("a",))
    once, alone = repeated(50, 1)
    write_shard(tmp_path / "y.parquet", once, alone, ("a",))
    held = pq.read_table(tmp_path / "x.parquet")

    assert held["image"].combine_chunks().field("bytes").to_pylist() == images
    assert held["image_id"].to_pylist() == table["image_id"].to_pylist()
    assert (tmp_path / "x.parquet").stat().st_size < 1.15 * (tmp_path / "y.parquet").stat().st_size


def test_the_limit_counts_an_image_once(tmp_path, monkeypatch):
    """Copies of an image weigh nothing."""
    monkeypatch.setattr(parquet, "MAX_BYTES", 15_000)
    write_shard(tmp_path / "x.parquet", *repeated(3, 9), ("a",))

    with pytest.raises(
        ValueError, match="for a shard of 4 images: set shard_rows = 1 in the recipe"
    ):
        write_shard(tmp_path / "x.parquet", *repeated(4, 9), ("a",))


CLASSES = ("zero", "ünï, 'one'", "2")


def planned(n):
    """Rows of a plan, every second one a web image that nobody knows the class of."""
    rows = [
        {
            "image_id": f"i{i}",
            "label": i % 3,
            "clean_label": None if i % 2 else (i + i // 3) % 3,
            "origin": "web" if i % 2 else "base",
            "replaces": f"old {i}" if i % 2 else None,
            "is_noisy": bool(i % 2),
            "split": "train",
        }
        for i in range(n)
    ]
    return pa.Table.from_pylist(rows, PLAN)


def pictures(n):
    """PNG files of random pixels, of three sizes."""
    encoded = []
    for i in range(n):
        pixels = np.random.default_rng(i).integers(0, 256, (5 + i % 3, 4, 3), np.uint8)
        out = BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        encoded.append(out.getvalue())
    return encoded


@pytest.mark.parametrize("n", [1, 2, 260])
def test_round_trip(n, tmp_path):
    """Rows come back in order, with their labels, what is null and all pixels."""
    rows, images = planned(n), pictures(n)
    path = tmp_path / "x.parquet"

    write_shard(path, rows, images, CLASSES)
    loaded = datasets.load_dataset(
        "parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )

    columns = ("label", "clean_label", "is_noisy", "origin", "image_id", "replaces")
    assert loaded.features["label"].names == list(CLASSES)
    assert loaded.remove_columns("image").to_list() == [
        {name: row[name] for name in columns} for row in rows.to_pylist()
    ]
    assert all(
        np.array_equal(picture, Image.open(BytesIO(raw)))
        for picture, raw in zip(loaded["image"], images, strict=True)
    )


def test_same_bytes(tmp_path):
    """The same rows and images give the same bytes, in whatever chunks they come."""
    rows, images = planned(60), pictures(60)

    write_shard(tmp_path / "a.parquet", rows, images, CLASSES)
    write_shard(tmp_path / "b.parquet", pa.concat_tables([rows[:7], rows[7:]]), images, CLASSES)

    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
