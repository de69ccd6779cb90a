"""Instance-dependent flips (Xia et al., NeurIPS 2020, "Part-dependent label noise", appendix): the image says where to.

    q_i(p)     an image's own flip rate at level p: normal of spread 0.1, truncated to [0, 1], its mean exactly p
    y'_i = j   with chance  softmax_j (x_i W_y), j != y,     if  u_i < q_i(p);       y otherwise

The location of the normal is solved for the mean. Code in use truncates in units of the spread instead of [0, 1], and
so realises 24.6 % where 20 % was asked.

q_i(p) is the v_i-quantile, so it grows with p, and an image turns noisy at one level, the first p with u_i < q_i(p).
The images of each class turn in that order, and a level is a prefix: exact, nested, the same share of every class.
With ``exact = false`` an image is noisy when its own level is reached, as in the paper, where the count is random.

x_i are the features of the side table, as they stand there. W_y, (d, C) standard normal for each true class y, is
drawn by the numbers of class, feature and label: neither other images nor the seed change it.
"""

import math
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.noise.base import (
    Draw,
    Expected,
    Floats,
    Ints,
    Items,
    NoiseModel,
    class_counts,
    corruption_order,
    exact_rate,
    group_by_class,
    n_noisy,
    noisy_per_class,
)
from cnlw_tools.prng import Stream, mix, uniform

Real = TypeVar("Real", np.float32, np.float64)

SPREAD = 0.1
CELLS = 256  # of [0, 1], in which distributions are linear
BLOCK = 1 << 17  # numbers that are looked at together


def instance(
    base: Items,
    pool: Items,
    level: int,
    classes: int,
    features: str = "features",
    exact: bool = True,
) -> Draw:
    """Flip ``level`` percent of every class to the labels that the images' features suggest.

    Raises:
        ValueError: there is no other class, or a column of labels instead of features
    """
    _check(base, classes, features)
    n = len(base.label)
    chosen = order(base)[: n_noisy(level, n)] if exact else np.flatnonzero(turns(base.key) <= level)
    label = base.label.copy()
    rows, many = group_by_class(base, chosen, classes)
    for c, of_c in enumerate(np.split(rows, np.cumsum(many)[:-1])):
        label[of_c] = _drawn(base, of_c, c, classes)
    return Draw(np.arange(n), label, np.full(n, -1))


def expected(
    base: Items, level: int, classes: int, features: str = "features", exact: bool = True
) -> Expected:
    """T[c, c] = 1 - p_c, T[c, j] = p_c times the mean chance of j over the images of c; p_c the exact rate of c."""
    _check(base, classes, features)
    n = class_counts(base, classes)
    p = noisy_per_class(n, level) / np.maximum(n, 1) if exact else np.full(classes, level / 100)
    matrix = np.diag(1 - p)
    rows, many = group_by_class(base, np.arange(len(base.label)), classes)
    for c, of_c in enumerate(np.split(rows, np.cumsum(many)[:-1])):
        matrix[c] += p[c] * _mean(base, of_c, c, classes)
    kept: Floats = (1 - p) * n
    return Expected(
        exact_rate(n, level) if exact else level / 100 * bool(n.sum()), 0.0, matrix, kept, exact
    )


def order(base: Items, features: str = "features", exact: bool = True) -> Ints:
    """Return all n items as they turn noisy: as the victims do, but in a class by the level at which each turns."""
    first = turns(base.key).astype(np.uint64) << np.uint64(57) | base.key >> np.uint64(7)
    return corruption_order(Items(base.label, first))


