"""Writing the shards of a build. Every distinct image is read and encoded once.

The first row that shows an image owns it, in the order of the files that are there and then of
those to write. A shard whose rows own all their images is written from the source. A shard that
shows an image of another file waits for that file, and copies the encoded bytes from it. So files
are written in waves, and those of one wave do not depend on each other: two waves for blue noise,
one for red, one a level in the flat layout.

Where levels share rows in many ways, as published ones do, a shard would copy from dozens of
others. The images of such shards are encoded first, in blocks of the pool: Arrow files beside the
shards, from which any shard copies the rows that it needs, and which the build deletes at its end.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools import files
from cnlw_tools.builds import parquet
from cnlw_tools.builds.parquet import EncodedImages
from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.row_numbers import first_places, number_values
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.executor.job import Job, NeededFolder, find_folders, require_folders
from cnlw_tools.files import arrow
from cnlw_tools.files.mapped import zeros
from cnlw_tools.files.parquet import read_table
from cnlw_tools.images.pixels import Picture, Storage, encode_picture
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import open_reader
from cnlw_tools.sources.composite import CompositeReader
from cnlw_tools.store.store import is_store, usual_store

# A shard that would copy from more shards than this takes its images from the pool, or, if those
# shards are of an earlier build, from the source.
MAX_OWNERS = 8
BLOCK_IMAGES = 500  # of the pool: what a worker takes at a time, and what a kill can lose
BLOCK_NAME = re.compile(r"[0-9a-f]{16}\.arrow")


@dataclass(frozen=True, slots=True, eq=False)
class WriteJob(Job):
    """What the writing of any file needs to know."""

    folder: Path  # the build's data/
    dataset: str
    donors: tuple[str, ...]
    inputs: Inputs
    storage: Storage
    classes: tuple[str, ...]
    # of a published build, with which each image is compared; none: those of the dataset
    tables: Path | None = None


@dataclass(frozen=True, slots=True)
class FilePlan:
    """A shard or block to write, and where its images come from."""

    name: str
    tables: Mapping[str, pa.Table]  # the rows of this file, and of others, by name
    owners: tuple[str, ...]  # other files that own some of its images
    owner: NDArray[np.int32]  # (n,) which of them; -1: read the source
    owner_row: NDArray[np.int32]  # (n,) row in that file

    @property
    def rows(self) -> pa.Table:
        """Return the (n,) rows, of the PLAN schema; of a block, image_id and origin."""
        return self.tables[self.name]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a copy of the rows: of a slice, all rows of its segment would be pickled."""
        rows = self.rows.take(arrow.integer_array(np.arange(len(self.owner))))
        tables = {self.name: rows}
        return type(self), (self.name, tables, self.owners, self.owner, self.owner_row)


class WrittenFile(NamedTuple):
    """A file that was written."""

    name: str
    n_rows: int
    sha256: str | None  # none of a block


