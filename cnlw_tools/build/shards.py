"""Writing the shards of a build. Every distinct image is read and encoded once.

The first row that shows an image owns it, in the order of the files that are there and then of
those to write. A shard whose rows own all their images is written from the source. A shard that
shows an image of another file waits for that file, and copies the encoded bytes from it. So shards
are written in waves, and those of one wave do not depend on each other: two waves for blue noise,
one for red, one a level in the flat layout.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools import files
from cnlw_tools.build import parquet
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.images.pixels import Storage, encode_picture
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import open_reader
from cnlw_tools.sources.composite import CompositeReader

# A shard that would copy from more files than this, as that of another seed would, reads the source
# again.
MAX_OWNERS = 16


@dataclass(frozen=True, slots=True)
class WriteJob:
    """What the writing of any shard needs to know."""

    folder: Path  # the build's data/
    source: str
    donors: tuple[str, ...]
    inputs: Inputs
    storage: Storage
    classes: tuple[str, ...]
    # New for each build, so that workers open the source again: its files may have been fixed
    # since.
    build_id: str = field(default_factory=lambda: uuid4().hex)


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
    total = sum(len(rows) for rows in planned_shards.values())
    missing = [name for name in planned_shards if not (job.folder / name).exists()]
    done = total - sum(len(planned_shards[name]) for name in missing)
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
    old_names = sorted({path.name for path in folder.glob("*.parquet")} - {*untrusted_files})
    new_names = [name for name in planned_shards if name not in set(old_names)]
    names = old_names + new_names
    ids = [read_column(folder / name, "image_id") for name in old_names]
    ids += [planned_shards[name]["image_id"] for name in new_names]
    starts = np.cumsum([0, *map(len, ids)])
    owner_rows = _first_rows(ids)

    waves: dict[int, list[ShardPlan]] = {}
    wave_of: dict[str, int] = {}
    for i in range(len(old_names), len(names)):
        rows_of_images = owner_rows[starts[i] : starts[i + 1]]
        shard = _plan_shard(i, names, planned_shards[names[i]], rows_of_images, starts)
        wave = max((1 + wave_of[name] for name in shard.owners if name in wave_of), default=0)
        wave_of[shard.name] = wave
        waves.setdefault(wave, []).append(shard)
    for wave in sorted(waves):
        yield waves[wave]


def _plan_shard(
    i: int,
    names: list[str],
    rows: pa.Table,
    owner_rows: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> ShardPlan:
    """Say where the images of one file come from.

    Args:
        i: number of the file
        names: of all F files
        rows: (n,) of this file
        owner_rows: (n,) row that owns each image, counted over all files
        starts: (F + 1,) first row of each file
    """
    file = np.searchsorted(starts, owner_rows, side="right") - 1
    owners = np.unique(file[file != i])
    if len(owners) > MAX_OWNERS:
        owners, file = owners[:0], np.full(len(file), i)
    owner = np.where(file == i, -1, np.searchsorted(owners, file)).astype(np.int32)
    row = (owner_rows - starts[file]).astype(np.int32)
    return ShardPlan(names[i], rows, tuple(names[j] for j in owners), owner, row)


def _first_rows(ids: list[pa.ChunkedArray]) -> NDArray[np.int64]:
    """Return for every row, over all files, the first row that shows the same image."""
    chunks = []
    for column in ids:
        chunks += column.chunks
    column = pa.chunked_array(chunks, pa.string()).combine_chunks()
    codes: NDArray[np.int32] = column.dictionary_encode().indices.to_numpy()
    first_row = np.empty(codes.max(initial=-1) + 1, np.int64)
    first_row[codes[::-1]] = np.arange(len(codes))[::-1]  # backwards, so that the first row stays
    return first_row[codes]


def write_shard(job: WriteJob, shard: ShardPlan) -> WrittenShard:
    """Write one file.

    Raises:
        OSError, ValueError, LookupError: an image cannot be read, or the file cannot be written
    """
    ids = shard.rows["image_id"].to_pylist()
    images = _encode_images(job, {ids[i] for i in np.flatnonzero(shard.owner < 0)})
    for k, name in enumerate(shard.owners):
        rows = np.flatnonzero(shard.owner == k)
        _, first = np.unique(shard.owner_row[rows], return_index=True)
        rows = rows[first]  # each image once, however many rows show it
        copies = _copy_images(job.folder / name, shard.owner_row[rows])
        images |= dict(zip([ids[row] for row in rows], copies, strict=True))
    path = job.folder / shard.name
    with files.atomic_write(path) as draft:
        parquet.write_parquet(
            draft, shard.rows, [images[image_id] for image_id in ids], job.classes
        )
        digest = files.digest(draft)
    return WrittenShard(shard.name, len(ids), digest)


def _encode_images(job: WriteJob, ids: Collection[str]) -> dict[str, bytes]:
    """Read images from the source, in the order of their ids: neighbours in an archive together."""
    return {image_id: _encode_image(job, image_id) for image_id in sorted(ids)}


def _encode_image(job: WriteJob, image_id: str) -> bytes:
    try:
        return encode_picture(_reader(job).read(image_id), job.storage)
    except ValueError as error:
        raise ValueError(
            f"image {image_id!r} of {job.source}: {error}: replace the file"
        ) from error


@lru_cache(maxsize=1)
def _reader(job: WriteJob) -> CompositeReader:
    return open_reader(job.source, job.donors, job.inputs)


def _copy_images(path: Path, rows: NDArray[np.int32]) -> list[bytes]:
    """Return the encoded images of some rows of a shard."""
    encoded = read_column(path, "image").combine_chunks().field("bytes")
    images: list[bytes] = encoded.take(pa.array(rows)).to_pylist()
    return images


def read_column(path: Path, column: str) -> pa.ChunkedArray:
    """Return a column of a shard.

    Raises:
        ValueError: the file cannot be read
    """
    try:
        return pq.read_table(path, columns=[column], partitioning=None)[column]
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path}: cannot be read ({reason}): delete it and run the same `cnlw build` again"
        ) from error
