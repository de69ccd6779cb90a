"""Writing the shards of a build. Every distinct image is read and encoded once.

The first row that shows an image owns it, in the order of the files that are there and then of
those to write. A shard whose rows own all their images is written from the source. A shard that
shows an image of another file waits for that file, and copies the encoded bytes from it. So shards
are written in waves, and those of one wave do not depend on each other: two waves for blue noise,
one for red, one a level in the flat layout.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools import files
from cnlw_tools.builds import parquet
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.executor.job import Job
from cnlw_tools.files.parquet import read_table
from cnlw_tools.images.pixels import Picture, Storage, encode_picture
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import open_reader
from cnlw_tools.sources.composite import CompositeReader
from cnlw_tools.store.store import is_store, usual_store

# A shard that would copy from more files than this, as that of another seed would, reads the source
# again.
MAX_OWNERS = 16


@dataclass(frozen=True, slots=True, eq=False)
class WriteJob(Job):
    """What the writing of any shard needs to know."""

    folder: Path  # the build's data/
    dataset: str
    donors: tuple[str, ...]
    inputs: Inputs
    storage: Storage
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """A file to write, and where its images come from."""

    name: str
    rows: pa.Table  # (n,) of the PLAN schema
    owners: tuple[str, ...]  # other files that own some of its images
    owner: NDArray[np.int32]  # (n,) which of them; -1: read the source
    owner_row: NDArray[np.int32]  # (n,) row in that file


class WrittenShard(NamedTuple):
    """A file that was written."""

    name: str
    n_rows: int
    sha256: str


def write_shards(
    job: WriteJob,
    planned_shards: Mapping[str, pa.Table],
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
    untrusted_files: Collection[str] = (),
) -> dict[str, str]:
    """Write the shards that are not there yet; return the sha256 of each file written.

    Args:
        job: what all of them need to know
        planned_shards: rows of every shard of the build, by file name
        executor: where shards are written
        progress: is told how many rows are written
        untrusted_files: names of files from which no image may be copied

    Raises:
        OSError, ValueError, LookupError: an image cannot be read; shards that were written remain
    """
    hashes: dict[str, str] = {}
    total = 0
    done = 0
    for name, rows in planned_shards.items():
        path = job.folder / name
        total += len(rows)
        done += len(rows) if path.exists() else 0
    for wave in plan_waves(job.folder, planned_shards, untrusted_files):
        for shard in executor.map(partial(write_shard, job), wave):
            hashes[shard.name] = shard.sha256
            done += shard.n_rows
            progress("images", done, total)
    return hashes


def plan_waves(
    folder: Path, planned_shards: Mapping[str, pa.Table], untrusted_files: Collection[str] = ()
) -> Iterator[list[ShardPlan]]:
    """Yield the shards to write, in waves: a shard comes after all that it copies from."""
    ids: dict[str, pa.ChunkedArray] = {}  # of images by file: those that are there come first
    for path in sorted(folder.glob("*.parquet")):
        if path.name not in untrusted_files:
            ids[path.name] = read_column(path, "image_id")
    new_files = [name for name in planned_shards if name not in ids]
    for name in new_files:
        ids[name] = planned_shards[name]["image_id"]

    waves: dict[int, list[ShardPlan]] = {}
    wave_of: dict[str, int] = {}
    owners = ImageOwners(ids)
    for name in new_files:
        shard = owners.plan_shard(name, planned_shards[name])
        wave = 0
        for owner in shard.owners:
            if owner in wave_of:  # else the file is there already
                wave = max(wave, wave_of[owner] + 1)
        wave_of[name] = wave
        waves.setdefault(wave, []).append(shard)
    for wave in sorted(waves):
        yield waves[wave]


class ImageOwners:
    """Which row, over several files, is the first that shows an image.

    Args:
        ids: file -> ids of its images, row by row
    """

    def __init__(self, ids: Mapping[str, pa.ChunkedArray]) -> None:
        self.files = [*ids]
        columns = [*ids.values()]
        sizes = [len(column) for column in columns]
        self.starts = np.cumsum([0, *sizes])  # (F + 1,) first row of each file
        self.owner_rows = _first_rows(columns)

    def plan_shard(self, name: str, rows: pa.Table) -> ShardPlan:
        """Say where the images of one of the files come from; rows: (n,) of it."""
        i = self.files.index(name)
        start, end = self.starts[i : i + 2]
        owner_rows = self.owner_rows[start:end]
        file = np.searchsorted(self.starts, owner_rows, side="right") - 1
        owners = np.unique(file[file != i])
        if len(owners) > MAX_OWNERS:
            file[:] = i
            owners = owners[:0]
        owner = np.searchsorted(owners, file)
        owner[file == i] = -1
        row = owner_rows - self.starts[file]
        return ShardPlan(
            name=name,
            rows=rows,
            owners=tuple(self.files[j] for j in owners),
            owner=owner.astype(np.int32),
            owner_row=row.astype(np.int32),
        )


def _first_rows(ids: list[pa.ChunkedArray]) -> NDArray[np.int64]:
    """Return for every row, over all files, the first row that shows the same image."""
    chunks = []
    for column in ids:
        chunks += column.chunks
    all_ids = pa.chunked_array(chunks, pa.string()).combine_chunks()
    encoded = all_ids.dictionary_encode()
    code: NDArray[np.int32] = encoded.indices.to_numpy()
    _, first_row = np.unique(code, return_index=True)
    return first_row[code]


def write_shard(job: WriteJob, shard: ShardPlan) -> WrittenShard:
    """Write one file.

    Raises:
        OSError, ValueError, LookupError: an image cannot be read, or the file cannot be written
    """
    ids = shard.rows["image_id"].to_pylist()
    images: dict[str, bytes] = {}
    origins = shard.rows["origin"].to_pylist()
    own_rows = np.flatnonzero(shard.owner < 0)
    own_images = {(ids[row], origins[row]) for row in own_rows}
    for image_id, origin in sorted(own_images):  # neighbours in an archive are read together
        images[image_id] = _encode_image(job, image_id, origin)
    for i, name in enumerate(shard.owners):
        rows = np.flatnonzero(shard.owner == i)
        owner_rows = shard.owner_row[rows]
        copies = _copy_images(job.folder / name, owner_rows)
        for row, owner_row in zip(rows, owner_rows, strict=True):
            image_id = ids[row]
            images[image_id] = copies[owner_row]
    encoded = [images[image_id] for image_id in ids]
    path = job.folder / shard.name
    with files.atomic_write(path) as draft:
        parquet.write_parquet(draft, shard.rows, encoded, job.classes)
        digest = files.digest(draft)
    return WrittenShard(shard.name, len(ids), digest)


def _encode_image(job: WriteJob, image_id: str, origin: str) -> bytes:
    picture = _read_image(job, image_id, origin)
    try:
        return encode_picture(picture, job.storage)
    except ValueError as error:
        raise ValueError(
            f"image {image_id!r} of {job.dataset}: {error}: replace the file"
        ) from error


def _read_image(job: WriteJob, image_id: str, origin: str) -> Picture:
    try:
        return _reader(job).read(image_id)
    except (LookupError, OSError) as error:
        if origin != "web" or job.inputs.store is not None:
            raise
        raise FileNotFoundError(
            f"web image {image_id!r} of {job.dataset} is not among its images ({error}): "
            f"{_store_remedy(job.dataset)}"
        ) from error


def _store_remedy(dataset: str) -> str:
    """Say which store to give: the one at the place where `cnlw fetch` keeps it, if it is there."""
    usual = usual_store(dataset)
    if is_store(usual):
        return f"give --store {usual}"
    return "fetch the candidates with `cnlw fetch`, and give their folder with --store"


@lru_cache(maxsize=1)
def _reader(job: WriteJob) -> CompositeReader:
    return open_reader(job.dataset, job.donors, job.inputs)


def _copy_images(path: Path, rows: NDArray[np.int32]) -> dict[int, bytes]:
    """Return the encoded images of some rows of a shard, by row; a row may repeat."""
    distinct_rows = pa.array(rows).unique()
    column = read_column(path, "image").combine_chunks()
    encoded = column.field("bytes")
    images = encoded.take(distinct_rows)
    row_numbers = distinct_rows.to_pylist()
    return dict(zip(row_numbers, images.to_pylist(), strict=True))


def read_column(path: Path, column: str) -> pa.ChunkedArray:
    """Return a column of a shard.

    Raises:
        ValueError: the file cannot be read
    """
    remedy = "delete it and run the same `cnlw build` again"
    return read_table(path, [column], remedy)[column]
