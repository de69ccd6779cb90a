"""Pictures by number: from shards and from any reader, and small copies of them."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cnlw_tools.browser import numbered_pictures as module
from cnlw_tools.browser.numbered_pictures import (
    THUMBNAIL_SIDE,
    PictureFile,
    ReadPictures,
    ShardPictures,
    Thumbnails,
    make_thumbnail,
    to_shown,
)
from cnlw_tools.files.untrusted import BadFile


def encode(number: int, side: int = 4, format_name: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (side, side), (number, 0, 0)).save(buffer, format_name)
    return buffer.getvalue()


def write_shard(path: Path, numbers: list[int], group: int) -> None:
    images = [{"bytes": encode(number), "path": None} for number in numbers]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(images, kind), "label": numbers})
    pq.write_table(table, path, row_group_size=group)


@pytest.fixture
def shards(tmp_path) -> ShardPictures:
    """Ten pictures in two shards of several row groups, in an order of their own."""
    write_shard(tmp_path / "a", [0, 1, 2, 3, 4], 2)
    write_shard(tmp_path / "b", [5, 6, 7, 8, 9], 3)
    shard, row = np.repeat([0, 1], 5), np.tile(np.arange(5), 2)
    order = np.random.default_rng(0).permutation(10)
    pictures = ShardPictures([tmp_path / "a", tmp_path / "b"], shard[order], row[order])
    pictures.numbers = order.tolist()
    return pictures


@pytest.mark.parametrize(("n_bytes", "n_files"), [(10**9, 64), (0, 1), (100, 1)])
def test_each_picture_is_that_of_its_row(shards, monkeypatch, n_bytes, n_files) -> None:
    """However little stays in memory and open, and in any order."""
    monkeypatch.setattr(module, "GROUP_BYTES", n_bytes)
    monkeypatch.setattr(module, "MAX_FILES", n_files)
    for index in [*range(10), *reversed(range(10)), 3, 3]:
        assert shards.read(index) == PictureFile(encode(shards.numbers[index]), "png")
        assert shards.n_bytes == sum(sum(map(len, group)) for group in shards.groups.values())
        assert len(shards.files) <= n_files
    assert shards.n_bytes <= n_bytes or len(shards.groups) == 1


def test_threads_read_side_by_side(shards, monkeypatch) -> None:
    """As the requests of a browser do."""
    monkeypatch.setattr(module, "GROUP_BYTES", 100)
    indices = list(range(10)) * 20
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(shards.read, indices))

    assert [result.data for result in results] == [encode(shards.numbers[i]) for i in indices]


@pytest.mark.parametrize("index", [-1, 10, 1 << 70])
def test_another_number_is_no_picture(shards, index) -> None:
    """Not one from the end, either."""
    with pytest.raises(LookupError, match=str(index)):
        shards.read(index)
    with pytest.raises(LookupError, match=str(index)):
        ReadPictures(None, ["x"] * 10).read(index)


def test_a_damaged_shard_is_an_error(shards) -> None:
    """With its path."""
    shards.paths[0].write_bytes(b"no Parquet")

    with pytest.raises(BadFile, match=str(shards.paths[0])):
        shards.read(shards.numbers.index(0))


@pytest.mark.parametrize(
    ("format_name", "shown"), [("PNG", "png"), ("JPEG", "jpeg"), ("TIFF", "png")]
)
def test_a_picture_is_shown_as_it_is_or_as_png(format_name, shown) -> None:
    """A browser shows no TIFF, so that becomes PNG with the same pixels."""
    data = encode(200, format_name=format_name)
    picture = to_shown(data)

    assert picture.format == shown
    assert (picture.data == data) == (format_name != "TIFF")
    with Image.open(BytesIO(picture.data)) as image, Image.open(BytesIO(data)) as original:
        assert image.getpixel((0, 0)) == original.getpixel((0, 0))


def test_bytes_of_something_else_are_an_error() -> None:
    """They would reach the browser as a picture."""
    with pytest.raises(ValueError, match="image"):
        to_shown(b"<svg onload='alert(1)'/>")


def test_only_a_large_picture_has_a_copy() -> None:
    """Of the same shape, with the longer side as long as a thumbnail."""
    small = PictureFile(encode(1, THUMBNAIL_SIDE), "png")
    assert make_thumbnail(small) is small
    buffer = BytesIO()
    Image.new("RGB", (1000, 500)).save(buffer, "PNG")
    copy = make_thumbnail(PictureFile(buffer.getvalue(), "png"))

    assert copy.format == "jpeg"
    with Image.open(BytesIO(copy.data)) as image:
        assert image.size == (THUMBNAIL_SIDE, THUMBNAIL_SIDE // 2)


def test_a_copy_is_made_once_while_it_is_in_memory(monkeypatch) -> None:
    """The copies that were made last are in memory."""
    monkeypatch.setattr(module, "THUMBNAILS_IN_MEMORY", 2)
    reads = []

    class Counting:
        def read(self, index: int) -> PictureFile:
            reads.append(index)
            return PictureFile(encode(index), "png")

    thumbnails = Thumbnails(Counting())
    for index in (0, 1, 1, 0, 2, 0):
        assert thumbnails.read(index).data == encode(index)
    assert reads == [0, 1, 2, 0]
