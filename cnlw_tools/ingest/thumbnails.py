"""Features of images made of their pixels alone: thumbnails, for noise that depends on what an image looks like.

x = area averages of the image on a grid of size x size, of [-1, 1], row by row and each pixel's R, G, B
"""

from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.images.pixels import decode, resize
from cnlw_tools.sources import SOURCES

SHARD = 1000  # images that a worker takes at a time


def thumbnails(
    source: str,
    data_dir: Path | None,
    ids: pa.ChunkedArray,
    size: int,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> pa.Table:
    """Return a side table (dataset/side_table.py) with the column ``features``: 3 size^2 numbers for each of n images.

    Args:
        source: of SOURCES
        data_dir: where the user's copy of the images lies; none where they come with the package
        ids: (n,) of the images
        size: pixels of the side
        executor: where the images are read
        progress: is told how many images are done

    Raises:
        OSError, ValueError, LookupError: an image cannot be read
    """
    names, done = ids.to_pylist(), 0
    shards = [(i, names[i : i + SHARD]) for i in range(0, len(names), SHARD)]
    found = np.empty((len(names), 3 * size * size), np.float32)
    for begin, rows in executor.map(partial(_shard, source, data_dir, size), shards):
        found[begin : begin + len(rows)] = rows
        done += len(rows)
        progress("images", done, len(names))
    features = pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), found.shape[1])
    return pa.table({"image_id": ids, "features": features})


def _shard(
    source: str, data_dir: Path | None, size: int, shard: tuple[int, list[str]]
) -> tuple[int, NDArray[np.float32]]:
    """Return where some images begin, and their (m, 3 size^2) features."""
    begin, ids = shard
    return begin, np.stack([_features(source, data_dir, image_id, size) for image_id in ids])


def _features(source: str, data_dir: Path | None, image_id: str, size: int) -> NDArray[np.float32]:
    picture = _opened(source, data_dir).read(image_id)
    try:
        image = decode(picture) if isinstance(picture, bytes) else picture.convert("RGB")
    except ValueError as error:
        raise ValueError(f"image {image_id!r} of {source}: {error}: replace the file") from error
    return np.asarray(resize(image, size, "squash"), np.float32).ravel() / 127.5 - 1


_opened = lru_cache(maxsize=1)(lambda source, data_dir: SOURCES[source](data_dir))
