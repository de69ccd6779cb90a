"""The rows of a plan: ids joined back onto what noise drew, and those that noise leaves alone."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import hashing
from cnlw_tools.dataset.dataset import NEAREST_CLASS, WHITE_NOISE_DONORS, Dataset
from cnlw_tools.dataset.tables import PLAN
from cnlw_tools.noise import Draw
from cnlw_tools.recipe.recipe import Recipe


def joined(
    slots: pa.Table,
    pool: pa.Table,
    draw: Draw,
    order: NDArray[np.int64],
    split: str,
    outlier: int | None = None,
) -> pa.Table:
    """Join ids back onto a draw of m rows; order: (n,) in which the slots turn noisy; outlier: their class."""
    place = np.empty(len(order) + 1, np.int64)
    place[order] = np.arange(len(order))
    place[-1] = len(order)  # slot -1, an added example, comes last
    rows = np.argsort(place[draw.slot], kind="stable")
    slot, label, came = draw.slot[rows], draw.label[rows].astype(np.int32), draw.pool[rows] >= 0
    image = np.where(came, len(slots) + draw.pool[rows], slot)
    truth = np.where(came, -1 if outlier is None else outlier, slots["label"].to_numpy()[slot])
    origins = [repeat("base", len(slots)), *pool["origin"].chunks]
    values = [
        _column(slots["image_id"].chunks + pool["image_id"].chunks).take(pa.array(image)),
        label,
        pa.array(truth, pa.int32(), mask=truth < 0),
        _column(origins).take(pa.array(image)),
        slots["image_id"].take(pa.array(slot, mask=~came | (slot < 0))),
        label != truth,
        repeat(split, len(rows)),
    ]
    return pa.table(values, schema=PLAN)


def swapped(pool: pa.Table, meant: Draw, draw: Draw) -> dict[str, str]:
    """Return which image stands in for each one that was meant to come and is dead, by id."""
    other = np.flatnonzero(meant.pool != draw.pool)
    ids = pool["image_id"]
    return dict(
        zip(
            ids.take(meant.pool[other]).to_pylist(),
            ids.take(draw.pool[other]).to_pylist(),
            strict=True,
        )
    )


def held_back(recipe: Recipe, dataset: Dataset, label: int | None) -> pa.Table:
    """Return the split ``test_outliers``, where there is a class of them: donors' images that nobody trains on.

    As many as the dataset has outside of train, or all that there are.
    """
    if label is None or dataset.base is None:
        return PLAN.empty_table()
    images = pa.concat_tables(
        [dataset.donors[name].select(["image_id", "split"]) for name in recipe.donors]
    )
    images = images.filter(pc.not_equal(images["split"], "train"))
    many = len(dataset.base) - pc.sum(pc.equal(dataset.base["split"], "train")).as_py()
    images = images.take(
        np.argsort(hashing.random_keys(images["image_id"], recipe.seed), kind="stable")[:many]
    )
    said = {
        "label": np.full(len(images), label, np.int32),
        "split": repeat("test_outliers", len(images)),
    }
    named = pa.table({"image_id": images["image_id"], **said})
    white = pc.match_substring_regex(named["image_id"], f"^({'|'.join(WHITE_NOISE_DONORS)})/")
    parts = (("other", pc.invert(white)), ("white", white))
    return pa.concat_tables(
        [kept(named.filter(mask), recipe.seed, origin) for origin, mask in parts]
    )


def kept(rows: pa.Table, seed: int, origin: str = "base") -> pa.Table:
    """Return rows that noise leaves alone, by split and key."""
    rows = rows.take(
        np.lexsort(
            (
                hashing.random_keys(rows["image_id"], seed),
                rows["split"].to_numpy(zero_copy_only=False),
            )
        )
    )
    n = len(rows)
    values = [
        rows["image_id"],
        rows["label"],
        rows["label"],
        repeat(origin, n),
        pa.nulls(n, pa.string()),
        np.zeros(n, bool),
        rows["split"],
    ]
    return pa.table(values, schema=PLAN)


def _column(chunks: list[pa.Array]) -> pa.ChunkedArray:
    return pa.chunked_array(chunks, pa.string())


def repeat(value: str, n: int) -> pa.Array:
    """Return n times one value."""
    return pa.DictionaryArray.from_arrays(np.zeros(n, np.int8), [value]).cast(pa.string())


def given(dataset: Dataset, donors: Sequence[str], likeness: bool) -> pa.Table:
    """Return the training images of some donors: image_id, label, origin, donor (its number among these).

    Args:
        donors: their names
        likeness: their label is the class that they look like; else 0

    Raises:
        ValueError: no such donor is there, it has no image, or nobody knows what its images look like
    """
    parts = []
    for number, name in enumerate(donors):
        if name not in dataset.donors:
            raise ValueError(
                f"{dataset.name}: there are no images of donor {name!r}: give --donor {name}=DIR"
            )
        rows = dataset.donors[name]
        rows = rows.filter(pc.equal(rows["split"], "train"))
        if not len(rows):
            raise ValueError(f"donor {name!r} has no training images: leave it out")
        if likeness and NEAREST_CLASS not in rows.column_names:
            raise ValueError(
                f"donor {name!r}: its table has no column {NEAREST_CLASS!r}: build it anew"
            )
        label = rows[NEAREST_CLASS] if likeness else pa.array(np.zeros(len(rows), np.int32))
        kind = pa.array(["white" if name in WHITE_NOISE_DONORS else "other"])
        origin = kind.take(pa.array(np.zeros(len(rows), np.int32)))
        which = pa.array(np.full(len(rows), number, np.int32))
        names = ["image_id", "label", "origin", "donor"]
        parts.append(pa.table([rows["image_id"], label, origin, which], names))
    return pa.concat_tables(parts)
