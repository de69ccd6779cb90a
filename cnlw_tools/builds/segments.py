"""How configs share rows: splits with noise are cut into segments at the benchmark's levels.

    corruption order   0 %   5 %  10 %  15 %  20 %   30 %   40 % ... 100 %
    red_10             |noisy|noisy|clean|clean|clean |clean |    ...
    blue_40            |noisy|noisy|noisy|noisy|noisy |noisy |clean ...

A segment is named by what it holds, so configs share the files of every segment that they agree
on, whatever their noise or level: all configs in which a segment is clean share it. A level that is
not one of the benchmark's cuts one segment in two, and shares the others.

Inside a segment rows are in the order of a key that does not depend on noise. The examples of one
image stand together, since a file stores their image once; they are in the order of a hash of image
and label.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import prng
from cnlw_tools.dataset import hashing, tables
from cnlw_tools.dataset.row_selection import BLOCK_ROWS, filter_rows, mark_rows, take_rows
from cnlw_tools.dataset.shared_chunks import CHUNK_ROWS, ChunkStock
from cnlw_tools.files.mapped import release_pages, zeros
from cnlw_tools.images.pixels import Storage
from cnlw_tools.noise.base import all_rows, n_noisy, sort_by_key
from cnlw_tools.plans.info import PlanInfo, read_plan_info
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS

SHARD_NAME = re.compile(r"[0-9a-f]{16}-\d{5}-of-\d{5}\.parquet")

# Seed of the keys that rows are stored by. No recipe may have it: the order would tell who is
# noisy.
STORAGE_SEED = 1 << 63


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows that configs share as a whole."""

    name: str  # 16 hex digits
    rows: pa.Table  # of the PLAN schema
    images_per_file: int  # what a worker takes at a time, and what a kill can lose

    def files(self) -> "FileRows":
        """Return the rows of each file, by its name; all examples of an image are in one file."""
        n = len(self.rows)
        file_starts = self._image_starts()[:: self.images_per_file]
        n_files = len(file_starts)
        bounds = np.append(file_starts, n).tolist()
        slices = {}
        for i, (start, end) in enumerate(pairwise(bounds)):
            name = f"{self.name}-{i:05d}-of-{n_files:05d}.parquet"
            slices[name] = (self.rows, start, end)
        return FileRows(slices)

    def _image_starts(self) -> NDArray[np.int64]:
        """Return the first row of each image; the rows of an image stand together."""
        ids = self.rows["image_id"]
        is_other_image = pc.not_equal(ids[1:], ids[:-1])
        starts = np.flatnonzero(is_other_image.to_numpy())
        return np.append(0, starts + 1)


class FileRows(Mapping[str, pa.Table]):
    """The rows of files by name; they are cut from their segment each time somebody asks.

    A build of millions of rows has tens of thousands of files, and a slice of Arrow takes 3.5 kB.

    Args:
        slices: the segment of each file, its first row in there, and the row after its last one
    """

    def __init__(self, slices: Mapping[str, tuple[pa.Table, int, int]]) -> None:
        self._slices = dict(slices)

    def __getitem__(self, name: str) -> pa.Table:
        rows, start, end = self._slices[name]
        return rows.slice(start, end - start)

    def __iter__(self) -> Iterator[str]:
        return iter(self._slices)

    def __len__(self) -> int:
        return len(self._slices)

    def __or__(self, other: "FileRows") -> "FileRows":
        """Return the rows of the files of both."""
        return FileRows(self._slices | other._slices)

    def select(self, names: Iterable[str]) -> "FileRows":
        """Return the rows of some of the files."""
        return FileRows({name: self._slices[name] for name in names})


class SegmentStock:
    """The segments of several plans, each made once; their rows lie on the disk.

    Args:
        storage: how images are stored; part of the names of segments
        layout: shared, or flat for one segment a split
    """

    def __init__(self, storage: Storage, layout: str = "shared") -> None:
        self.storage, self.layout = storage, layout
        self._segments: dict[str, Segment] = {}  # by digest of their rows, as they stand in a plan
        self._chunks = ChunkStock()

    def cut(self, plan: pa.Table) -> Iterator[tuple[str, Segment]]:
        """Yield the split and the segment of every part of a plan.

        Args:
            plan: as plans/plan.py makes it, rows of train and verified in the corruption order

        Raises:
            OSError: the folder of temporary files is full
        """
        info = read_plan_info(plan)
        plan = plan.replace_schema_metadata()
        for split in pc.unique(plan["split"]).to_pylist():
            rows = filter_rows(plan, mark_rows(plan["split"], partial(pc.equal, pa.scalar(split))))
            for start, end in pairwise(_bounds(split, len(rows), info, self.layout)):
                if end > start:
                    yield split, self._find(rows.slice(start, end - start))

    def _find(self, rows: pa.Table) -> Segment:
        """Return the segment of some rows of a plan."""
        digest = hashing.digest(rows)
        if digest not in self._segments:
            self._segments[digest] = self._make(rows)
        return self._segments[digest]

    def _make(self, rows: pa.Table) -> Segment:
        order = _storage_order(rows)
        parts = []
        for start in range(0, len(rows), CHUNK_ROWS):
            part = take_rows(rows, order[start : start + CHUNK_ROWS])
            parts.append(self._chunks.share(part))
        rows = pa.concat_tables(parts)
        contents = json.dumps([hashing.digest(rows), asdict(self.storage)], sort_keys=True)
        content_hash = sha256(contents.encode()).hexdigest()
        release_pages()
        return Segment(content_hash[:16], rows, self.storage.shard_rows)


def cut_segments(
    plan: pa.Table, storage: Storage, layout: str = "shared"
) -> Iterator[tuple[str, Segment]]:
    """Yield the split and the segment of every part of one plan; see `SegmentStock`."""
    return SegmentStock(storage, layout).cut(plan)


def _bounds(split: str, n: int, info: PlanInfo, layout: str) -> list[int]:
    """Return where the segments of a split with n rows begin and end."""
    whole = [0, n]
    if layout != "shared" or info.level is None:  # noise without levels shares nothing
        return whole
    if split in info.ends:
        return list(info.ends[split])
    if split not in tables.NOISY_SPLITS:
        return whole
    levels = sorted({*BENCHMARK_LEVELS, info.level, 100})
    return [n_noisy(level, n) for level in levels]


def _storage_order(rows: pa.Table) -> NDArray[np.integer]:
    """Return the (n,) order of rows in a segment: by image, then by given label, both hashed."""
    key, key_with_label = zeros(len(rows), np.uint64), zeros(len(rows), np.uint64)
    for start in range(0, len(rows), BLOCK_ROWS):
        part = rows.slice(start, BLOCK_ROWS)
        slot = pc.coalesce(part["replaces"], part["image_id"])
        block = slice(start, start + len(part))
        key[block] = hashing.random_keys(slot, STORAGE_SEED)
        label = part["label"].to_numpy().astype(np.uint64)
        key_with_label[block] = prng.mix(key[block] ^ label)
    by_label = sort_by_key(all_rows(len(rows), zeros), key_with_label, zeros)
    return sort_by_key(by_label, key, zeros)
