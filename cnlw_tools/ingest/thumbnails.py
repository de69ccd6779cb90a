"""Features made of pixels alone: thumbnails, for noise that depends on what an image looks like.

x = area averages of the image on a grid of size x size, in [-1, 1]: row by row, R, G, B of each
pixel
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.executor.job import Job, find_folders, require_folders
from cnlw_tools.images.pixels import resize
from cnlw_tools.recipe.inputs import ImageSource, Inputs
from cnlw_tools.sources import open_images
from cnlw_tools.sources.composite import read_pixels

IMAGES_PER_TASK = 1000
CHANNELS = 3

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _ThumbnailJob(Job):
    """What all tasks have in common."""

    dataset: str
    inputs: Inputs
    size: int


class _Task(NamedTuple):
    """Images to read together."""

    start: int  # row of the first one
    ids: list[str]


def make_thumbnails(
    dataset: str,
    inputs: Inputs,
    ids: pa.ChunkedArray,
    size: int,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> pa.Table:
    """Return a side table (dataset/side_table.py) with a column `features`.

    Args:
        dataset: its name
        inputs: where its tables and images lie
        ids: (n,) of the images
        size: pixels of the side; there are 3 size^2 features
        executor: where the images are read
        progress: is told how many images are done

    Raises:
        OSError, ValueError, LookupError: an image cannot be read
    """
    names = ids.to_pylist()
    starts = range(0, len(names), IMAGES_PER_TASK)
    tasks = [_Task(start, names[start : start + IMAGES_PER_TASK]) for start in starts]
    features = np.empty((len(names), CHANNELS * size * size), np.float32)
    done = 0
    folders = find_folders([inputs.root, inputs.data_dir])
    job = _ThumbnailJob(dataset, inputs, size, folders=folders)
    for start, rows in executor.map(partial(_run_task, job), tasks):
        features[start : start + len(rows)] = rows
        done += len(rows)
        progress("images", done, len(names))
    column = pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), features.shape[1])
    return pa.table({"image_id": ids, "features": column})


def _run_task(job: _ThumbnailJob, task: _Task) -> tuple[int, Features]:
    """Return the row of the first image, and the (m, 3 size^2) features of all."""
    return task.start, np.stack([_make_thumbnail(job, image_id) for image_id in task.ids])


def _make_thumbnail(job: _ThumbnailJob, image_id: str) -> Features:
    image = read_pixels(_source(job), image_id)
    pixels = np.asarray(resize(image, job.size, "squash"), np.float32)
    return pixels.ravel() / 127.5 - 1


@lru_cache(maxsize=1)
def _source(job: _ThumbnailJob) -> ImageSource:
    require_folders(job.folders)
    return open_images(job.dataset, job.inputs)
