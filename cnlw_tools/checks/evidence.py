"""What the checks look at: everything a build holds, read once, images in parallel.

First every shard is read: its sha256, its rows, the sha256 of every image. Then every distinct image is
decoded once. Nothing here judges; what cannot be read is kept as the sentence that says why.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools import dataset, engine, files, record
from cnlw_tools.dataset import Dataset
from cnlw_tools.export.hf import IMAGE
from cnlw_tools.images import Storage, decode, fingerprint, pixel_digest
from cnlw_tools.plan import plan
from cnlw_tools.recipe import Recipe
from cnlw_tools.record import Record

Tell = Callable[[str, int, int], None]
COLUMNS = pa.schema(
    {
        "label": pa.int64(),
        "clean_label": pa.int64(),
        "is_noisy": pa.bool_(),
        "origin": pa.string(),
        "image_id": pa.string(),
        "replaces": pa.string(),
    }
)
ROW = tuple(COLUMNS.names)  # what a shard holds beside the image


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of data/, without its pixels."""

    name: str
    sha256: str
    schema: pa.Schema
    rows: pa.Table  # COLUMNS, and `sha256` of the image's bytes
    paths: int  # rows whose image has a path, which may tell of noise
    stored: bool  # images uncompressed, every page indexed


@dataclass(frozen=True, slots=True)
class Looks:
    """One distinct image."""

    size: tuple[int, int]  # width, height
    pixels: str  # sha256 of its RGB pixels
    print: bytes  # 16 bytes, see images.fingerprint


@dataclass
class Evidence:
    """All that a build holds."""

    folder: Path
    record: Record
    dataset: Dataset | None
    workers: int = 1
    shards: dict[str, Shard] = field(default_factory=dict)
    looks: dict[str, Looks] = field(default_factory=dict)  # by the sha256 of the bytes
    plans: dict[str, pa.Table] = field(default_factory=dict)  # recomputed, by config
    broken: dict[str, str] = field(default_factory=dict)  # table, file, config or image -> why it cannot be read
    _rows: dict[str, pa.Table] = field(default_factory=dict)
    _source: dict[str, str] | None = None

    def rows(self, config: str) -> pa.Table:
        """Return all rows of a config that can be read, with the column `split`."""
        if config not in self._rows:
            parts = [
                self.shards[name].rows.append_column(
                    "split", pa.array([split] * len(self.shards[name].rows), pa.string())
                )
                for split, segments in self.record.configs[config].segments.items()
                for segment in segments
                for name in sorted(self.shards)
                if name.startswith(f"{segment}-")
            ]
            more = [pa.field("sha256", pa.string()), pa.field("split", pa.string())]
            self._rows[config] = pa.concat_tables(parts) if parts else pa.schema([*COLUMNS, *more]).empty_table()
        return self._rows[config]

    def recipe(self, config: str) -> Recipe:
        """Return the recipe that a config was drawn by."""
        return Recipe(**self.record.configs[config].recipe)

    def source_digests(self) -> dict[str, str]:
        """Return the sha256 that the source tables give for image ids."""
        if self._source is None:
            tables_ = [t for t in (self.dataset.base, self.dataset.web) if t is not None] if self.dataset else []
            known = [t.filter(pc.is_valid(t["sha256"])) for t in tables_]
            self._source = {
                k: v for t in known for k, v in zip(t["image_id"].to_pylist(), t["sha256"].to_pylist(), strict=True)
            }
        return self._source

    def same_in_source(self, *image_ids: str) -> bool:
        """Do the source tables themselves give different ids one and the same sha256?"""
        digests = {self.source_digests().get(i) for i in image_ids}
        return len(set(image_ids)) == len(image_ids) and len(digests) == 1 and None not in digests

    def train(self, config: str) -> pa.Table:
        """Return the training rows of a config."""
        rows = self.rows(config)
        return rows.filter(pc.equal(rows["split"], "train"))


