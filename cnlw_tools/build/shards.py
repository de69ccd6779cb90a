"""Writing the shards of a build: every distinct image is read and encoded once, by whoever needs it first.

The first row that shows an image, over the shards that stand and then the ones to write, in order, owns it.
A shard that only owns is written from the source; a shard with rows that another one owns waits for that
one and takes the encoded bytes from its file. So shards fall into waves, and the shards of a wave are
independent: two waves for blue, one for red, one a level in the flat layout.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
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

OWNERS = (
    16  # a shard that needs more files than this, as another seed's does, reads the source again
)


@dataclass(frozen=True, slots=True)
class Job:
    """What the writing of any shard needs to know."""

    folder: Path  # the build's data/
    source: str
    donors: tuple[str, ...]
    inputs: Inputs
    how: Storage
    classes: tuple[str, ...]
    # Another one for each build: a worker opens the source anew, whose files may have been fixed since.
    build_id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True, slots=True)
class Shard:
    """One file to write."""

    name: str
    rows: pa.Table  # (n,) of the PLAN schema
    owner: tuple[str, ...]  # files that own some of its images
    file: NDArray[np.int32]  # (n,) which of these; -1: read the source
    row: NDArray[np.int32]  # (n,) row in that file


def write(
    job: Job,
    wanted: Mapping[str, pa.Table],
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
    shunned: Collection[str] = (),
) -> dict[str, str]:
    """Write the shards that do not stand yet; return the sha256 of each file written.

    Nothing is taken from ``shunned`` files, which are damaged, or somebody else's.

    Raises:
        OSError, ValueError, LookupError: an image cannot be read; what is written stands, the rest is not begun
    """
    hashes: dict[str, str] = {}
    total = sum(map(len, wanted.values()))
    done = total - sum(
        len(rows) for name, rows in wanted.items() if not (job.folder / name).exists()
    )
    for wave in waves(job.folder, wanted, shunned):
        for name, rows, digest in executor.map(partial(write_one, job), wave):
            hashes[name] = digest
            done += rows
            progress("images", done, total)
    return hashes


def waves(
    folder: Path, wanted: Mapping[str, pa.Table], shunned: Collection[str] = ()
) -> Iterator[list[Shard]]:
    """Yield the shards to write, those that wait for no other first."""
    names = sorted(p.name for p in folder.glob("*.parquet") if p.name not in shunned)
    ids = [read(folder / name, "image_id") for name in names]
    ahead = len(names)
    todo = {name: rows for name, rows in wanted.items() if name not in set(names)}
    names, ids = names + list(todo), ids + [rows["image_id"] for rows in todo.values()]
    first = _first(ids)
    begin = np.cumsum([0, *map(len, ids)])
    wave = np.zeros(len(names), int)
    shards = []
    for i in range(ahead, len(names)):
        own = first[begin[i] : begin[i + 1]]
        file = np.searchsorted(begin, own, side="right") - 1
        others = np.unique(file[file != i])
        if len(others) > OWNERS:
            others, file = others[:0], np.full(len(file), i)
        wave[i] = max((wave[j] + (j >= ahead) for j in others), default=0)
        which = np.where(file == i, -1, np.searchsorted(others, file)).astype(np.int32)
        row = (own - begin[file]).astype(np.int32)
        shards.append(Shard(names[i], todo[names[i]], tuple(names[j] for j in others), which, row))
    for number in range(wave.max(initial=0) + 1):
        if chosen := [s for s, w in zip(shards, wave[ahead:], strict=True) if w == number]:
            yield chosen


def write_one(job: Job, shard: Shard) -> tuple[str, int, str]:
    """Write one shard; return its name, how many rows it has, and its sha256."""
    ids = shard.rows["image_id"].to_pylist()
    images = {ids[i]: b"" for i in np.flatnonzero(shard.file < 0)}
    for image_id in sorted(images):  # neighbours in an archive are read one after the other
        images[image_id] = _encoded(job, image_id)
    for k, name in enumerate(shard.owner):
        at = np.flatnonzero(shard.file == k)
        at = at[
            np.unique(shard.row[at], return_index=True)[1]
        ]  # of an image that comes again, once
        taken = (
            read(job.folder / name, "image")
            .field("bytes")
            .take(pa.array(shard.row[at]))
            .to_pylist()
        )
        images |= dict(zip((ids[i] for i in at), taken, strict=True))
    data = [images[i] for i in ids]
    path = job.folder / shard.name
    with files.atomic_write(path) as draft:
        parquet.write(draft, shard.rows, data, job.classes)
        digest = files.digest(draft)
    return shard.name, len(data), digest


def read(path: Path, column: str) -> pa.Array:
    """Return a column of a shard that stands.

    Raises:
        ValueError: the file cannot be read
    """
    try:
        return pq.read_table(path, columns=[column], partitioning=None)[column].combine_chunks()
    except (pa.ArrowException, OSError, KeyError) as error:
        why = str(error).splitlines()[0]
        raise ValueError(
            f"{path}: cannot be read ({why}): delete it and run the same `cnlw build` again"
        ) from error


def _encoded(job: Job, image_id: str) -> bytes:
    try:
        return encode_picture(_reader(job).read(image_id), job.how)
    except ValueError as error:
        raise ValueError(
            f"image {image_id!r} of {job.source}: {error}: replace the file"
        ) from error


@lru_cache(maxsize=1)
def _reader(job: Job) -> CompositeReader:
    return open_reader(job.source, job.donors, job.inputs)


def _first(ids: list[pa.ChunkedArray]) -> NDArray[np.int64]:
    """Return for every row, over all files, the first row that shows the same image."""
    column = pa.chunked_array(
        [c for part in ids for c in getattr(part, "chunks", [part])], pa.string()
    )
    codes: NDArray[np.int32] = column.combine_chunks().dictionary_encode().indices.to_numpy()
    at = np.empty(codes.max(initial=-1) + 1, np.int64)
    at[codes[::-1]] = np.arange(len(codes))[::-1]
    return at[codes]
