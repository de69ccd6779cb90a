"""How configs share rows: those that noise may fall on are cut into segments at the levels of the benchmark's grid.

    corruption order 0 %   5 %  10 %  15 %  20 %    30 %    40 %  ...  100 %
    red_10           |noisy |noisy |clean |clean | clean | clean | ...          clean segments are those of
    blue_40          |noisy |noisy |noisy |noisy | noisy | noisy | clean ...    every config that has them clean

A segment is named by what it holds, so two configs that agree on it share its files, whatever their noise
or level, and a level off the grid only adds the two parts of the one segment that it cuts. Inside a segment
rows are in the order of a key that has nothing to do with noise; the examples of one image stand together, in
the order of a number of image and given label, for a file stores their image once.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools import hashing, prng
from cnlw_tools.dataset import tables
from cnlw_tools.images.pixels import Storage
from cnlw_tools.noise.base import n_noisy
from cnlw_tools.plan.info import read_plan_info
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS

FILE = re.compile(r"[0-9a-f]{16}-\d{5}-of-\d{5}\.parquet")
ORDER = (
    1 << 63
)  # seed of the keys that rows are stored by: no recipe's, or their order would tell who is noisy


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows that configs share as a whole."""

    name: str  # 16 hex digits
    rows: pa.Table  # of the PLAN schema
    most: int  # images of a file: what a worker takes at a time, and what a kill can lose

    def files(self) -> dict[str, pa.Table]:
        """Return the rows of each of its files; all examples of an image lie in one."""
        ids = self.rows["image_id"]
        begins = np.append(0, 1 + np.flatnonzero(pc.not_equal(ids[1:], ids[:-1]).to_numpy()))
        ends = [*begins[:: self.most], len(ids)]
        count = len(ends) - 1
        names = [f"{self.name}-{i:05d}-of-{count:05d}.parquet" for i in range(count)]
        parts = (np.arange(lo, hi) for lo, hi in pairwise(ends))
        return {
            name: self.rows.take(part) for name, part in zip(names, parts, strict=True)
        }  # a slice pickles whole


def cut(plan: pa.Table, how: Storage, layout: str = "bands") -> Iterator[tuple[str, Segment]]:
    """Yield the split and the segment of every part of a plan.

    Args:
        plan: as plan/plan.py makes it: rows of train and verified in the corruption order, the level in the metadata
        how: how images are stored; part of a segment's name
        layout: bands, or flat for one segment a split
    """
    info = read_plan_info(plan)
    grid = sorted({*BENCHMARK_LEVELS, info.level or 0, 100})
    banded = layout == "bands" and info.level is not None  # without levels nothing is shared
    for split in pc.unique(plan["split"]).to_pylist():
        rows = plan.filter(pc.equal(plan["split"], split))
        levels = grid if split in tables.NOISY_SPLITS and banded else [0, 100]
        ends = (
            info.ends[split]
            if banded and split in info.ends
            else [n_noisy(p, len(rows)) for p in levels]
        )
        for lo, hi in pairwise(ends):
            if hi > lo:
                yield split, _segment(rows.slice(lo, hi - lo), how)


def _segment(rows: pa.Table, how: Storage) -> Segment:
    slot = pc.coalesce(rows["replaces"], rows["image_id"])
    key = hashing.random_keys(slot, ORDER)
    among = prng.mix(key ^ rows["label"].to_numpy().astype(np.uint64))
    rows = rows.take(np.lexsort((among, key))).combine_chunks()
    what = json.dumps([hashing.digest(rows.replace_schema_metadata()), asdict(how)], sort_keys=True)
    return Segment(sha256(what.encode()).hexdigest()[:16], rows, how.shard_rows)
