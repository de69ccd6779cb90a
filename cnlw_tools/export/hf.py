"""Hugging Face Parquet: what `datasets.load_dataset` reads without a script.

The `huggingface` metadata of the schema make `image` a picture and the labels named classes. The image
column is neither compressed (a PNG or JPEG is already) nor dictionary-encoded; pages are indexed.
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


def schema(classes: Sequence[str]) -> pa.Schema:
    """Return the Arrow schema of a shard, with the features that `datasets` reads from it."""
    label = {"names": list(classes), "_type": "ClassLabel"}
    text, flag = {"dtype": "string", "_type": "Value"}, {"dtype": "bool", "_type": "Value"}
    kinds = {"image": (IMAGE, {"_type": "Image"}), "label": (pa.int64(), label), "clean_label": (pa.int64(), label)}
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
        ValueError: the images take more than 500 MB
    """
    total = sum(map(len, images))
    if total > LARGEST:
        remedy = f"set shard_rows = {max(1, LARGEST * len(images) // total // 2)} in the recipe, or give a --size"
        raise ValueError(f"{path}: {total / 1e6:.0f} MB of images in one shard of {len(images)}: {remedy}")
    form = schema(classes)
    pictures = pa.StructArray.from_arrays(
        [pa.array(images, pa.binary()), pa.nulls(len(images), pa.string())], fields=list(IMAGE)
    )
    columns = [pictures, *(rows[name].cast(form.field(name).type) for name in COLUMNS[1:])]
    plain = {"image.bytes": "NONE", "image.path": "NONE"}
    packed = dict.fromkeys(COLUMNS[1:], "ZSTD")
    pq.write_table(
        pa.table(columns, schema=form),
        path,
        row_group_size=GROUP,
        compression={**plain, **packed},
        use_dictionary=["label", "clean_label", "origin"],
        write_page_index=True,
    )
