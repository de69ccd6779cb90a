"""Images that a build must leave out, for example because their owner asked for it.

    base images, donors' images   their rows are removed before anything is drawn
    published splits              their rows are removed
    web candidates                they stay in their order without an address, and noise skips them

A candidate keeps its place in the order, so the next reserve takes its slot, and no other slot
changes. The random numbers of an image do not depend on other images; so if base images are left
out, most other slots stay as they are.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.dataset.table_io import read_table
from cnlw_tools.files.texts import read_text
from cnlw_tools.registry.counts import count_things

WITHDRAWN = "withdrawn"  # the name of the table, and of the column of candidates
SCHEMA = pa.schema([pa.field("image_id", pa.string(), nullable=False)])
KEPT_COLUMNS = ("image_id", "label", "split", "search", "dead")  # these decide what is drawn


def read_withdrawn(path: Path) -> pa.Table:
    """Return the ids of images that must be left out.

    Args:
        path: a text file with one id a line, or a Parquet or CSV file with a column image_id

    Raises:
        ValueError: it is not such a file, it has no id, or one id twice
        FileNotFoundError: there is no such file
    """
    if path.suffix in (".parquet", ".csv"):
        ids = read_table(path, SCHEMA).select(["image_id"])
    else:
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such file: correct the path of --without")
        lines = [line.strip() for line in read_text(path).splitlines()]
        ids = pa.table({"image_id": [line for line in lines if line]}, schema=SCHEMA)
    if not len(ids):
        raise ValueError(f"{path}: it contains no image ids: write one id on each line")
    counts = ids["image_id"].value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated):
        duplicate = repeated[0].as_py()
        raise ValueError(
            f"{path}: the id {duplicate['values']!r} occurs {duplicate['counts']} times: "
            "keep each id once"
        )
    return ids


def union(tables: Collection[pa.Table | None]) -> pa.Table | None:
    """Return the ids of several such tables, sorted; none if there is no table."""
    present = [table["image_id"] for table in tables if table is not None]
    if not present:
        return None
    ids = pa.chunked_array([chunk for column in present for chunk in column.chunks], pa.string())
    unique = pc.unique(ids)
    return pa.table({"image_id": unique.take(pc.array_sort_indices(unique))}, schema=SCHEMA)


def remove_rows(table: pa.Table, withdrawn: pa.Table) -> pa.Table:
    """Return the rows of other images.

    Args:
        table: any table with a column image_id
        withdrawn: the ids of the images to leave out
    """
    return table.filter(pc.invert(_is_withdrawn(table, withdrawn)))


def mark_candidates(web: pa.Table, withdrawn: pa.Table) -> pa.Table:
    """Return candidates with a column ``withdrawn``, if any of them is, and without its address.

    Args:
        web: the web manifest
        withdrawn: the ids of the images to leave out
    """
    is_withdrawn = _is_withdrawn(web, withdrawn)
    if not pc.any(is_withdrawn).as_py():
        return web
    web = web.drop_columns([WITHDRAWN]) if WITHDRAWN in web.column_names else web
    for number, name in enumerate(web.column_names):
        if name not in KEPT_COLUMNS:
            values = pc.if_else(is_withdrawn, None, web[name])
            web = web.set_column(number, web.schema.field(name), values)
    field = pa.field(WITHDRAWN, pa.bool_(), nullable=False)
    return web.append_column(field, is_withdrawn)


def withhold(pool: pa.Table) -> pa.Table:
    """Return candidates of which those that were withdrawn are marked as unavailable too."""
    if WITHDRAWN not in pool.column_names:
        return pool
    unavailable = pool[WITHDRAWN]
    pool = pool.drop_columns([WITHDRAWN])
    if "dead" in pool.column_names:
        unavailable = pc.or_(unavailable, pool["dead"])
        pool = pool.drop_columns(["dead"])
    return pool.append_column("dead", unavailable)


def reject_unknown(
    path: Path | str, withdrawn: pa.Table, manifests: Collection[pa.Table | None]
) -> None:
    """Insist that each id is that of an image, since a wrong id would leave its image in the build.

    Args:
        path: where the ids come from
        withdrawn: the ids
        manifests: base manifest, candidates and donors

    Raises:
        ValueError: an id is in none of the manifests
    """
    ids = withdrawn["image_id"]
    is_known = np.zeros(len(ids), bool)
    for manifest in manifests:
        if manifest is not None:
            is_known |= pc.is_in(ids, pc.unique(manifest["image_id"])).to_numpy()
    unknown = ids.filter(pa.array(~is_known))
    if len(unknown):
        raise ValueError(
            f"{path}: no image has the id {unknown[0].as_py()!r}, not even one of a --donor "
            f"({count_things(len(unknown), 'such id')}): correct it, or remove the line"
        )


def _is_withdrawn(table: pa.Table, withdrawn: pa.Table) -> pa.ChunkedArray:
    return pc.is_in(table["image_id"], withdrawn["image_id"].combine_chunks())
