"""Red noise: web images in place of clean ones (Jiang et al., ICML 2020, "Construction of our dataset").

level % of the slots of every class c lose their image and receive one that the web returned for c and
that people judged not to show c. The label stays; the image is wrong.

    slot of rank r in class c   <->   web image of rank r among the wrong ones of c       (r by key)

The pairs are made on the full lists, before any level is cut, so a level is a part of the next one.
Web images behind the need of the ``top`` level are reserves. Where a web image is dead, a reserve steps
in, at all levels alike: the first free living one from a place that the slot's own number picks. So one
dead link changes one slot, and a second one hardly ever a third slot.
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
    class_counts,
    corruption_order,
    exact_rate,
    group_by_class,
    n_noisy,
    noisy_per_class,
)
from cnlw_tools.prng import Stream, uniform


def red(base: Items, pool: Items, level: int, classes: int, top: int = 80) -> Draw:
    """Give ``level`` percent of every class wrong web images in place of their own.

    ``pool.side["dead"]``, (n,) bool, marks images that cannot be had; without it all can.

    Raises:
        ValueError: the level is above ``top``, or that above 100
        TooFewImages: a class has fewer wrong images than the level needs
    """
    if level > top:
        raise ValueError(
            f"level {level} is above the top level {top}, behind which reserves are kept: give -o top={level}"
        )
    if top > 100:
        raise ValueError(f"top level {top}: a level is a percent, give at most 100")
    n = len(base.label)
    order = corruption_order(base)
    lost = order[: n_noisy(level, n)]
    web = np.full(n, -1)
    web[lost] = _pair(base, pool, order[: n_noisy(top, n)], classes)[lost]
    short = base.label[lost[web[lost] < 0]]
    if len(short):
        c = int(short[0])
        need = int(np.sum(base.label[lost] == c))
        have = need - int(np.sum(short == c))
        raise TooFewImages(c, need, have, int(np.sum(pool.label[~_dead(pool)] == c)) - have)
    return Draw(np.arange(n), base.label.copy(), web)


def expected(base: Items, level: int, classes: int, top: int = 80) -> Expected:
    """Every foreign image is wrong for its label, and where the image stays so does the label."""
    n = class_counts(base, classes)
    p = exact_rate(n, level)
    return Expected(p, p, np.eye(classes), n - noisy_per_class(n, level))


def _pair(base: Items, pool: Items, slots: Ints, classes: int) -> Ints:
    """Return (n,) the pool row for each of the top level's slots; -1 for the others and where there is none."""
    slots, need = group_by_class(base, slots, classes)
    rows, stock = group_by_class(pool, np.argsort(pool.key, kind="stable"), classes)
    dead = _dead(pool)
    web = np.full(len(base.label), -1)
    for of_c, in_c in zip(
        np.split(slots, np.cumsum(need)[:-1]), np.split(rows, np.cumsum(stock)[:-1]), strict=True
    ):
        web[of_c[: len(in_c)]] = in_c[: len(of_c)]
        gone = of_c[: len(in_c)][dead[in_c[: len(of_c)]]]
        if len(gone):
            web[gone] = _reserves(base.key[gone], in_c[len(of_c) :], dead)
    return web


def _reserves(key: NDArray[np.uint64], reserves: Ints, dead: NDArray[np.bool_]) -> Ints:
    """Return for each slot, in order, the first free living reserve from its own place on, cyclically; else -1."""
    free = [int(i) for i in np.flatnonzero(~dead[reserves])]
    web = np.full(len(key), -1)
    begin = (uniform(key, Stream.RESERVE) * len(reserves)).astype(np.int64)
    for i, at in enumerate(begin[: len(free)]):
        place = bisect_left(free, at)
        web[i] = reserves[free.pop(place % len(free))]
    return web


def _dead(pool: Items) -> NDArray[np.bool_]:
    return pool.side.get("dead", np.zeros(len(pool.label))).astype(bool)


RED = NoiseModel(
    red,
    expected,
    frozenset({"exact", "proportional", "nested", "keeps_labels"}),
    pool_columns=frozenset({"dead"}),
    needs_web_pool=True,
    paper="Jiang et al. 2020",
)
