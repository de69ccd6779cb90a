"""sha256 as columns of 32 bytes, half of what hex takes, and the images that they stand for."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset.row_numbers import first_places, number_values
from cnlw_tools.dataset.row_selection import filter_rows, take_or_null
from cnlw_tools.dataset.shared_chunks import ChunkStock

DIGEST = pa.binary(32)
N_DIGITS = 64  # of a sha256 in hex
NO_DIGIT = 255
BATCH_ROWS = 4000  # of images that are kept as Python objects
DIGITS = np.full(256, NO_DIGIT, np.uint8)  # the value of each hex digit, by its ASCII code
DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
IMAGES = pa.schema(
    {
        "sha256": DIGEST,  # of the bytes
        "width": pa.int32(),
        "height": pa.int32(),
        "pixel_digest": DIGEST,  # of the RGB pixels
        "fingerprint": pa.binary(16),  # see images.pixels.fingerprint
    }
)


class ImageRows:
    """A table of images that grows by single rows; it lies on the disk."""

    def __init__(self) -> None:
        self._stock = ChunkStock()
        self._parts: list[pa.Table] = [IMAGES.empty_table()]
        self._rows: list[tuple[Any, ...]] = []

    def add(self, *values: Any) -> None:
        """Add a row of the schema IMAGES."""
        self._rows.append(values)
        if len(self._rows) == BATCH_ROWS:
            self._flush()

    def add_table(self, rows: pa.Table) -> None:
        """Add rows of the schema IMAGES."""
        self._flush()
        self._parts.append(self._stock.share(rows))

    def distinct(self) -> pa.Table:
        """Return the rows, one for each sha256: the first."""
        self._flush()
        images = distinct_images(pa.concat_tables(self._parts))
        return ChunkStock().share(images)  # in longer chunks

    def _flush(self) -> None:
        if self._rows:
            columns = [list(column) for column in zip(*self._rows, strict=True)]
            self._parts.append(self._stock.share(pa.table(columns, schema=IMAGES)))
            self._rows = []


def to_digests(texts: pa.ChunkedArray) -> pa.Array:
    """Return (n,) sha256 in hex as bytes. Any other text becomes the sha256 of itself, null null.

    So two texts are equal if and only if their digests are, and a text that is no sha256 is that of
    no image.
    """
    parts = [_chunk_to_digests(chunk) for chunk in texts.chunks]
    return pa.concat_arrays(parts) if parts else pa.array([], DIGEST)


def store_digests(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return (n,) sha256 in hex as bytes that lie on the disk; see `to_digests`."""
    stock = ChunkStock()
    parts = [pa.schema({"sha256": DIGEST}).empty_table()]
    for chunk in texts.chunks:
        parts.append(stock.share(pa.table({"sha256": _chunk_to_digests(chunk)})))
    return pa.concat_tables(parts)["sha256"]


def join_digests(
    sources: Sequence[tuple[NDArray[np.integer], pa.ChunkedArray]], block: slice
) -> pa.Array:
    """Return the sha256 of some of n images; null where no source has one.

    Args:
        sources: (n,) the place of each image among the sha256 of a source, or -1; and these. Of
            several sources that have an image, the last one counts
        block: which images
    """
    digests = pa.nulls(block.stop - block.start, DIGEST)
    for places, known_digests in sources:
        digests = pc.coalesce(take_or_null(known_digests, places[block]), digests)
    return digests


def to_hex(digests: pa.Array | pa.ChunkedArray) -> list[str | None]:
    """Return digests as text."""
    return [None if value is None else value.hex() for value in digests.to_pylist()]


def distinct_images(images: pa.Table) -> pa.Table:
    """Return the rows of a table of images without those whose sha256 came before."""
    is_first = first_places(number_values(images["sha256"])) == np.arange(len(images))
    return filter_rows(images, is_first)


def _chunk_to_digests(texts: pa.Array) -> pa.Array:
    lengths = pc.fill_null(pc.binary_length(texts), 0)
    is_long = pc.equal(lengths, N_DIGITS)
    long_texts = texts.filter(is_long).cast(pa.binary()).cast(pa.binary(N_DIGITS))
    digits = DIGITS[fixed_bytes(long_texts)]
    is_hex = np.zeros(len(texts), bool)
    is_hex[is_long.to_numpy(zero_copy_only=False)] = (digits != NO_DIGIT).all(1)
    values = np.zeros((len(texts), N_DIGITS // 2), np.uint8)
    digits = digits[(digits != NO_DIGIT).all(1)]
    values[is_hex] = digits[:, ::2] << 4 | digits[:, 1::2]
    is_null = texts.is_null().to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(~is_hex & ~is_null):
        values[row] = np.frombuffer(sha256(texts[int(row)].as_py().encode()).digest(), np.uint8)
    valid = pa.array(~is_null).buffers()[1]
    return pa.Array.from_buffers(DIGEST, len(texts), [valid, pa.py_buffer(values.tobytes())])


def fixed_bytes(array: pa.Array) -> NDArray[np.uint8]:
    """Return (n, w) the bytes of n values of w bytes each, none of them null."""
    width = array.type.byte_width
    flat = np.frombuffer(array.buffers()[1] or b"", np.uint8)
    start = array.offset * width
    return flat[start : start + len(array) * width].reshape(-1, width)
