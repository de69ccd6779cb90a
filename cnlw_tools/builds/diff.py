"""In how many slots, and how, two plans differ, or two builds config by config.

A slot is a split and the base image that was there before any noise. Where noise repeats an image,
its slots are numbered.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from hashlib import sha256
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools.card import sample_grid
from cnlw_tools.card.metadata import ConfigCard, read_card
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.withdrawal import WITHDRAWN, read_withdrawn
from cnlw_tools.files.parquet import PARQUET, read_table
from cnlw_tools.files.untrusted import translate_errors
from cnlw_tools.plans.info import read_plan_info

PLAN_COLUMNS = ("image_id", "label", "clean_label", "origin", "is_noisy")
COLUMNS = (*PLAN_COLUMNS, "image")  # the last in builds alone
SEPARATOR = "\x1f"  # between the parts of a slot
REMEDY = "see what `cnlw validate` says"
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
        return self.only_a == self.only_b == self.differ == 0


def read_plans(path: Path) -> Mapping[str, pa.Table]:
    """Return the plan of a file under the name "plan", or every config of a build under its own.

    Raises:
        ValueError: the path is neither
    """
    if not path.is_dir():
        return {"plan": tables.read_plan(path)}
    data = path / "data"
    shards = {}
    for shard_path in sorted(data.glob("*.parquet")):
        shards[shard_path.name] = read_shard(shard_path)
    plans = {}
    for name, config in read_card(path).configs.items():
        plans[name] = _collect_config(shards, config)
    return plans


def read_images(folder: Path, ids: Sequence[str]) -> dict[str, Image.Image]:
    """Return images of a build by id.

    Raises:
        ValueError: the path is not a build, or an image of it cannot be read
        LookupError: the build has no such image
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: a plan contains no images: give the folder of a build")
    data = folder / "data"
    shards = {}
    for path in sorted(data.glob("*.parquet")):
        shards[path.name] = read_table(path, ["image_id"], REMEDY)
    images = sample_grid.read_images(data, shards, set(ids))
    for image_id in ids:
        if image_id not in images:
            raise LookupError(f"{folder}: it has no image {image_id!r}: {REMEDY}")
    return images


def withdrawn_images(path: Path) -> frozenset[str]:
    """Return the ids of the images that a plan or a build left out.

    Args:
        path: the file of a plan, or the folder of a build

    Raises:
        ValueError: the path is neither
    """
    if not path.is_dir():
        return frozenset(read_plan_info(tables.read_plan(path), str(path)).withdrawn)
    table = path / "tables" / f"{WITHDRAWN}.parquet"
    if not table.exists():
        return frozenset()
    return frozenset(read_withdrawn(table)["image_id"].to_pylist())


def compare_plans(a: pa.Table, b: pa.Table) -> Difference:
    """Compare two plans slot by slot, whatever the order of their rows."""
    a = _with_slots(a)
    b = _with_slots(b)
    slots_b = b["slot"].combine_chunks()
    row_in_b = pc.index_in(a["slot"], slots_b)
    common_a = a.filter(row_in_b.is_valid())
    common_b = b.take(row_in_b.drop_null())
    n_common = len(common_a)
    by_column: dict[str, int] = {}
    differs = np.zeros(n_common, bool)
    for name in _columns(common_a):
        differs_here = _differing_rows(common_a[name], common_b[name])
        differs |= differs_here
        if differs_here.any():
            by_column[name] = int(differs_here.sum())
    differing_slots = common_a["slot"].filter(pa.array(differs))
    examples = differing_slots[:N_EXAMPLES].to_pylist()
    return Difference(
        slots=len(a) + len(b) - n_common,
        only_a=len(a) - n_common,
        only_b=len(b) - n_common,
        differ=int(differs.sum()),
        by_column=by_column,
        examples=[_base_image(slot) for slot in examples],
    )


