"""Reading a build once, images in parallel: first every shard, then every distinct image.

Nothing here judges; what cannot be read is kept as the sentence that says why.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from operator import itemgetter
from pathlib import Path

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cnlw_tools import files
from cnlw_tools.build.parquet import IMAGE
from cnlw_tools.card import metadata
from cnlw_tools.checks.evidence import COLUMNS, ROW, Evidence, Looks, Shard
from cnlw_tools.dataset import dataset
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.images.pixels import (
    Picture,
    Storage,
    decode,
    encode_picture,
    fingerprint,
    pixel_digest,
)
from cnlw_tools.plan.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import open_reader
from cnlw_tools.sources.composite import CompositeReader

TOLERANCE = (
    8  # mean difference of a pixel from the source's, of 255, where another Pillow made the build
)


@dataclass(frozen=True, slots=True)
class _Job:
    """What the reading of any image needs to know."""

    data: Path  # the folder of the shards
    source: str | None  # of the dataset; none: its images are not here
    donors: tuple[str, ...]  # whose images are here
    all_donors: frozenset[str]
    inputs: Inputs
    how: Storage
    tolerance: int


def collect_evidence(
    folder: Path,
    inputs: Inputs | None = None,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> Evidence:
    """Read a build.

    Args:
        folder: of the build
        inputs: images to compare with; none: those that come with the package
        executor: where shards and images are read
        progress: is told how many of them are read

    Raises:
        ValueError: there is no build, or its card cannot be read
        FileNotFoundError: there is no store of web images where one was named
    """
    said = metadata.read_card(folder)
    found = Evidence(folder, said, inputs or Inputs(files.default_root()), executor.workers)
    try:
        found.dataset = dataset.read_tables(
            found.record.dataset, folder / "tables", folder / "tables"
        )
    except (OSError, ValueError) as error:
        found.broken_tables = str(error)
    _plans(found)
    _shards(found, executor, progress)
    _looks(found, executor, progress)
    return found


def _plans(found: Evidence) -> None:
    """Draw every plan again, from the tables in the build."""
    for name, config in found.record.configs.items():
        try:
            if found.dataset is not None:
                found.plans[name] = plan(found.recipe(name), found.dataset, config.level)
        except (LookupError, ValueError) as error:
            found.broken_plans[name] = str(error)


def _shards(found: Evidence, executor: Executor, progress: Progress) -> None:
    """Read every shard."""
    data = found.folder / "data"
    names = sorted(p.name for p in data.glob("*.parquet"))
    for i, (name, shard) in enumerate(executor.map(partial(_shard, data), names)):
        progress("shards", i + 1, len(names))
        if isinstance(shard, Shard):
            found.shards[name] = shard
        else:
            found.broken_shards[name] = shard


def _shard(data: Path, name: str) -> tuple[str, Shard | str]:
    """Read one file, hash it and its images; or say why it cannot be read."""
    try:
        file = pq.ParquetFile(data / name)
        table = file.read()
        if table.schema.field("image").type != IMAGE:
            raise ValueError(f"the column image is {table.schema.field('image').type}")
        pictures = table["image"].combine_chunks()
        images = pictures.field("bytes")
        rows = table.select(ROW).cast(COLUMNS)
        if empty := [c for c in ("label", "is_noisy", "origin", "image_id") if rows[c].null_count]:
            raise ValueError(f"no value in some row of {', '.join(empty)}")
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        return name, str(error).splitlines()[0]
    distinct = images.dictionary_encode()
    hashes = pa.array(
        [sha256(raw).hexdigest() for raw in distinct.dictionary.to_pylist()], pa.string()
    )
    rows = rows.append_column("sha256", hashes.take(distinct.indices))
    paths = len(pictures) - pictures.field("path").null_count
    return name, Shard(
        name, files.digest(data / name), table.schema, _plain(file.metadata), rows, paths
    )


def _plain(file: pq.FileMetaData) -> bool:
    """Are the images uncompressed, and the pages of every column indexed?"""
    groups = [file.row_group(i) for i in range(file.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    images = [chunk for chunk in chunks if chunk.path_in_schema == "image.bytes"]
    return all(c.has_offset_index for c in chunks) and all(
        c.compression == "UNCOMPRESSED" for c in images
    )


def _looks(found: Evidence, executor: Executor, progress: Progress) -> None:
    """Decode every distinct image of an id once, and compare it with the source where that can be opened."""
    seen: set[tuple[str | None, str]] = set()
    todo: list[tuple[str, list[int]]] = []
    for name, shard in sorted(found.shards.items()):
        fresh = []
        for i, pair in enumerate(
            zip(shard.rows["sha256"].to_pylist(), shard.rows["image_id"].to_pylist(), strict=True)
        ):
            if pair not in seen:
                seen.add(pair)
                fresh.append(i)
        if fresh:
            todo.append((name, fresh))
    donors = found.donors()
    own = found.source if found.no_source() is None else None
    opened = tuple(name for name, why in donors.items() if not why)
    tolerance = 0 if found.record.made_with.get("pillow") == PIL.__version__ else TOLERANCE
    how = found.record.images
    data = found.folder / "data"
    task = partial(
        _decoded, _Job(data, own, opened, frozenset(donors), found.inputs, how, tolerance)
    )
    for i, (looks, broken, unlike, uncompared) in enumerate(executor.map(task, todo)):
        found.looks |= looks
        found.broken_images |= broken
        found.unlike |= unlike
        found.uncompared |= uncompared
        progress("images", i + 1, len(todo))


def _decoded(
    job: _Job, part: tuple[str, list[int]]
) -> tuple[dict[str, Looks], dict[str, str], dict[str, str], set[str]]:
    """Look at some images of one file.

    Returns:
        looks by sha256; what is broken, and what is unlike its source, by place; ids of web images not compared
    """
    name, at = part
    table = pq.read_table(
        job.data / name, columns=["image", "image_id", "origin"], partitioning=None
    ).take(at)
    images = table["image"].combine_chunks().field("bytes").to_pylist()
    looks, broken, unlike, uncompared = {}, {}, {}, set()
    rows = zip(at, table["image_id"].to_pylist(), images, table["origin"].to_pylist(), strict=True)
    reader = _reader(job)
    for row, image_id, raw, origin in sorted(
        rows, key=itemgetter(1)
    ):  # neighbours in an archive one after the other
        where = f"data/{name} row {row}"
        try:
            if raw is None:
                raise ValueError("there are no bytes")
            image = decode(raw)
        except ValueError as error:
            broken[where] = str(error)
            continue
        looks[sha256(raw).hexdigest()] = Looks(image.size, pixel_digest(image), fingerprint(image))
        try:
            original = _original(reader, image_id, job.all_donors, origin)
        except (LookupError, ValueError, OSError):
            unlike[where] = image_id
            continue
        if original is None and origin == "web":
            uncompared.add(image_id)
        if original is not None and not _same(original, raw, image, job.how, job.tolerance):
            unlike[where] = image_id
    return looks, broken, unlike, uncompared


def _original(
    reader: CompositeReader, image_id: str, donors: frozenset[str], origin: str
) -> Picture | None:
    """Return the image that its source has under this id; none where that source is not here.

    Some sources have web images as well; what they do not have lies in a store.

    Raises:
        LookupError, ValueError, OSError: every source that may have the image is here, and none can give it
    """
    if not reader.can_read(image_id, donors):
        return None
    try:
        return reader.read(image_id)
    except (LookupError, FileNotFoundError):
        if origin == "web" and reader.store is None:
            return None
        raise


def _same(picture: Picture, raw: bytes, image: Image.Image, how: Storage, tolerance: int) -> bool:
    """Is this the picture of the source, but for what another version of a decoder or rasteriser may change?"""
    if isinstance(picture, bytes) or how.size is not None:
        kept = encode_picture(picture, how)
        if kept == raw:
            return True
        picture = decode(kept)
    if picture.size != image.size:
        return False
    off = np.asarray(picture.convert("RGB"), np.int16) - np.asarray(image, np.int16)
    return float(np.abs(off).mean()) <= tolerance


@lru_cache(maxsize=1)
def _reader(job: _Job) -> CompositeReader:
    return open_reader(job.source, job.donors, job.inputs)
