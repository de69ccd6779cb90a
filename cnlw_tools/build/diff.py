"""In how many slots, and how, two plans differ, or two builds config by config.

A slot is a split and the base image that was there before any noise. Where noise repeats an image,
its slots are numbered.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools.card.metadata import ConfigCard, read_card
from cnlw_tools.dataset import tables

PLAN_COLUMNS = ("image_id", "label", "clean_label", "origin", "is_noisy")
COLUMNS = (*PLAN_COLUMNS, "image")  # the last in builds alone
SEPARATOR = "\x1f"  # between the parts of a slot
N_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """How two plans differ."""

    slots: int  # in either
    only_a: int
    only_b: int
    differ: int  # slots in both with other contents
    by_column: dict[str, int]  # slots in both that differ in a column
    examples: list[str]  # the first few slots that differ

    def is_empty(self) -> bool:
        """Return whether the plans agree in every slot."""
        return not (self.only_a or self.only_b or self.differ)


def read_plans(path: Path) -> Mapping[str, pa.Table]:
    """Return the plan of a file under the name "plan", or every config of a build under its own.

    Raises:
        ValueError: the path is neither
    """
    if not path.is_dir():
        return {"plan": tables.read_plan(path)}
    shards = {}
    for shard_path in sorted((path / "data").glob("*.parquet")):
        shards[shard_path.name] = _read_shard(shard_path)
    configs = read_card(path).configs
    return {name: _collect_config(shards, config) for name, config in configs.items()}


def compare_plans(a: pa.Table, b: pa.Table) -> Difference:
    """Compare two plans slot by slot, whatever the order of their rows."""
    a, b = _with_slots(a), _with_slots(b)
    row_in_b = pc.index_in(a["slot"], b["slot"].combine_chunks())
    common_a = a.filter(pc.is_valid(row_in_b))
    common_b = b.take(row_in_b.drop_null())
    differs = {}
    for name in _columns(common_a):
        differs[name] = _differing_rows(common_a[name], common_b[name])
    differs_anywhere = np.logical_or.reduce(list(differs.values()))
    examples = common_a.filter(pa.array(differs_anywhere))["slot"][:N_EXAMPLES].to_pylist()
    return Difference(
        slots=len(a) + len(b) - len(common_a),
        only_a=len(a) - len(common_a),
        only_b=len(b) - len(common_a),
        differ=int(differs_anywhere.sum()),
        by_column={name: int(mask.sum()) for name, mask in differs.items() if mask.any()},
        examples=[_base_image(slot) for slot in examples],
    )


def list_differences(a: pa.Table, b: pa.Table) -> Iterator[tuple[str, str, str, str]]:
    """Yield for each slot that differs: kind, slot, image in the first, image in the second.

    Kinds: substituted (another image), changed (the same image, other contents), missing (in one
        alone).
    """
    columns = _columns(a)
    a = _with_slots(a).select(["slot", *columns])
    b = _with_slots(b).select(["slot", *_columns(b)])
    joined = a.join(b, "slot", None, "full outer", "", " b")
    for row in sorted(joined.to_pylist(), key=lambda row: str(row["slot"])):
        if any(row[name] != row[f"{name} b"] for name in columns):
            image_a, image_b = row["image_id"], row["image_id b"]
            kind = _kind_of_difference(image_a, image_b)
            yield kind, _base_image(row["slot"]), image_a or "", image_b or ""


def _kind_of_difference(image_a: str | None, image_b: str | None) -> str:
    if image_a is None or image_b is None:
        return "missing"
    return "changed" if image_a == image_b else "substituted"


def _columns(plan: pa.Table) -> list[str]:
    return [name for name in COLUMNS if name in plan.column_names]


def _with_slots(plan: pa.Table) -> pa.Table:
    """Return the plan with a column `slot`: split, base image, and its number among equal ones."""
    base_image = pc.coalesce(plan["replaces"], plan["image_id"])
    name = pc.binary_join_element_wise(plan["split"], base_image, SEPARATOR).combine_chunks()
    code = name.dictionary_encode().indices.to_numpy()
    order = np.argsort(code, kind="stable")
    start = np.searchsorted(code[order], code[order])
    number = np.empty(len(code), np.int64)
    number[order] = np.arange(len(code)) - start
    text = pa.array(number).cast(pa.string())
    return plan.append_column("slot", pc.binary_join_element_wise(name, text, SEPARATOR))


def _base_image(slot: str) -> str:
    return slot.split(SEPARATOR)[1]


def _differing_rows(a: pa.ChunkedArray, b: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return (n,) in which rows two columns differ; a null differs from every value."""
    any_null = pc.or_(a.is_null(), b.is_null())
    one_null = pc.xor(a.is_null(), b.is_null())
    mask: NDArray[np.bool_] = pc.if_else(any_null, one_null, pc.not_equal(a, b)).to_numpy()
    return mask


def _read_shard(path: Path) -> pa.Table:
    """Return the rows of a shard, with the sha256 of each image instead of the image.

    Raises:
        ValueError: it cannot be read
    """
    columns = ["image", *PLAN_COLUMNS, "replaces"]
    try:
        rows = pq.read_table(path, columns=columns, partitioning=None)
        images = rows["image"].combine_chunks().field("bytes").to_pylist()
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path}: cannot be read ({reason}): see what `cnlw validate` says"
        ) from error
    digests = [sha256(image or b"").hexdigest() for image in images]
    return rows.set_column(0, "image", pa.array(digests, pa.string())).replace_schema_metadata()


def _collect_config(shards: Mapping[str, pa.Table], config: ConfigCard) -> pa.Table:
    """Return the rows of a config, with their splits.

    Raises:
        ValueError: there are none
    """
    parts = []
    for split, segments in config.segments.items():
        for name, rows in shards.items():
            if name.split("-")[0] in segments:
                parts.append(rows.append_column("split", _repeat(split, len(rows))))
    if not parts:
        raise ValueError("the shards of a config are missing: see what `cnlw validate` says")
    return pa.concat_tables(parts)


def _repeat(text: str, n: int) -> pa.Array:
    return pa.array([text] * n, pa.string())
