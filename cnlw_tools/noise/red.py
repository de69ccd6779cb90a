"""In red noise, web images replace clean images.

A slot is a place in the training set, and belongs to one image of the clean dataset. In `level`
percent of the slots of every class c, a web image replaces the clean image. A web search for c
returned this web image, and people judged that it does not show c. The label is unchanged; the
image is wrong.

    slot of rank r in class c   <->   web image of rank r among the wrong ones of c  (ranked by key)

Slots and web images are paired before a level is selected, so a pair is the same at all levels. The
option ``top`` is the highest level that you want to build. Web images that this level does not need
are reserves. If a web image is dead, that is, if its URL no longer works, a reserve replaces it,
the same one at all levels. Every slot has a fixed position in the list of reserves: the search for
a reserve begins there, and the first one that is available and that no other slot uses is taken. A
dead link therefore changes only the image of its own slot. There is one rare exception: if two
slots with dead links would get the same reserve, one of them gets the next reserve instead.

Paper: Jiang et al., ICML 2020, "Beyond synthetic noise: deep learning on controlled noisy
labels"; the authors' slides on the "construction of our dataset".
"""

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.noise.base import (
    Draw,
    Expected,
    Ints,
    Items,
    NoiseModel,
    TooFewImages,
    all_rows,
    class_counts,
    copy_labels,
    corruption_order,
    exact_rate,
    key_order,
    n_noisy,
    noisy_per_class,
    split_by_class,
)
from cnlw_tools.prng import Stream, uniform


def red(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    top: int = 80,
) -> Draw:
    """Replace ``level`` percent of the images of every class with wrong web images.

    ``pool.side["dead"]``, (p,) bool, marks images that are not available; without this column, all
    images are available.

    Args:
        top: the highest level that you want to build, in percent; web images that this level does
            not need are reserves

    Raises:
        ValueError: the level is above ``top``, or ``top`` is above 100
        TooFewImages: a class has fewer wrong images than the level needs
    """
    _check_levels(level, top)
    n = len(base.label)
    order = corruption_order(base)
    replaced = order[: n_noisy(level, n)]
    top_slots = order[: n_noisy(top, n)]
    pool_row = np.full(n, -1)
    pool_row[replaced] = _pair_slots(base, pool, top_slots, n_classes)[replaced]
    _check_stock(base, pool, replaced, pool_row)
    return Draw(
        slot=all_rows(n, base.new_array),
        label=copy_labels(base),
        pool=pool_row,
    )


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    top: int = 80,
) -> Expected:
    """Return the expected noise: replaced images have wrong labels, all others have right ones."""
    n = class_counts(base, n_classes)
    rate = exact_rate(n, level)
    n_clean = n - noisy_per_class(n, level)
    return Expected(
        rate=rate,
        foreign_rate=rate,
        matrix=np.eye(n_classes),
        n_clean=n_clean,
    )


def _check_levels(level: int, top: int) -> None:
    if level > top:
        raise ValueError(
            f"level {level} is above top = {top}, the highest level that is planned for: "
            f"give -o top={level}"
        )
    if top > 100:
        raise ValueError(f"top = {top} is not allowed. It is a percentage: give at most 100")


def _check_stock(
    base: Items,
    pool: Items,
    replaced: Ints,
    pool_row: Ints,
) -> None:
    """Raise TooFewImages if a slot that loses its image gets no other image.

    Args:
        base: (n,) images
        pool: (p,) wrong web images
        replaced: slots that lose their image
        pool_row: (n,) the row of the image that replaces it; -1: none
    """
    is_missing = pool_row[replaced] < 0
    if not is_missing.any():
        return
    labels = base.label[replaced]
    label = int(labels[is_missing][0])
    need = int(np.sum(labels == label))
    stock = need - int(np.sum(labels[is_missing] == label))
    available = int(np.sum(pool.label[~_is_dead(pool)] == label))
    raise TooFewImages(label, need, stock, reserved=available - stock)


def _pair_slots(
    base: Items,
    pool: Items,
    slots: Ints,
    n_classes: int,
) -> Ints:
    """Return (n,) the pool row for each slot of the level ``top``.

    It is -1 for all other images, and for slots of classes that have too few web images.
    """
    is_dead = _is_dead(pool)
    pool_row = np.full(len(base.label), -1)
    slots_by_class = split_by_class(base, slots, n_classes)
    images_by_class = split_by_class(pool, key_order(pool), n_classes)
    for class_slots, class_images in zip(slots_by_class, images_by_class, strict=True):
        n_pairs = min(len(class_slots), len(class_images))
        paired_slots, paired_images = class_slots[:n_pairs], class_images[:n_pairs]
        pool_row[paired_slots] = paired_images
        dead_slots = paired_slots[is_dead[paired_images]]
        if len(dead_slots):
            reserves = class_images[len(class_slots) :]
            pool_row[dead_slots] = _pick_reserves(base.key[dead_slots], reserves, is_dead)
    return pool_row


def _pick_reserves(key: NDArray[np.uint64], reserves: Ints, is_dead: NDArray[np.bool_]) -> Ints:
    """Return (k,) a pool row for each of k slots: a living reserve, or -1 when they run out.

    Each slot in turn takes the first free reserve after its own start position, cyclically.

    Args:
        key: (k,) keys of the slots
        reserves: rows of the pool
        is_dead: (p,) which rows of the pool are not available
    """
    free = [int(position) for position in np.flatnonzero(~is_dead[reserves])]
    pool_row = np.full(len(key), -1)
    start = (uniform(key, Stream.RESERVE) * len(reserves)).astype(np.int64)
    for i in range(min(len(key), len(free))):
        next_free = bisect_left(free, start[i])
        position = free.pop(next_free % len(free))
        pool_row[i] = reserves[position]
    return pool_row


def _is_dead(pool: Items) -> NDArray[np.bool_]:
    return pool.side.get("dead", np.zeros(len(pool.label))).astype(bool)


RED = NoiseModel(
    red,
    expected_stats,
    guarantees=frozenset({"exact", "proportional", "nested", "keeps_labels"}),
    pool_columns=frozenset({"dead"}),
    needs_web_pool=True,
    paper="Jiang et al. 2020",
)
