"""The rows of a plan: ids joined back onto what noise drew, and rows that noise leaves alone."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.dataset import NEAREST_CLASS, Dataset
from cnlw_tools.dataset.row_selection import BLOCK_ROWS, take_or_null, take_rows, take_values
from cnlw_tools.dataset.shared_chunks import CHUNK_ROWS
from cnlw_tools.dataset.tables import PLAN
from cnlw_tools.files.mapped import zeros
from cnlw_tools.noise import Draw
from cnlw_tools.noise.base import all_rows, sort_in_parts
from cnlw_tools.plans.subsets import base_manifest
from cnlw_tools.recipe.recipe import WHITE_NOISE_DONORS, Recipe


def build_noisy_rows(
    slots: pa.Table,
    pool: pa.Table,
    draw: Draw,
    order: NDArray[np.integer],
    split: str,
    outlier: int | None = None,
) -> Iterator[pa.Table]:
    """Yield the m rows of a plan that a draw of m examples makes, in corruption order, in parts.

    Args:
        slots: (n,) rows of the base manifest
        pool: the images that the draw brings in: image_id, origin
        draw: the examples
        order: (n,) in which the slots turn noisy
        split: of the rows
        outlier: label of the class of foreign images; None: their clean label is unknown
    """
    rows = _in_corruption_order(draw.slot, order)
    for start in range(0, max(1, len(rows)), CHUNK_ROWS):
        part = rows[start : start + CHUNK_ROWS]
        examples = Draw(draw.slot[part], draw.label[part], draw.pool[part])
        yield _build_part(slots, pool, examples, split, outlier)


def _in_corruption_order(slot: NDArray[np.integer], order: NDArray[np.integer]) -> NDArray[Any]:
    """Return (m,) examples in the order of their slots, on the disk.

    Args:
        slot: (m,) of each example; -1, an added example, comes last
        order: (n,) in which the slots turn noisy
    """
    n = len(order)
    position = zeros(n + 1, order.dtype)
    for start in range(0, n, BLOCK_ROWS):
        block = order[start : start + BLOCK_ROWS]
        position[block] = np.arange(start, start + len(block))
    position[-1] = n
    return sort_in_parts(
        all_rows(len(slot), zeros),
        lambda part: position[slot[part]],
        lambda part: position[slot[part]] // BLOCK_ROWS,
        n // BLOCK_ROWS + 1,
        zeros,
    )


def _build_part(
    slots: pa.Table, pool: pa.Table, draw: Draw, split: str, outlier: int | None
) -> pa.Table:
    """Return the rows of a plan that some examples make, in their order."""
    n, n_rows = len(slots), len(draw.slot)
    is_foreign = draw.pool >= 0
    base_label = np.zeros(n_rows, np.int32)
    has_slot = draw.slot >= 0
    base_label[has_slot] = take_values(slots["label"], draw.slot[has_slot]).to_numpy()
    foreign_label = -1 if outlier is None else outlier
    clean_label = np.where(is_foreign, foreign_label, base_label)
    is_unknown = clean_label < 0

    # images are numbered: those of the slots, then those of the pool
    image = np.where(is_foreign, n + draw.pool.astype(np.int64), draw.slot)
    image_ids = _concat(slots["image_id"].chunks + pool["image_id"].chunks)
    base_origins = repeat_value("base", n_rows)
    origins = _concat([base_origins, *pool["origin"].chunks])
    origin = np.where(is_foreign, n_rows + draw.pool.astype(np.int64), 0)
    lost_slot = np.where(is_foreign & has_slot, draw.slot, -1)
    columns = {
        "image_id": take_values(image_ids, image),
        "label": draw.label.astype(np.int32),
        "clean_label": pa.array(clean_label, pa.int32(), mask=is_unknown),
        "origin": take_values(origins, origin),
        "replaces": take_or_null(slots["image_id"], lost_slot),
        "is_noisy": draw.label != clean_label,
        "split": repeat_value(split, n_rows),
    }
    return pa.table(columns, schema=PLAN)


def build_clean_rows(
    rows: pa.Table,
    seed: int,
    origin: str = "base",
) -> pa.Table:
    """Return the rows of a plan that noise leaves alone, by split and key.

    Args:
        rows: image_id, label, split
        seed: of the keys
        origin: of the images
    """
    n = len(rows)
    keys = hashing.random_keys(rows["image_id"], seed)
    names = pc.unique(rows["split"]).sort()
    splits = pc.index_in(rows["split"], names).to_numpy()
    rows = take_rows(rows, np.lexsort((keys, splits)))
    columns = {
        "image_id": rows["image_id"],
        "label": rows["label"],
        "clean_label": rows["label"],
        "origin": repeat_value(origin, n),
        "replaces": pa.nulls(n, pa.string()),
        "is_noisy": np.zeros(n, bool),
        "split": rows["split"],
    }
    return pa.table(columns, schema=PLAN)


def substitutions(
    pool: pa.Table,
    planned: Draw,
    draw: Draw,
) -> dict[str, str]:
    """Return which image of the pool replaces each unavailable one, by id.

    Args:
        pool: (n,) images
        planned: the draw if every image were available
        draw: the draw as it is
    """
    ids = pool["image_id"]
    differs = planned.pool != draw.pool
    unavailable = ids.take(planned.pool[differs])
    reserves = ids.take(draw.pool[differs])
    return dict(zip(unavailable.to_pylist(), reserves.to_pylist(), strict=True))


def outlier_test_rows(
    recipe: Recipe,
    dataset: Dataset,
    outlier: int | None,
) -> pa.Table:
    """Return the split ``test_outliers``: images of donors that nobody trains on.

    As many as the dataset has images outside train, or all that there are. Empty where there is no
    class of outliers.

    Args:
        recipe: names the donors and the seed
        dataset: holds their tables
        outlier: label of the class of foreign images; None: there is no such class
    """
    if outlier is None or dataset.base is None:
        return PLAN.empty_table()
    parts = []
    for name in recipe.donors:
        images = dataset.donors[name]
        is_test = pc.not_equal(images["split"], "train")
        parts.append(images.select(["image_id"]).filter(is_test))
    ids = pa.concat_tables(parts)["image_id"]
    is_test = pc.not_equal(base_manifest(recipe, dataset)["split"], "train")
    limit = pc.sum(is_test).as_py()
    keys = hashing.random_keys(ids, recipe.seed)
    first = np.argsort(keys, kind="stable")[:limit]
    ids = ids.take(first)
    n = len(ids)
    columns = {
        "image_id": ids,
        "label": np.full(n, outlier, np.int32),
        "split": repeat_value("test_outliers", n),
    }
    rows = pa.table(columns)
    names = "|".join(WHITE_NOISE_DONORS)
    is_white = pc.match_substring_regex(ids, f"^({names})/")
    photographs = rows.filter(pc.invert(is_white))
    white_noise = rows.filter(is_white)
    return pa.concat_tables(
        [
            build_clean_rows(photographs, recipe.seed, "other"),
            build_clean_rows(white_noise, recipe.seed, "white"),
        ]
    )


def donor_pool(
    dataset: Dataset,
    donors: Sequence[str],
    by_class: bool,
) -> pa.Table:
    """Return the training images of donors: image_id, label, origin, donor (its number here).

    Args:
        dataset: holds the donors' tables
        donors: their names
        by_class: the label is the class that an image looks most like; otherwise it is 0

    Raises:
        ValueError: a donor's images are missing, it has none, or their nearest class is unknown
    """
    tables = []
    for number, name in enumerate(donors):
        images = _donor_images(dataset, name, by_class)
        n = len(images)
        label = images[NEAREST_CLASS] if by_class else np.zeros(n, np.int32)
        origin = "white" if name in WHITE_NOISE_DONORS else "other"
        columns = {
            "image_id": images["image_id"],
            "label": label,
            "origin": repeat_value(origin, n),
            "donor": np.full(n, number, np.int32),
        }
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def _donor_images(
    dataset: Dataset,
    name: str,
    by_class: bool,
) -> pa.Table:
    """Return the training images of one donor, as its table has them."""
    if name not in dataset.donors:
        raise ValueError(
            f"{dataset.name}: there are no images of donor {name!r}: give --donor {name}=DIR"
        )
    table = dataset.donors[name]
    images = table.filter(pc.equal(table["split"], "train"))
    if not len(images):
        raise ValueError(f"donor {name!r} has no training images: remove it from donors")
    if by_class and NEAREST_CLASS not in images.column_names:
        raise ValueError(
            f"donor {name!r}: its table has no column {NEAREST_CLASS!r}: build the dataset again"
        )
    return images


def repeat_value(value: str, n: int) -> pa.Array:
    """Return an array of n times one string."""
    codes = np.zeros(n, np.int8)
    column = pa.DictionaryArray.from_arrays(codes, [value])
    return column.cast(pa.string())


def _concat(chunks: list[pa.Array]) -> pa.ChunkedArray:
    return pa.chunked_array(chunks, pa.string())
