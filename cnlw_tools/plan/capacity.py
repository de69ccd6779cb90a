"""How far red noise can go: the highest level at which each class has enough wrong web images.

A class is asked for as many as stand in the level's prefix of the slots' order (noise/base.py, `victims`); dead images
are of no use, and reserves are not kept. So a level that all classes reach is one that red noise with ``top`` at that
level can be drawn at, and the next one is not.
"""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.noise import NOISE
from cnlw_tools.noise.base import corruption_order, n_noisy
from cnlw_tools.plan.plan import items, key_seed
from cnlw_tools.plan.subsets import choose, deal
from cnlw_tools.recipe.recipe import HIGHEST_LEVEL, Recipe

Ints = NDArray[np.int64]


def stock(pool: pa.Table, classes: int) -> Ints:
    """Return (C,) how many images of a pool can be had."""
    living = pool.filter(pc.invert(pool["dead"])) if "dead" in pool.column_names else pool
    return np.bincount(living["label"].to_numpy(), minlength=classes)


def highest(recipe: Recipe, dataset: Dataset) -> Ints:
    """Return (C,) the percent up to which each class has images for its slots, in train and verified alike.

    Raises:
        ValueError: there is no base manifest, or the recipe's choices cannot be made of it or of the candidates
        LookupError: no candidate was found by a search of the recipe
    """
    classes = len(dataset.classes)
    noisy = choose(recipe, dataset).noisy
    pools = deal(
        dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search),
        noisy,
        classes,
        recipe.seed,
    )
    reached = [
        _reached(recipe, slots, stock(pools[split], classes)) for split, slots in noisy.items()
    ]
    return np.min(reached, axis=0)  # type: ignore[no-any-return]


def _reached(recipe: Recipe, slots: pa.Table, there: Ints) -> Ints:
    """Return (C,) the last level before the first that a class has too few images for."""

    @cache
    def label(seed: int) -> Ints:
        base = items(slots, seed, NOISE["red"])
        return base.label[corruption_order(base)]

    orders = (
        (label(key_seed(recipe, level)), n_noisy(level, len(slots)))
        for level in range(HIGHEST_LEVEL + 1)
    )
    short = np.stack(
        [np.bincount(order[:k], minlength=len(there)) > there for order, k in orders]
    )  # (levels, C)
    return np.where(short.any(0), short.argmax(0) - 1, HIGHEST_LEVEL)
