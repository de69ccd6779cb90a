"""How far red noise can go: the highest level at which each class has enough wrong web images.

A class needs as many as it has slots in the level's prefix of the corruption order (noise/base.py).
Unavailable images do not count, and no reserves are kept. So red noise with ``top`` at that level
can be drawn at any level that all classes reach, and not at the next one.
"""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.noise import NOISE
from cnlw_tools.noise.base import TooFewImages, corruption_order, n_noisy
from cnlw_tools.plans.noise_inputs import key_seed, noise_items, noise_options
from cnlw_tools.plans.subsets import choose_subsets, split_pool
from cnlw_tools.recipe.recipe import HIGHEST_LEVEL, Recipe

Ints = NDArray[np.integer]


def count_available(pool: pa.Table, n_classes: int) -> Ints:
    """Return (C,) how many images of a pool are available, by class."""
    if "dead" in pool.column_names:
        pool = pool.filter(pc.invert(pool["dead"]))
    return np.bincount(pool["label"].to_numpy(), minlength=n_classes)


def highest_red_levels(recipe: Recipe, dataset: Dataset) -> Ints:
    """Return (C,) the percent up to which each class has enough images, in train and verified.

    Raises:
        ValueError: there is no base manifest, or the recipe's keys do not fit it or the candidates
        LookupError: no candidate comes from a search of the recipe
    """
    n_classes = len(dataset.classes)
    noisy = choose_subsets(recipe, dataset).noisy
    pool = dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search)
    pools = split_pool(pool, noisy, n_classes, recipe.seed)
    highest = []
    for split, slots in noisy.items():
        n_available = count_available(pools[split], n_classes)
        highest.append(_highest_levels(recipe, slots, n_available))
    result: Ints = np.min(highest, axis=0)
    return result


def count_needed(recipe: Recipe, dataset: Dataset, level: int) -> Ints:
    """Return (C,) how many wrong images each class needs at a level, in train and verified.

    Raises:
        ValueError: there is no base manifest, or the recipe's keys do not fit it
    """
    n_classes = len(dataset.classes)
    needed = np.zeros(n_classes, np.int64)
    for slots in choose_subsets(recipe, dataset).noisy.values():
        base = noise_items(slots, key_seed(recipe, level), NOISE["red"])
        labels = base.label[corruption_order(base)]
        needed += np.bincount(labels[: n_noisy(level, len(slots))], minlength=n_classes)
    return needed


def keeps_too_many(recipe: Recipe, dataset: Dataset, level: int) -> bool:
    """Return whether a level lacks images because others are kept for levels up to ``top``.

    Then the level needs the option ``top`` at the level itself. This happens if a wrong image of
    the level is not available, and the class has no reserves.

    Raises:
        ValueError: see `highest_red_levels`
    """
    options = noise_options(recipe)
    if options["top"] < level:
        return True
    n_classes = len(dataset.classes)
    noisy = choose_subsets(recipe, dataset).noisy
    pool = dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search)
    pools = split_pool(pool, noisy, n_classes, recipe.seed)
    seed = key_seed(recipe, level)
    for split, slots in noisy.items():
        base = noise_items(slots, seed, NOISE["red"])
        images = noise_items(pools[split], seed, NOISE["red"])
        try:
            NOISE["red"].draw(base, images, level, n_classes, **options)
        except TooFewImages as shortage:
            return shortage.reserved > 0
    return False


def _highest_levels(
    recipe: Recipe,
    slots: pa.Table,
    n_available: Ints,
) -> Ints:
    """Return (C,) the last level before the first that a class has too few images for."""

    @cache
    def labels_in_order(seed: int) -> Ints:
        base = noise_items(slots, seed, NOISE["red"])
        return base.label[corruption_order(base)]

    is_short = []
    for level in range(HIGHEST_LEVEL + 1):
        labels = labels_in_order(key_seed(recipe, level))
        n = n_noisy(level, len(slots))
        n_needed = np.bincount(labels[:n], minlength=len(n_available))
        is_short.append(n_needed > n_available)
    short = np.stack(is_short)  # (levels, C)
    first_short = short.argmax(0)
    return np.where(short.any(0), first_short - 1, HIGHEST_LEVEL)