def turns(key: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return the (n,) first level in percent, 1 to 100, at which an image's flip rate is above its number u."""
    found = [_turns(key[i : i + BLOCK]) for i in range(0, len(key), BLOCK)]
    return np.concatenate(found) if found else np.empty(0, np.uint8)


def _turns(key: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Bisect over levels: q(p) > u where F_p(u) < v."""
    below = distributions()
    u, v = uniform(key, Stream.FLIP_THRESHOLD) * CELLS, uniform(key, Stream.FLIP_RATE)
    cell = u.astype(np.int64)
    low, high = np.zeros(len(key), np.int64), np.full(len(key), 100)
    while (high - low > 1).any():
        middle = (low + high) // 2
        left, right = below[middle, cell], below[middle, cell + 1]
        turned = left + (u - cell) * (right - left) < v
        low, high = np.where(turned, low, middle), np.where(turned, middle, high)
    return high.astype(np.uint8)


@lru_cache
def distributions() -> Floats:
    """Return (101, CELLS + 1) the distribution F_p of flip rates at each percent, whose mean, as lines, is p %."""
    half = [_distribution(_location(p / 100)) for p in range(1, 51)]
    mirrored = [1 - f[::-1] for f in half[-2::-1]]
    return np.stack([np.ones(CELLS + 1), *half, *mirrored, np.zeros(CELLS + 1)])


def _distribution(location: float) -> Floats:
    """Return (CELLS + 1,) the chance of a rate up to 0, 1 / CELLS ... 1 of the truncated normal."""
    beyond = [math.erfc((i / CELLS - location) / (SPREAD * math.sqrt(2))) for i in range(CELLS + 1)]
    return (beyond[0] - np.array(beyond)) / (beyond[0] - beyond[-1])


def _location(mean: float) -> float:
    """Return where a normal lies that has this mean, up to 0.5, when truncated: by bisection."""
    low, high = -2.0, 0.5
    for _ in range(40):
        middle = (low + high) / 2
        below = _distribution(middle)
        rate = 1 - (below[:-1] + below[1:]).mean() / 2
        low, high = (middle, high) if rate < mean else (low, middle)
    return high


def _drawn(base: Items, rows: Ints, of: int, classes: int) -> Ints:
    """Return the labels that the images ``rows``, all of one class, are taken for."""
    u, label, weight = (
        uniform(base.key[rows], Stream.INSTANCE_LABEL),
        np.empty(len(rows), np.int64),
        _weights(base, of, classes),
    )
    for i in range(0, len(rows), step := max(1, BLOCK // classes)):
        part = slice(i, i + step)
        ends = np.cumsum(_odds(base, rows[part], of, weight), axis=1)  # (m, C)
        label[part] = (ends > u[part, None] * ends[:, -1:]).argmax(1)  # the first
    return label


def _mean(base: Items, rows: Ints, of: int, classes: int) -> Floats:
    """Return (C,) the mean chance of each label over the images ``rows``, all of one class."""
    total, weight = (
        np.zeros(classes),
        _weights(base, of, classes).astype(np.float32),
    )  # a mean is no draw: half the time
    for i in range(0, len(rows), step := max(1, BLOCK // classes)):
        odds = _odds(base, rows[i : i + step], of, weight)
        total += (1 / odds.sum(1)) @ odds
    return total / len(rows) if len(rows) else np.eye(classes)[of]


def _odds(base: Items, rows: Ints, of: int, weight: NDArray[Real]) -> NDArray[Real]:
    """Return (m, C) the softmax of x W_y, not yet divided by its sum; 0 for the true class."""
    logits: NDArray[Real] = base.side["features"][rows].astype(weight.dtype) @ weight
    logits[:, of] = -np.inf
    logits -= logits.max(1, keepdims=True)
    return np.exp(logits, out=logits)


def _weights(base: Items, of: int, classes: int) -> Floats:
    """Return (d, C) the numbers W of a class, standard normal by Box and Muller."""
    size = base.side["features"].shape[1] * classes
    key = mix(np.arange(of * size, (of + 1) * size, dtype=np.uint64))
    radius = np.sqrt(-2 * np.log(1 - uniform(key, Stream.INSTANCE_WEIGHT)))
    flat: Floats = radius * np.cos(2 * np.pi * uniform(key, Stream.INSTANCE_WEIGHT, 1))
    return flat.reshape(-1, classes)


def _check(base: Items, classes: int, features: str) -> None:
    if classes < 2:
        raise ValueError(
            f"instance noise flips to another class, and there is {classes}: give at least two classes"
        )
    if base.side["features"].ndim != 2:
        raise ValueError(
            f"the column {features!r} of the side table holds labels: name one that holds features"
        )


INSTANCE = NoiseModel(
    instance,
    expected,
    frozenset({"exact", "proportional", "nested", "keeps_images"}),
    column_options=frozenset({"features"}),
    custom_order=order,
    paper="Xia et al. 2020",
)