def write_shards(
    job: WriteJob,
    planned_shards: Mapping[str, pa.Table],
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
    untrusted_files: Collection[str] = (),
    keep_pool: bool = False,
) -> dict[str, str]:
    """Write the shards that are not there yet; return the sha256 of each file written.

    Args:
        job: what all of them need to know
        planned_shards: rows of every shard to write, by file name
        executor: where shards are written
        progress: is told how many rows are written, those of blocks included
        untrusted_files: names of files that do not count as written, and from which no image may
            be copied
        keep_pool: delete no block of the pool, since other processes may use them

    Raises:
        OSError, ValueError, LookupError: an image cannot be read; files that were written remain
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    job = replace(job, folders=_find_folders(job))
    waves = plan_waves(job, planned_shards, untrusted_files, keep_pool)
    to_write = {plan.name: len(plan.owner) for wave in waves for plan in wave}
    total = sum(to_write.values())
    for name, rows in planned_shards.items():
        total += 0 if name in to_write else len(rows)
    done = total - sum(to_write.values())
    hashes: dict[str, str] = {}
    for wave in waves:
        for written in executor.map(partial(write_file, job), wave):
            if written.sha256 is not None:
                hashes[written.name] = written.sha256
            done += written.n_rows
            progress("images", done, total)
    if not keep_pool:
        delete_pool(job.folder)
    return hashes


def plan_waves(
    job: WriteJob,
    planned_shards: Mapping[str, pa.Table],
    untrusted_files: Collection[str] = (),
    keep_pool: bool = False,
) -> list[list[FilePlan]]:
    """Return the files to write, in waves: a file comes after all that it copies from.

    Files with more images to read come first, so that all workers end at about the same time.

    Blocks of the pool that a killed build left, and this one does not need, are deleted, unless
    ``keep_pool``.
    """
    existing = _read_ids(job.folder, untrusted_files)
    new_shards = [name for name in planned_shards if name not in existing]
    pool = plan_pool(planned_shards, job.storage) if new_shards else {}
    if not keep_pool:
        delete_pool(job.folder, keep=pool)
    ids = {name: rows["image_id"] for name, rows in pool.items()}
    ids |= existing
    ids |= {name: planned_shards[name]["image_id"] for name in new_shards}

    owners = ImageOwners(ids)
    plans = [owners.plan_file(name, planned_shards, pool) for name in new_shards]
    used = {owner for plan in plans for owner in plan.owners}
    blocks = []
    for name in pool:
        if name in used and not (job.folder / name).exists():
            blocks.append(owners.plan_file(name, pool, pool))
    waves: dict[int, list[FilePlan]] = {}
    wave_of: dict[str, int] = {}
    for plan in [*blocks, *plans]:
        wave = 0
        for owner in plan.owners:
            if owner in wave_of:  # else the file is there already
                wave = max(wave, wave_of[owner] + 1)
        wave_of[plan.name] = wave
        waves.setdefault(wave, []).append(plan)
    return [sorted(waves[wave], key=_count_own_images, reverse=True) for wave in sorted(waves)]


def _count_own_images(plan: FilePlan) -> int:
    """Return how many rows of a file show an image that is read from its source."""
    return int(np.count_nonzero(plan.owner < 0))


def _read_ids(folder: Path, untrusted_files: Collection[str]) -> dict[str, pa.ChunkedArray]:
    """Return the ids of the images of all shards in a folder, by file."""
    ids = {}
    for path in sorted(folder.glob("*.parquet")):
        if path.name not in untrusted_files:
            ids[path.name] = read_column(path, "image_id")
    return ids


def plan_pool(planned_shards: Mapping[str, pa.Table], storage: Storage) -> dict[str, pa.Table]:
    """Return the blocks of the pool, by name: the images of shards that copy from many others.

    The blocks do not depend on which shards are there, so that a build that was killed finds those
    that it left.
    """
    owners = ImageOwners({name: rows["image_id"] for name, rows in planned_shards.items()})
    crowded = []
    for name, rows in planned_shards.items():
        if len(owners.find_owners(name)) > MAX_OWNERS:
            crowded.append(rows.select(["image_id", "origin"]))
    blocks: dict[str, pa.Table] = {}
    if not crowded:
        return blocks
    # neighbours in an archive are read together
    images = pa.concat_tables(crowded).group_by(["image_id", "origin"]).aggregate([])
    images = images.sort_by("image_id").combine_chunks()
    for start in range(0, len(images), BLOCK_IMAGES):
        end = min(start + BLOCK_IMAGES, len(images))
        # A copy: of a slice, all images would be pickled.
        block = images.take(arrow.integer_array(np.arange(start, end)))
        contents = json.dumps([hashing.digest(block), asdict(storage)], sort_keys=True)
        name = f"{sha256(contents.encode()).hexdigest()[:16]}.arrow"
        blocks[name] = block
    return blocks


def delete_pool(folder: Path, keep: Collection[str] = ()) -> None:
    """Delete the blocks of the pool, except those of some names."""
    for path in folder.glob("*.arrow"):
        if BLOCK_NAME.fullmatch(path.name) and path.name not in keep:
            path.unlink()


class ImageOwners:
    """Which row, over several files, is the first that shows an image.

    Args:
        ids: file -> ids of its images, row by row
    """

    def __init__(self, ids: Mapping[str, pa.ChunkedArray]) -> None:
        self.files = [*ids]
        self.numbers = {name: number for number, name in enumerate(self.files)}
        columns = [*ids.values()]
        sizes = [len(column) for column in columns]
        self.starts = np.cumsum([0, *sizes])  # (F + 1,) first row of each file
        self.owner_rows = _first_rows(columns)
        # of the files that are planned; for millions of rows, on the disk
        self.planned_owners = zeros(len(self.owner_rows), np.int32)
        self.planned_rows = zeros(len(self.owner_rows), np.int32)

    def find_owners(self, name: str) -> NDArray[np.int64]:
        """Return the numbers of the other files that own images of a file."""
        file, _ = self._owner_files(name)
        owners: NDArray[np.int64] = np.unique(file[file != self.numbers[name]])
        return owners

    def main_owner(self, name: str) -> str:
        """Return the file that owns most images of a file, by rows; it may be the file itself."""
        file, _ = self._owner_files(name)
        return self.files[np.bincount(file).argmax()]

    def plan_file(
        self, name: str, tables: Mapping[str, pa.Table], pool: Collection[str] = ()
    ) -> FilePlan:
        """Say where the images of one of the files come from.

        Args:
            name: of the file
            tables: its rows, and those of others, by name
            pool: names of files from which any file may copy, however many they are
        """
        own = self.numbers[name]
        file, row = self._owner_files(name)
        owners = np.unique(file[file != own])
        shards = [number for number in owners if self.files[number] not in pool]
        if len(shards) > MAX_OWNERS:
            file[np.isin(file, shards)] = own
            owners = np.unique(file[file != own])
        owner = np.searchsorted(owners, file)
        owner[file == own] = -1
        place = slice(self.starts[own], self.starts[own + 1])
        self.planned_owners[place] = owner
        self.planned_rows[place] = row
        return FilePlan(
            name=name,
            tables=tables,
            owners=tuple(self.files[number] for number in owners),
            owner=self.planned_owners[place],
            owner_row=self.planned_rows[place],
        )

    def _owner_files(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return for each row of a file the file that owns its image, as a number, and the row."""
        start, end = self.starts[self.numbers[name] :][:2]
        owner_rows = self.owner_rows[start:end]
        file = np.searchsorted(self.starts, owner_rows, side="right") - 1
        return file, owner_rows - self.starts[file]