def gather(folder: Path, workers: int, tell: Tell) -> Evidence:
    """Read a build.

    Raises:
        ValueError: there is no build, or its card cannot be read
    """
    said = record.load(folder)
    if set(said.images) != {f.name for f in fields(Storage)}:
        raise ValueError(f"{folder / record.CARD}: not the card of a build (images is {said.images})")
    broken: dict[str, str] = {}
    evidence = Evidence(folder, said, _tables(folder, said, broken), workers, broken=broken)
    _plans(evidence)
    names = sorted(p.name for p in (folder / "data").glob("*.parquet"))
    for i, shard in enumerate(engine.run(partial(_shard, folder / "data"), names, min(workers, max(1, len(names))))):
        tell("shards", i + 1, len(names))
        if isinstance(shard, Shard):
            evidence.shards[shard.name] = shard
        else:
            broken[shard[0]] = shard[1]
    _look(evidence, workers, tell)
    return evidence


def _tables(folder: Path, said: Record, broken: dict[str, str]) -> Dataset | None:
    try:
        return dataset.read(said.dataset, folder / "tables", folder / "tables")
    except (OSError, ValueError) as error:
        broken["tables"] = str(error)
        return None


def _plans(evidence: Evidence) -> None:
    for name, config in evidence.record.configs.items():
        try:
            if evidence.dataset is not None:
                evidence.plans[name] = plan(evidence.recipe(name), evidence.dataset, config.level)
        except (LookupError, ValueError, TypeError, AttributeError, pa.ArrowException) as error:
            evidence.broken[name] = str(error)


def _shard(data: Path, name: str) -> Shard | tuple[str, str]:
    """Read one file; hash the file and its images."""
    try:
        table = pq.read_table(data / name, partitioning=None)
        if table.schema.field("image").type != IMAGE:
            raise ValueError(f"the column image is {table.schema.field('image').type}")
        pictures = table["image"].combine_chunks()
        images = pictures.field("bytes")
        rows = table.select(ROW).cast(COLUMNS)
        if empty := [c for c in ("label", "is_noisy", "origin", "image_id") if rows[c].null_count]:
            raise ValueError(f"no value in some row of {', '.join(empty)}")
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        return name, str(error).splitlines()[0]
    hashes = [None if raw is None else sha256(raw).hexdigest() for raw in images.to_pylist()]
    paths = len(pictures) - pictures.field("path").null_count
    rows = rows.append_column("sha256", pa.array(hashes, pa.string()))
    return Shard(name, files.digest(data / name), table.schema, rows, paths, _stored(pq.read_metadata(data / name)))


def _stored(metadata: pq.FileMetaData) -> bool:
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    columns = [group.column(i) for group in groups for i in range(group.num_columns)]
    return all(
        c.has_offset_index and (c.compression == "UNCOMPRESSED" or not c.path_in_schema.startswith("image."))
        for c in columns
    )


def _look(evidence: Evidence, workers: int, tell: Tell) -> None:
    """Decode every distinct image once."""
    seen: set[str | None] = set()
    todo: list[tuple[str, NDArray[np.int64]]] = []
    for name, shard in sorted(evidence.shards.items()):
        fresh = []
        for i, digest in enumerate(shard.rows["sha256"].to_pylist()):
            if digest not in seen:
                seen.add(digest)
                fresh.append(i)
        if fresh:
            todo.append((name, np.array(fresh)))
    task = partial(_decoded, evidence.folder / "data")
    for i, (looks, broken) in enumerate(engine.run(task, todo, min(workers, max(1, len(todo))))):
        evidence.looks |= looks
        evidence.broken |= broken
        tell("images", i + 1, len(todo))


def _decoded(data: Path, job: tuple[str, NDArray[np.int64]]) -> tuple[dict[str, Looks], dict[str, str]]:
    """Decode some images of one file."""
    name, at = job
    table = pq.read_table(data / name, columns=["image"], partitioning=None)["image"].take(at).combine_chunks()
    looks, broken = {}, {}
    for row, raw in zip(at, table.field("bytes").to_pylist(), strict=True):
        try:
            if raw is None:
                raise ValueError("there are no bytes")
            image = decode(raw)
            looks[sha256(raw).hexdigest()] = Looks(image.size, pixel_digest(image), fingerprint(image))
        except ValueError as error:
            broken[f"data/{name} row {row}"] = str(error)
    return looks, broken
