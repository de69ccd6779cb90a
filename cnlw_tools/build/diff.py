"""In how many slots, and how, two plans differ, or two builds config by config."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools.card import metadata
from cnlw_tools.dataset import tables

FIELDS = (
    "image_id",
    "label",
    "clean_label",
    "origin",
    "is_noisy",
    "image",
)  # the last in builds alone


@dataclass(frozen=True, slots=True)
class Difference:
    """How two plans differ; a slot is a split and the base image that it began with."""

    slots: int  # in either
    only_a: int
    only_b: int
    differ: int  # slots in both with other contents
    by: dict[str, int]  # column -> slots in both that differ in it
    such_as: list[str]  # the first few slots that differ

    def same(self) -> bool:
        """Do they agree in every slot?"""
        return not (self.only_a or self.only_b or self.differ)


def plans(path: Path) -> Mapping[str, pa.Table]:
    """Return the plan of a file under the name "plan", or every config of a build under its own.

    Raises:
        ValueError: the path is neither
    """
    if path.is_dir():
        held = {p.name: _shard(p) for p in sorted((path / "data").glob("*.parquet"))}
        return {
            name: _config(held, config) for name, config in metadata.read_card(path).configs.items()
        }
    return {"plan": tables.read_plan(path)}


def difference(a: pa.Table, b: pa.Table) -> Difference:
    """Compare two plans slot by slot, whatever the order of their rows."""
    a, b = _slots(a), _slots(b)
    at = pc.index_in(a["slot"], b["slot"].combine_chunks())
    both = a.filter(pc.is_valid(at))
    other = b.take(at.drop_null())
    unlike = {f: _unlike(both[f], other[f]) for f in FIELDS if f in both.column_names}
    anything = np.logical_or.reduce(list(unlike.values()))
    shown = both.filter(pa.array(anything))["slot"][:5].to_pylist()
    return Difference(
        slots=len(a) + len(b) - len(both),
        only_a=len(a) - len(both),
        only_b=len(b) - len(both),
        differ=int(anything.sum()),
        by={f: int(mask.sum()) for f, mask in unlike.items() if mask.any()},
        such_as=[slot.split("\x1f")[1] for slot in shown],
    )


def listed(a: pa.Table, b: pa.Table) -> Iterator[tuple[str, str, str, str]]:
    """Yield what becomes of each slot that differs: kind, slot, image in the first, image in the second.

    Kinds: substituted (another image), changed (the same with other contents), missing (the slot is in one alone).
    """
    a, b = _slots(a), _slots(b)
    found = a.select(["slot", *_fields(a)]).join(
        b.select(["slot", *_fields(b)]), "slot", None, "full outer", "", " b"
    )
    for row in sorted(found.to_pylist(), key=lambda row: str(row["slot"])):
        ours, theirs = row["image_id"], row["image_id b"]
        if all(row[name] == row[f"{name} b"] for name in _fields(a)):
            continue
        alone = ours is None or theirs is None
        kind = "missing" if alone else "changed" if ours == theirs else "substituted"
        yield kind, row["slot"].split("\x1f")[1], ours or "", theirs or ""


def _fields(plan: pa.Table) -> list[str]:
    return [name for name in FIELDS if name in plan.column_names]


def _slots(plan: pa.Table) -> pa.Table:
    """Give every row the name of its slot: split, first image, and a number where a slot comes several times."""
    first = pc.coalesce(plan["replaces"], plan["image_id"])
    name = pc.binary_join_element_wise(plan["split"], first, "\x1f").combine_chunks()
    codes = name.dictionary_encode().indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    begin = np.searchsorted(codes[order], codes[order])
    nth = np.empty(len(codes), np.int64)
    nth[order] = np.arange(len(codes)) - begin
    return plan.append_column(
        "slot", pc.binary_join_element_wise(name, pa.array(nth).cast(pa.string()), "\x1f")
    )


def _unlike(a: pa.ChunkedArray, b: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Mark the rows in which two columns differ, a null being unlike any value."""
    mask: NDArray[np.bool_] = pc.if_else(
        pc.or_(a.is_null(), b.is_null()), pc.xor(a.is_null(), b.is_null()), pc.not_equal(a, b)
    ).to_numpy()
    return mask


def _shard(path: Path) -> pa.Table:
    """Return the rows of a shard, the sha256 of each image in the place of the image."""
    try:
        rows = pq.read_table(path, columns=["image", *FIELDS[:-1], "replaces"], partitioning=None)
        images = [
            sha256(raw or b"").hexdigest()
            for raw in rows["image"].combine_chunks().field("bytes").to_pylist()
        ]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}): see what `cnlw validate` says"
        ) from error
    return rows.set_column(0, "image", pa.array(images, pa.string())).replace_schema_metadata()


def _config(held: Mapping[str, pa.Table], config: metadata.ConfigCard) -> pa.Table:
    """Return the rows of a config, with its splits."""
    parts = []
    for split, segments in config.segments.items():
        for name, rows in held.items():
            if name.split("-")[0] in segments:
                parts.append(
                    rows.append_column("split", pa.array([split] * len(rows), pa.string()))
                )
    if not parts:
        raise ValueError("the shards of a config are missing: see what `cnlw validate` says")
    return pa.concat_tables(parts)
