"""Shards of images that a test holds in a list."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from cnlw_tools.builds.parquet import EncodedImages, write_parquet
from cnlw_tools.files.arrow import binary_array


def write_shard(
    path: Path, rows: pa.Table, images: Sequence[bytes], classes: Sequence[str]
) -> None:
    """Write n rows with n images; rows of one id have the same image."""
    image_of_id = dict(zip(rows["image_id"].to_pylist(), images, strict=True))
    ids = [*image_of_id]
    place = np.array([ids.index(image_id) for image_id in rows["image_id"].to_pylist()], int)
    part = np.zeros(len(place), int)
    encoded = EncodedImages([binary_array([*image_of_id.values()])], part, place)
    write_parquet(path, rows, encoded, classes)
