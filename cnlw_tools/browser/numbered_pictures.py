"""The pictures of a page, by number: what a browser is sent, and small copies for the grid.

A shard stores some hundred rows in a group, and a row can only be read with its group. The groups
that were read last stay in memory, up to a number of bytes.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools.files.parquet import open_parquet, read_row_group
from cnlw_tools.images.formats import HEAD, recognise_format
from cnlw_tools.images.pixels import KeptPicture, Picture, decode, read_size
from cnlw_tools.sources.composite import Reader

REMEDY = "see what `cnlw validate` says"
GROUP_BYTES = 256_000_000  # of the row groups in memory
MAX_FILES = 64  # shards that are open
THUMBNAIL_SIDE = 320  # pixels of the longer side: a cell on a screen of two pixels for each
THUMBNAIL_QUALITY = 85
THUMBNAILS_IN_MEMORY = 2_000
SHOWN_FORMATS = {  # what every browser shows -> the ending of a file
    "jpeg": ".jpg",
    "png": ".png",
    "gif": ".gif",
    "webp": ".webp",
}


class PictureFile(NamedTuple):
    """A picture as a browser shows it."""

    data: bytes
    format: str  # of SHOWN_FORMATS


class Pictures(Protocol):
    """Reads pictures by their numbers, from several threads."""

    def read(self, index: int) -> PictureFile:
        """Return a picture.

        Raises:
            LookupError: there is none of this number
            ValueError, OSError: it cannot be read
        """
        ...


class ShardPictures:
    """The pictures of rows of a build."""

    def __init__(
        self, paths: Sequence[Path], shard: NDArray[np.integer], row: NDArray[np.integer]
    ) -> None:
        """Prepare to read; no file is opened yet.

        Args:
            paths: of the shards
            shard: (n,) the number of the shard of each picture
            row: (n,) its row there
        """
        self.paths = paths
        self.shard = shard
        self.row = row
        self.lock = Lock()  # a Parquet file is read by one thread at a time
        self.files: OrderedDict[int, pq.ParquetFile] = OrderedDict()
        self.group_starts: dict[int, NDArray[np.int64]] = {}  # the first rows, by shard
        self.groups: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()
        self.n_bytes = 0

    def read(self, index: int) -> PictureFile:
        """Return a picture; see `Pictures.read`."""
        if not 0 <= index < len(self.row):
            raise LookupError(f"there is no picture {index}: there are {len(self.row)}")
        shard, row = int(self.shard[index]), int(self.row[index])
        with self.lock:
            starts = self._find_groups(shard)
            group = int(np.searchsorted(starts, row, "right")) - 1
            data = self._read_group(shard, group)[row - int(starts[group])]
        return to_shown(data)

    def _find_groups(self, shard: int) -> NDArray[np.int64]:
        """Return the first row of each row group of a shard."""
        if shard not in self.group_starts:
            metadata = self._open(shard).metadata
            sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
            self.group_starts[shard] = np.concatenate([[0], np.cumsum(sizes)])[:-1].astype(np.int64)
        return self.group_starts[shard]

    def _open(self, shard: int) -> pq.ParquetFile:
        if shard not in self.files:
            self.files[shard] = open_parquet(self.paths[shard], REMEDY)
            if len(self.files) > MAX_FILES:
                _, oldest = self.files.popitem(last=False)
                oldest.close()
        self.files.move_to_end(shard)
        return self.files[shard]

    def _read_group(self, shard: int, group: int) -> list[bytes]:
        """Return the images of a row group, which stays in memory; the oldest ones leave it."""
        key = (shard, group)
        if key not in self.groups:
            file, path = self._open(shard), self.paths[shard]
            rows = read_row_group(file, path, group, ["image.bytes"], REMEDY)
            images = rows["image"].combine_chunks().field("bytes").to_pylist()
            self.groups[key] = [image or b"" for image in images]
            self.n_bytes += sum(map(len, self.groups[key]))
            while self.n_bytes > GROUP_BYTES and len(self.groups) > 1:
                _, oldest = self.groups.popitem(last=False)
                self.n_bytes -= sum(map(len, oldest))
        self.groups.move_to_end(key)
        return self.groups[key]


class ReadPictures:
    """The pictures of ids, from any reader: a store, a source, or both."""

    def __init__(self, reader: Reader, image_ids: Sequence[str]) -> None:
        self.reader = reader
        self.image_ids = image_ids
        self.lock = Lock()  # a reader is for one thread

    def read(self, index: int) -> PictureFile:
        """Return a picture; see `Pictures.read`."""
        if not 0 <= index < len(self.image_ids):
            raise LookupError(f"there is no picture {index}: there are {len(self.image_ids)}")
        with self.lock:
            picture = self.reader.read(self.image_ids[index])
        return to_shown(picture)


class Thumbnails:
    """Small copies of pictures; the last ones stay in memory. A small picture is its own."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.lock = Lock()
        self.copies: OrderedDict[int, PictureFile] = OrderedDict()

    def read(self, index: int) -> PictureFile:
        """Return the small copy of a picture; see `Pictures.read`."""
        with self.lock:
            copy = self.copies.get(index)
        if copy is None:
            copy = make_thumbnail(self.pictures.read(index))
            with self.lock:
                self.copies[index] = copy
                while len(self.copies) > THUMBNAILS_IN_MEMORY:
                    self.copies.popitem(last=False)
        return copy


def to_shown(picture: Picture) -> PictureFile:
    """Return a picture in a format that every browser shows: as it is, or else as PNG.

    Raises:
        ValueError: it is not an image, or it is damaged
    """
    if isinstance(picture, KeptPicture):
        picture = picture.data
    if isinstance(picture, bytes):
        name = recognise_format(picture[:HEAD])
        if name in SHOWN_FORMATS:
            return PictureFile(picture, name)
        picture = decode(picture)
    return PictureFile(_encode(picture.convert("RGB"), "PNG"), "png")


@contextmanager
def name_errors(image_id: str) -> Iterator[None]:
    """Say of an error in the block which image it is about.

    Raises:
        ValueError: the block raised one
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"image {image_id!r}: {error}") from error


def make_thumbnail(picture: PictureFile) -> PictureFile:
    """Return a small copy of a picture; the same one if it is small.

    Raises:
        ValueError: it is damaged
    """
    if max(read_size(picture.data)) <= THUMBNAIL_SIDE:
        return picture
    image = decode(picture.data, THUMBNAIL_SIDE)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return PictureFile(_encode(image, "JPEG", quality=THUMBNAIL_QUALITY), "jpeg")


def _encode(image: Image.Image, format_name: str, **options: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()
