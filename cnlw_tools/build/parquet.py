"""The format of a shard: Parquet that `datasets.load_dataset` reads without a script.

The `huggingface` metadata of the schema make `image` a picture and the labels named classes. The
image column is not compressed, since a PNG or JPEG is already, and pages are indexed. Where noise
repeats images, the rows of an image stand together, and a row group stores it once, in a
dictionary.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLUMNS = ("image", "label", "clean_label", "is_noisy", "origin", "image_id", "replaces")
MAX_BYTES = 500_000_000  # of the images of a shard
ROWS_PER_GROUP = 250  # what a streaming reader holds at a time
# Where images repeat, a row group has more rows, up to so many times, so that few images are in two
# groups.
MAX_REPEATS = 16

_CLASS_LABELS = ("label", "clean_label")
_TEXTS = ("origin", "image_id", "replaces")


def shard_schema(classes: Sequence[str]) -> pa.Schema:
    """Return the Arrow schema of a shard, with the features that `datasets` reads from it."""
    types = {"image": IMAGE, "is_noisy": pa.bool_()}
    features: dict[str, dict[str, object]] = {
        "image": {"_type": "Image"},
        "is_noisy": {"dtype": "bool", "_type": "Value"},
    }
    for name in _CLASS_LABELS:
        types[name] = pa.int64()
        features[name] = {"names": list(classes), "_type": "ClassLabel"}
    for name in _TEXTS:
        types[name] = pa.string()
        features[name] = {"dtype": "string", "_type": "Value"}
    fields = [pa.field(name, types[name]) for name in COLUMNS]
    ordered_features = {name: features[name] for name in COLUMNS}
    info = {"info": {"features": ordered_features}}
    metadata = {"huggingface": json.dumps(info)}
    return pa.schema(fields, metadata)


def write_parquet(
    path: Path, rows: pa.Table, images: Sequence[bytes], classes: Sequence[str]
) -> None:
    """Write one shard; the same rows and images give the same bytes.

    Args:
        path: the file
        rows: (n,) of the PLAN schema
        images: n encoded files
        classes: names in label order

    Raises:
        ValueError: the images take more than 500 MB, each counted once
    """
    sizes = dict(zip(rows["image_id"].to_pylist(), map(len, images), strict=True))
    _check_size(path, sum(sizes.values()), len(sizes))
    repeats = -(-len(images) // max(1, len(sizes)))  # rounded up
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
            group = slice(start, start + step)
            writer.write_table(_make_table(rows[group], images[group], schema))


def _check_size(path: Path, size: int, n_images: int) -> None:
    """Raise if the images of a shard take too many bytes."""
    if size > MAX_BYTES:
        n_that_fit = MAX_BYTES * n_images // size
        shard_rows = max(1, n_that_fit // 2)
        raise ValueError(
            f"{path}: {size / 1e6:.0f} MB of images in one shard of {n_images}: "
            f"set shard_rows = {shard_rows} in the recipe, or use a smaller --size"
        )


def _make_table(rows: pa.Table, images: Sequence[bytes], schema: pa.Schema) -> pa.Table:
    """Return the rows with their images, as a table of the schema."""
    encoded = pa.array(images, pa.binary())
    paths = pa.nulls(len(images), pa.string())
    pictures = pa.StructArray.from_arrays([encoded, paths], fields=list(IMAGE))
    columns = [pictures]
    for name in COLUMNS[1:]:
        column_type = schema.field(name).type
        columns.append(rows[name].cast(column_type))
    return pa.table(columns, schema=schema)
