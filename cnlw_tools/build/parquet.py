"""Hugging Face Parquet: what `datasets.load_dataset` reads without a script.

The `huggingface` metadata of the schema make `image` a picture and the labels named classes. The image
column is not compressed (a PNG or JPEG is already); pages are indexed. Where noise repeats images, the rows of one
stand together, and a row group stores it once, in a dictionary.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLUMNS = ("image", "label", "clean_label", "is_noisy", "origin", "image_id", "replaces")
LARGEST = 500_000_000  # bytes of a shard
GROUP = 250  # rows of a row group: what a streaming reader holds at a time
MOST = 16  # times as many, at most, where images repeat: so few of them lie in two groups


def schema(classes: Sequence[str]) -> pa.Schema:
    """Return the Arrow schema of a shard, with the features that `datasets` reads from it."""
    label = {"names": list(classes), "_type": "ClassLabel"}
    text, flag = {"dtype": "string", "_type": "Value"}, {"dtype": "bool", "_type": "Value"}
    kinds = {
        "image": (IMAGE, {"_type": "Image"}),
        "label": (pa.int64(), label),
        "clean_label": (pa.int64(), label),
    }
    kinds |= {"is_noisy": (pa.bool_(), flag)}
    kinds |= {name: (pa.string(), text) for name in ("origin", "image_id", "replaces")}
    features = {name: kinds[name][1] for name in COLUMNS}
    fields = [pa.field(name, kinds[name][0]) for name in COLUMNS]
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})


def write(path: Path, rows: pa.Table, images: Sequence[bytes], classes: Sequence[str]) -> None:
    """Write one shard; the same rows and images give the same bytes.

    Args:
        path: the file
        rows: (n,) of the PLAN schema
        images: n encoded files
        classes: names in label order

    Raises:
        ValueError: the images take more than 500 MB, one that comes again counted once
    """
    distinct = dict(zip(rows["image_id"].to_pylist(), map(len, images), strict=True))
    total, repeats = sum(distinct.values()), -(-len(images) // max(1, len(distinct)))
    if total > LARGEST:
        remedy = f"set shard_rows = {max(1, LARGEST * len(distinct) // total // 2)} in the recipe, or give a --size"
        raise ValueError(
            f"{path}: {total / 1e6:.0f} MB of images in one shard of {len(distinct)}: {remedy}"
        )
    form = schema(classes)
    plain = {"image.bytes": "NONE", "image.path": "NONE"}
    packed = dict.fromkeys(COLUMNS[1:], "ZSTD")
    again = ["image.bytes", "image_id"] if repeats > 1 else []
    step = GROUP * min(repeats, MOST)
    with pq.ParquetWriter(
        path,
        form,
        compression={**plain, **packed},
        use_dictionary=["label", "clean_label", "origin", *again],
        dictionary_pagesize_limit=LARGEST,
        write_page_index=True,
    ) as file:
        for lo in range(
            0, len(images), step
        ):  # a group at a time: in memory too, an image is there once
            file.write_table(_table(rows[lo : lo + step], images[lo : lo + step], form))


def _table(rows: pa.Table, images: Sequence[bytes], form: pa.Schema) -> pa.Table:
    """Return the rows with their images, as a table of the export's schema."""
    pictures = pa.StructArray.from_arrays(
        [pa.array(images, pa.binary()), pa.nulls(len(images), pa.string())], fields=list(IMAGE)
    )
    return pa.table(
        [pictures, *(rows[name].cast(form.field(name).type) for name in COLUMNS[1:])], schema=form
    )
