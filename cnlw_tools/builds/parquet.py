"""The format of a shard: Parquet that `datasets.load_dataset` reads without a script.

The `huggingface` metadata of the schema make `image` a picture and the labels named classes. The
image column is not compressed, since a PNG or JPEG is already, and pages are indexed. Where noise
repeats images, the rows of an image stand together, and a row group stores it once, in a
dictionary.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools.files.arrow import integer_array

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FIELDS = (
    pa.field("image", IMAGE),
    pa.field("label", pa.int64()),
    pa.field("clean_label", pa.int64()),
    pa.field("is_noisy", pa.bool_()),
    pa.field("origin", pa.string()),
    pa.field("image_id", pa.string()),
    pa.field("replaces", pa.string()),
)
COLUMNS = tuple(field.name for field in FIELDS)
TEXT_FEATURE = {"dtype": "string", "_type": "Value"}
MAX_BYTES = 500_000_000  # of the images of a shard
ROWS_PER_GROUP = 250  # what a streaming reader holds at a time
# Where images repeat, a row group has more rows, up to this many times, so that few are in two
# groups.
MAX_REPEATS = 16


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImages:
    """The encoded images of n rows. An image that repeats is in memory once."""

    parts: Sequence[pa.Array]  # of bytes (large_binary): distinct images, from several places
    part: NDArray[np.integer]  # (n,) which part has the image of a row
    row: NDArray[np.integer]  # (n,) and at which place of it

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.part)

    @property
    def n_distinct(self) -> int:
        """The number of images, each counted once."""
        return sum(map(len, self.parts))

    @property
    def n_bytes(self) -> int:
        """The bytes of all images, each counted once."""
        return sum(pc.sum(pc.binary_length(part), min_count=0).as_py() for part in self.parts)

    def take(self, start: int, end: int) -> pa.Array:
        """Return the images of some rows, with repetitions, as bytes."""
        part, row = self.part[start:end], self.row[start:end]
        by_part = np.argsort(part, kind="stable")
        chunks = []
        for number in np.unique(part):
            chunks.append(self.parts[number].take(integer_array(row[part == number])))
        images = pa.concat_arrays(chunks)
        if len(chunks) > 1:
            images = images.take(integer_array(np.argsort(by_part)))
        return images.cast(pa.binary())


def shard_schema(classes: Sequence[str]) -> pa.Schema:
    """Return the Arrow schema of a shard, with the features that `datasets` reads from it."""
    label = {"names": list(classes), "_type": "ClassLabel"}
    features = {
        "image": {"mode": "RGB", "_type": "Image"},
        "label": label,
        "clean_label": label,
        "is_noisy": {"dtype": "bool", "_type": "Value"},
        "origin": TEXT_FEATURE,
        "image_id": TEXT_FEATURE,
        "replaces": TEXT_FEATURE,
    }
    info = {"info": {"features": features}}
    metadata = {"huggingface": json.dumps(info)}
    return pa.schema(FIELDS, metadata)


def write_parquet(
    path: Path, rows: pa.Table, images: EncodedImages, classes: Sequence[str]
) -> None:
    """Write one shard; the same rows and images give the same bytes.

    Args:
        path: the file
        rows: (n,) of the PLAN schema
        images: of the n rows
        classes: names in label order

    Raises:
        ValueError: the images take more than 500 MB, each counted once
    """
    _check_size(path, images.n_bytes, images.n_distinct)
    repeats = -(-len(images) // max(1, images.n_distinct))  # rounded up
    repeated_columns = ["image.bytes", "image_id"] if repeats > 1 else []
    step = ROWS_PER_GROUP * min(repeats, MAX_REPEATS)
    schema = shard_schema(classes)
    with pq.ParquetWriter(
        path,
        schema,
        compression={
            "image.bytes": "NONE",
            "image.path": "NONE",
            **dict.fromkeys(COLUMNS[1:], "ZSTD"),
        },
        use_dictionary=["label", "clean_label", "origin", *repeated_columns],
        dictionary_pagesize_limit=MAX_BYTES,
        write_page_index=True,
    ) as writer:
        # A group at a time: so an image is in memory once, too.
        for start in range(0, len(images), step):
            encoded = images.take(start, start + step)
            writer.write_table(_make_table(rows.slice(start, step), encoded, schema))


def _check_size(path: Path, size: int, n_images: int) -> None:
    """Raise if the images of a shard take too many bytes."""
    if size > MAX_BYTES:
        n_that_fit = MAX_BYTES * n_images // size
        shard_rows = max(1, n_that_fit // 2)
        raise ValueError(
            f"{path}: {size / 1e6:.0f} MB is too much for a shard of {n_images} images: "
            f"set shard_rows = {shard_rows} in the recipe, or use a smaller --size"
        )


def _make_table(rows: pa.Table, images: pa.Array, schema: pa.Schema) -> pa.Table:
    """Return the rows with their images, as a table of the schema."""
    paths = pa.nulls(len(images), pa.string())
    pictures = pa.StructArray.from_arrays([images, paths], fields=list(IMAGE))
    columns = [pictures]
    for field in FIELDS[1:]:
        columns.append(rows[field.name].cast(field.type))
    return pa.table(columns, schema=schema)
