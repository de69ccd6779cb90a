"""Checks of splits: each class has the expected size, and no image is in two splits."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.checks.evidence import Evidence, slot_ids
from cnlw_tools.checks.finding import REBUILD, Finding, abbreviate, error
from cnlw_tools.dataset.row_numbers import find_values, first_places, number_values
from cnlw_tools.dataset.row_selection import filter_rows, values_differ
from cnlw_tools.dataset.validation_split import has_twin, validation_counts
from cnlw_tools.noise.base import prefix_per_class
from cnlw_tools.recipe.recipe import Recipe


def reserved_splits(evidence: Evidence) -> Iterator[Finding]:
    """Splits that a recipe takes from train have as many images of each class as it says."""
    base = evidence.require_dataset().base
    if base is None:
        return
    n_classes = len(evidence.require_dataset().classes)
    for name in evidence.plans:
        for split, expected in _reserved_counts(evidence.recipe(name), base, n_classes).items():
            actual = _count_slots(evidence.split(name, split), base, n_classes)
            differs = actual != expected
            if differs.any():
                c = int(np.argmax(differs))
                images = f"{actual[c]} images of class {c} from train, expected {expected[c]}"
                yield error(f"{split} has {images}", name, int(differs.sum()), REBUILD)


def _reserved_counts(
    recipe: Recipe, base: pa.Table, n_classes: int
) -> dict[str, NDArray[np.integer]]:
    """Return (C,) the images of each class that a recipe takes from train, by split."""
    train = _train_rows(base)
    n_images = _count_per_class(train, n_classes)
    counts: dict[str, NDArray[np.integer]] = {}
    for split, per_class in (("probe", recipe.probe), ("verified", recipe.verified)):
        counts[split] = per_class * (n_images > 0)
    if recipe.validation:
        n_alone = _count_per_class(train.filter(pc.invert(has_twin(train, base))), n_classes)
        counts["validation"] = validation_counts(n_images, n_alone, recipe.validation)
    return counts


def train_size(evidence: Evidence) -> Iterator[Finding]:
    """Train has the requested size, and each class its share; with a long tail both may be less."""
    base = evidence.require_dataset().base
    if base is None:
        return
    n_classes = len(evidence.require_dataset().classes)
    available = _count_per_class(_train_rows(base), n_classes)
    for name in evidence.plans:
        recipe = evidence.recipe(name)
        if not recipe.train_size:
            continue
        actual = _count_slots(evidence.split(name, "train"), base, n_classes)
        reserved = sum(_reserved_counts(recipe, base, n_classes).values())
        share = prefix_per_class(available - reserved, recipe.train_size)
        differs = actual - share >= 1
        total_differs = False
        if recipe.imbalance_ratio == 1:
            differs |= share - actual >= 1
            total_differs = int(actual.sum()) != recipe.train_size
        if differs.any() or total_differs:
            c = int(np.argmax(differs))
            images = f"{actual.sum()} images, {actual[c]} of class {c}"
            message = f"train has {images}; expected {recipe.train_size} and {share[c]:.1f}"
            yield error(message, name, int(differs.sum()) or 1, REBUILD)


def disjoint_splits(evidence: Evidence) -> Iterator[Finding]:
    """Every image, replaced or not, is in the same split at all levels of a recipe."""
    for names in _configs_by_recipe(evidence).values():
        rows = evidence.shared_rows(names).select(["image_id", "replaces", "split"])
        replaced = filter_rows(rows, rows["replaces"].is_valid().to_numpy())
        id_chunks = [*rows["image_id"].chunks, *replaced["replaces"].chunks]
        split_chunks = [*rows["split"].chunks, *replaced["split"].chunks]
        shared = _ids_of_several_splits(
            pa.chunked_array(id_chunks, pa.string()), pa.chunked_array(split_chunks, pa.string())
        )
        if len(shared):
            ids = abbreviate(shared)
            configs = ", ".join(names)
            yield error(f"images are in several splits: {ids}", configs, len(shared), REBUILD)


def _ids_of_several_splits(ids: pa.ChunkedArray, splits: pa.ChunkedArray) -> list[str]:
    """Return the ids that stand in several splits, sorted."""
    is_elsewhere = values_differ(splits, splits, first_places(number_values(ids)))
    return sorted(pc.unique(ids.filter(pa.array(is_elsewhere))).to_pylist())


def _configs_by_recipe(evidence: Evidence) -> dict[str, list[str]]:
    """Group the configs that differ only in the level."""
    groups: dict[str, list[str]] = {}
    for name, config in evidence.card.configs.items():
        groups.setdefault(repr(config.recipe), []).append(name)
    return groups


def _count_slots(rows: pa.Table, base: pa.Table, n_classes: int) -> NDArray[np.int64]:
    """Return (C,) how many slots of rows are training images of the base manifest, by class."""
    place = find_values(slot_ids(rows), base["image_id"])
    is_slot = np.zeros(len(base), bool)
    is_slot[place[place >= 0]] = True
    is_slot &= pc.equal(base["split"], "train").to_numpy()
    return np.bincount(base["label"].to_numpy()[is_slot], minlength=n_classes)


def _train_rows(rows: pa.Table) -> pa.Table:
    return filter_rows(rows, pc.equal(rows["split"], "train").to_numpy())


def _count_per_class(rows: pa.Table, n_classes: int) -> NDArray[np.int64]:
    return np.bincount(rows["label"].to_numpy(), minlength=n_classes)
