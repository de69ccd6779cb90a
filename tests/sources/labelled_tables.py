"""Parquet and Arrow files of labelled images for tests, and how to read them by two readers."""

import io
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cnlw_tools.recipe.inputs import SourceOptions
from cnlw_tools.sources.hf import HuggingFace

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLOURS = count()


def draw_png() -> bytes:
    """Return an image of a colour that no other one has."""
    colour = next(COLOURS)
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (colour % 256, colour // 256 % 256, colour // 65536)).save(file, "PNG")
    return file.getvalue()


def make_table(labels: pa.Array, feature: object = None, **columns: pa.Array) -> pa.Table:
    """Return a table of images with these labels; ``feature`` is what `datasets` says of them."""
    images = pa.array([{"bytes": draw_png(), "path": None} for _ in labels], IMAGE)
    table = pa.table({"image": images, "label": labels, **columns})
    if feature is None:
        return table
    features = datasets.Features({"image": datasets.Image(), "label": feature})
    return table.replace_schema_metadata(features.arrow_schema.metadata)


def put_table(
    path: Path, words: Sequence[str], names: Sequence[str] = ("bright", "dark")
) -> list[tuple[bytes, str]]:
    """Write a Parquet file of images of these classes; ``names`` gives each class its number.

    Returns:
        the image and the class of each row
    """
    numbers = pa.array([names.index(word) for word in words], pa.int64())
    table = make_table(numbers, datasets.ClassLabel(names=list(names)))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    images = [image["bytes"] for image in table["image"].to_pylist()]
    return list(zip(images, words, strict=True))


def read_named(folder: Path, **options: object) -> dict[str, list[tuple[bytes, str]]]:
    """Return image and class of each row by split, as the source `hf` reads them."""
    source = HuggingFace(folder, SourceOptions(**options))
    classes = source.classes()
    rows: dict[str, list[tuple[bytes, str]]] = {}
    for row in source.manifest().to_pylist():
        pair = source.read(row["image_id"]), classes[row["label"]]
        rows.setdefault(row["split"], []).append(pair)
    return rows


def read_classes(folder: Path, **options: object) -> dict[str, list[str]]:
    """Return the class of each row by split, as the source `hf` reads them."""
    rows = read_named(folder, **options)
    return {split: [name for _, name in pairs] for split, pairs in rows.items()}


def load_named(folder: Path, cache: Path) -> dict[str, list[tuple[bytes, str]]]:
    """Return image and class of each row by split, as `load_dataset` reads them."""
    rows = {}
    for split, part in datasets.load_dataset(str(folder), cache_dir=str(cache)).items():
        feature = part.features["label"]
        encoded = part.cast_column("image", datasets.Image(decode=False))
        name = feature.int2str if isinstance(feature, datasets.ClassLabel) else str
        rows[split] = [(row["image"]["bytes"], name(row["label"])) for row in encoded]
    return rows