def list_differences(
    a: pa.Table, b: pa.Table, withdrawn: Set[str] = frozenset()
) -> Iterator[tuple[str, str, str, str]]:
    """Yield for each slot that differs: kind, slot, image in the first, image in the second.

    Kinds: withdrawn (one of the two left the image or the slot out), substituted (another image),
    changed (other contents), missing (in one alone).

    Args:
        a: the first plan
        b: the second plan
        withdrawn: ids of the images that only one of them left out
    """
    columns = _columns(a)
    a = _with_slots(a).select(["slot", *columns])
    b = _with_slots(b).select(["slot", *columns])
    joined = a.join(b, "slot", join_type="full outer", right_suffix=" b")
    rows = joined.to_pylist()
    rows.sort(key=itemgetter("slot"))
    for row in rows:
        if _is_same(row, columns):
            continue
        image_a = row["image_id"]
        image_b = row["image_id b"]
        slot = _base_image(row["slot"])
        is_withdrawn = not withdrawn.isdisjoint((slot, image_a, image_b))
        kind = "withdrawn" if is_withdrawn else _kind_of_difference(image_a, image_b)
        yield kind, slot, image_a or "", image_b or ""


def _is_same(row: Mapping[str, object], columns: Sequence[str]) -> bool:
    """Return whether a row that joins two plans has the same in both."""
    contents_a = [row[name] for name in columns]
    contents_b = [row[f"{name} b"] for name in columns]
    return contents_a == contents_b


def _kind_of_difference(image_a: str | None, image_b: str | None) -> str:
    if image_a is None or image_b is None:
        return "missing"
    return "changed" if image_a == image_b else "substituted"


def _columns(plan: pa.Table) -> list[str]:
    names = plan.column_names
    return [name for name in COLUMNS if name in names]


def _with_slots(plan: pa.Table) -> pa.Table:
    """Return the plan with a column `slot`: split, base image, and its number among equal ones."""
    base_image = pc.coalesce(plan["replaces"], plan["image_id"])
    name = pc.binary_join_element_wise(plan["split"], base_image, SEPARATOR)
    name = name.combine_chunks()
    code = name.dictionary_encode().indices.to_numpy()
    number = pa.array(_numbers_among_equals(code))
    number = number.cast(pa.string())
    slot = pc.binary_join_element_wise(name, number, SEPARATOR)
    return plan.append_column("slot", slot)


def _numbers_among_equals(code: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return (n,) how many equal codes come before each code."""
    order = np.argsort(code, kind="stable")
    sorted_code = code[order]
    first_place = np.searchsorted(sorted_code, sorted_code)
    place = np.arange(len(code))
    number = np.empty_like(place)
    number[order] = place - first_place
    return number


def _base_image(slot: str) -> str:
    _split, base_image, _number = slot.split(SEPARATOR)
    return base_image


def _differing_rows(a: pa.ChunkedArray, b: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return (n,) in which rows two columns differ; a null differs from every value."""
    null_a = a.is_null()
    null_b = b.is_null()
    any_null = pc.or_(null_a, null_b)
    one_null = pc.xor(null_a, null_b)
    other_value = pc.not_equal(a, b)
    differs = pc.if_else(any_null, one_null, other_value)
    mask: NDArray[np.bool_] = differs.to_numpy()
    return mask


def read_shard(path: Path) -> pa.Table:
    """Return the rows of a shard, with the sha256 of each image instead of the image.

    Raises:
        ValueError: it cannot be read
    """
    columns = ["image", *PLAN_COLUMNS, "replaces"]
    rows = read_table(path, columns, REMEDY)
    with translate_errors(path, PARQUET, REMEDY):
        images = rows["image"].combine_chunks().field("bytes").to_pylist()
    digests = []
    for image in images:
        digest = sha256(image or b"")
        digests.append(digest.hexdigest())
    rows = rows.set_column(0, "image", pa.array(digests, pa.string()))
    return rows.replace_schema_metadata()


def _collect_config(shards: Mapping[str, pa.Table], config: ConfigCard) -> pa.Table:
    """Return the rows of a config, with their splits.

    Raises:
        ValueError: there are none
    """
    parts = []
    for split, segments in config.segments.items():
        for name, rows in shards.items():
            segment, _, _ = name.partition("-")
            if segment in segments:
                column = pa.array([split] * len(rows), pa.string())
                parts.append(rows.append_column("split", column))
    if not parts:
        raise ValueError("the shards of a config are missing: run `cnlw validate`")
    return pa.concat_tables(parts)