def _first_rows(ids: list[pa.ChunkedArray]) -> NDArray[np.integer]:
    """Return for every row, over all files, the first row that shows the same image."""
    chunks = [chunk for column in ids for chunk in column.chunks]
    return first_places(number_values(pa.chunked_array(chunks, pa.string())))


def write_file(job: WriteJob, plan: FilePlan) -> WrittenFile:
    """Write a shard, or a block of the pool.

    Raises:
        OSError, ValueError, LookupError: an image cannot be read, or the file cannot be written
    """
    _require_folders(job)
    images = _collect_images(job, plan)
    path = job.folder / plan.name
    digest = None
    with files.atomic_write(path) as draft:
        if BLOCK_NAME.fullmatch(plan.name):
            arrow.write_bytes(draft, images.parts[0])
        else:
            parquet.write_parquet(draft, plan.rows.combine_chunks(), images, job.classes)
            digest = files.digest(draft)
    return WrittenFile(plan.name, len(plan.rows), digest)


def _find_folders(job: WriteJob) -> tuple[NeededFolder, ...]:
    """Return the folders of a job that this machine sees."""
    inputs = job.inputs
    images = (inputs.data_dir, inputs.store, *inputs.donors.values())
    return find_folders((job.folder, job.tables, inputs.root, *images))


@lru_cache(maxsize=1)
def _require_folders(job: WriteJob) -> None:
    """Raise if this machine lacks a folder; a file written there would be on its own disk."""
    require_folders(job.folders)


def _collect_images(job: WriteJob, plan: FilePlan) -> EncodedImages:
    """Encode the images that a file owns, in the order of their ids, and copy all others."""
    n_rows = len(plan.rows)
    part, place = np.zeros(n_rows, np.int32), np.zeros(n_rows, np.int32)
    ids = plan.rows["image_id"].to_pylist()
    origins = plan.rows["origin"].to_pylist()
    own_rows = np.flatnonzero(plan.owner < 0)
    own_images = sorted({(ids[row], origins[row]) for row in own_rows})
    place_of = {image_id: number for number, (image_id, _) in enumerate(own_images)}
    place[own_rows] = [place_of[ids[row]] for row in own_rows]
    parts = [arrow.binary_array([_encode_image(job, *image) for image in own_images])]
    for number, name in enumerate(plan.owners):
        is_copied = plan.owner == number
        owner_rows, place[is_copied] = np.unique(plan.owner_row[is_copied], return_inverse=True)
        part[is_copied] = len(parts)
        parts.append(_copy_images(job.folder / name, owner_rows))
    return EncodedImages(parts, part, place)


def _encode_image(job: WriteJob, image_id: str, origin: str) -> bytes:
    picture = _read_image(job, image_id, origin)
    try:
        return encode_picture(picture, job.storage)
    except ValueError as error:
        raise ValueError(
            f"image {image_id!r} of {job.dataset} cannot be read ({error}): replace the file"
        ) from error


def _read_image(job: WriteJob, image_id: str, origin: str) -> Picture:
    try:
        return _reader(job).read(image_id)
    except (LookupError, OSError) as error:
        if origin != "web" or job.inputs.store is not None:
            raise
        raise FileNotFoundError(
            f"web image {image_id!r} of {job.dataset} is not among its images ({error}): "
            f"{store_remedy(job.dataset)}"
        ) from error


def store_remedy(dataset: str) -> str:
    """Say which store to give: the one at the place where `cnlw fetch` keeps it, if it is there."""
    usual = usual_store(dataset)
    if is_store(usual):
        return f"give --store {usual}"
    return "fetch the candidates with `cnlw fetch`, and give their folder with --store"


@lru_cache(maxsize=1)
def _reader(job: WriteJob) -> CompositeReader:
    return open_reader(job.dataset, job.donors, job.inputs, job.tables)


def _copy_images(path: Path, rows: NDArray[np.int32]) -> pa.Array:
    """Return the encoded images of some rows of a shard or a block."""
    if BLOCK_NAME.fullmatch(path.name):
        images = arrow.read_bytes(path)
    else:
        column = read_column(path, "image.bytes").combine_chunks()
        images = column.field("bytes").cast(pa.large_binary())
    return images.take(arrow.integer_array(rows))


def read_column(path: Path, column: str) -> pa.ChunkedArray:
    """Return a column of a shard.

    Raises:
        ValueError: the file cannot be read
    """
    remedy = "delete it and run the same `cnlw build` again"
    return read_table(path, [column], remedy).column(0)
