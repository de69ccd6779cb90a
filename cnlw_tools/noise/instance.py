"""In instance-dependent noise, the new label depends on the image.

    q_i(p)     the flip rate of image i at the level p (a share), drawn from a normal distribution
               with a standard deviation of 0.1, truncated to [0, 1], with a mean of exactly p
    y'_i = j   with probability  softmax_j (x_i W_y), j != y,   if  u_i < q_i(p);   y otherwise

The vector x_i holds the d features of image i, and W_y is a d x C matrix of random numbers for the
true class y.

This is the noise of Xia et al. (2020). The location of the normal distribution, that is, its mean
before the truncation, is chosen so that the mean after the truncation is p: level 20 means 20 %
wrong labels. In the authors' code, the option tau is the location, and the truncation moves the
mean. The values tau = 0.1, 0.2, 0.3 and 0.4 give 12.9, 20.6, 30.0 and 40.0 % wrong labels, and so
correspond to the levels 13, 21, 30 and 40 here. (The benchmark AQuA, Goswami et al., 2023, contains
a changed copy of that code: it truncates to the range from tau to tau plus one standard deviation.
At tau = 0.2, this gives 24.6 % wrong labels.)

Each image has two uniform random numbers, u_i and v_i. The rate q_i(p) is the v_i-quantile of the
truncated normal distribution with the mean p. This rate grows with p, so each image has a
threshold: the smallest p with u_i < q_i(p). The images of each class become noisy in the order of
their thresholds. At level 40, for example, the first 40 % of the images in this order are noisy; if
this is not a whole number, it is rounded up or down. Therefore the number of noisy images is exact,
levels are nested, and every class has the same share of noise, give or take one image. With
``exact`` = false, an image is noisy if its threshold is at most the level. The number of noisy
images is then random, as in the paper.

The features x_i are used exactly as stored in the side table, without normalisation. The side table
is a file with a row for each image (option `--side-table`). `cnlw features` writes such a file, in
which the features are the pixels of a thumbnail of each image. The numbers in W_y are independent
and standard normal, and do not depend on the images. As in the authors' code, each seed gives
different matrices W_y, so the transition matrix differs between seeds, and confidence intervals
over noise seeds include this variation. In a test with five seeds (level 40, 5,000 images of
CIFAR-10), the off-diagonal entries of the transition matrix had a standard deviation of 0.030 over
the seeds. With ``fixed_weights``, all seeds share the same matrices W_y, and the standard deviation
was 0.007.

With more features, the entries of x_i W_y vary more, and the new label depends more strongly on the
image. On CIFAR-10, the most likely new label has a mean probability of 0.82 with thumbnails of 8 x
8 pixels, 0.92 with 16 x 16 and 0.96 with 32 x 32. With the normalised images of 32 x 32 pixels that
the authors use, it is 0.98, so `cnlw features --size 32` comes closest to the paper.

Paper: Xia et al., NeurIPS 2020, "Part-dependent label noise", appendix.
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
    all_rows,
    class_counts,
    copy_labels,
    corruption_order,
    exact_rate,
    n_noisy,
    no_rows,
    noisy_per_class,
    split_by_class,
)
from cnlw_tools.prng import Stream, mix, seeded_keys, uniform

Real = TypeVar("Real", np.float32, np.float64)

SPREAD = 0.1
CELLS = 256  # parts of [0, 1] in which distributions are linear
BLOCK = 1 << 17  # numbers worked on at a time


def instance(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    features: str = "features",
    exact: bool = True,
    fixed_weights: bool = False,
) -> Draw:
    """Flip ``level`` percent of the labels of every class to classes that depend on the image.

    Args:
        features: column of the side table that holds the features
        exact: if false, each label is flipped independently, so the number of flips is random
        fixed_weights: if true, every seed uses the same matrices W_y

    Raises:
        ValueError: there is no other class, or the column holds labels instead of features
    """
    _check_options(base, n_classes, features)
    n = len(base.label)
    if exact:
        flipped = order(base)[: n_noisy(level, n)]
    else:
        flipped = np.flatnonzero(flip_levels(base.key) <= level)
    label = copy_labels(base)
    for true_class, rows in enumerate(split_by_class(base, flipped, n_classes)):
        weights = _class_weights(base, true_class, n_classes, fixed_weights)
        label[rows] = _draw_labels(base, rows, true_class, weights)
    return Draw(
        slot=all_rows(n, base.new_array),
        label=label,
        pool=no_rows(n),
    )


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    features: str = "features",
    exact: bool = True,
    fixed_weights: bool = False,
) -> Expected:
    """T[c, c] = 1 - p_c and T[c, j] = p_c times the mean chance of j; p_c: flipped share of c."""
    _check_options(base, n_classes, features)
    n = class_counts(base, n_classes)
    if exact:
        p = noisy_per_class(n, level) / np.maximum(n, 1)
        rate = exact_rate(n, level)
    else:
        p = np.full(n_classes, level / 100)
        rate = level / 100 * bool(n.sum())
    matrix = np.diag(1 - p)
    images = all_rows(len(base.label))
    for true_class, rows in enumerate(split_by_class(base, images, n_classes)):
        weights = _class_weights(base, true_class, n_classes, fixed_weights)
        matrix[true_class] += p[true_class] * _mean_chances(base, rows, true_class, weights)
    n_clean: Floats = (1 - p) * n
    return Expected(
        rate=rate,
        foreign_rate=0.0,
        matrix=matrix,
        n_clean=n_clean,
        exact=exact,
    )


def order(
    base: Items,
    features: str = "features",
    exact: bool = True,
    fixed_weights: bool = False,
) -> Ints:
    """Return (n,) all items in the order in which they turn noisy.

    It is the corruption order, but within a class items stand by the level at which each turns.
    """
    level = flip_levels(base.key).astype(np.uint64)
    level_then_key = level << np.uint64(57) | base.key >> np.uint64(7)
    return corruption_order(Items(base.label, level_then_key))


def flip_levels(key: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return (n,) the first level, 1 to 100 %, at which each image's flip rate q exceeds its u."""
    blocks = [_flip_levels(key[i : i + BLOCK]) for i in range(0, len(key), BLOCK)]
    return np.concatenate(blocks) if blocks else np.empty(0, np.uint8)


def _flip_levels(key: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Find the levels of one block by bisection: q(p) > u where F_p(u) < v."""
    distributions = flip_rate_distributions()
    u = uniform(key, Stream.FLIP_THRESHOLD) * CELLS
    v = uniform(key, Stream.FLIP_RATE)
    cell = u.astype(np.int64)
    low = np.zeros(len(key), np.int64)
    high = np.full(len(key), 100)
    while (high - low > 1).any():
        middle = (low + high) // 2
        left = distributions[middle, cell]
        right = distributions[middle, cell + 1]
        is_noisy = left + (u - cell) * (right - left) < v
        low = np.where(is_noisy, low, middle)
        high = np.where(is_noisy, middle, high)
    return high.astype(np.uint8)


@lru_cache
def flip_rate_distributions() -> Floats:
    """Return (101, CELLS + 1) the distribution F_p of flip rates at each percent p.

    Each is linear between its points and has exactly the mean p %.
    """
    up_to_half = [_truncated_normal(_location_for_mean(p / 100)) for p in range(1, 51)]
    above_half = [1 - distribution[::-1] for distribution in up_to_half[-2::-1]]
    always_0, always_1 = np.ones(CELLS + 1), np.zeros(CELLS + 1)
    return np.stack([always_0, *up_to_half, *above_half, always_1])


def _truncated_normal(location: float) -> Floats:
    """Return (CELLS + 1,) the chance of a rate up to 0, 1 / CELLS ... 1."""
    scale = SPREAD * math.sqrt(2)
    tail = np.array([math.erfc((i / CELLS - location) / scale) for i in range(CELLS + 1)])
    distribution: Floats = (tail[0] - tail) / (tail[0] - tail[-1])
    return distribution


def _location_for_mean(mean: float) -> float:
    """Return the location of the truncated normal with this mean, up to 0.5, by bisection."""
    low, high = -2.0, 0.5
    for _ in range(40):
        middle = (low + high) / 2
        distribution = _truncated_normal(middle)
        middle_mean = 1 - (distribution[:-1] + distribution[1:]).mean() / 2
        if middle_mean < mean:
            low = middle
        else:
            high = middle
    return high


def _draw_labels(
    base: Items,
    rows: Ints,
    true_class: int,
    weights: Floats,
) -> Ints:
    """Return (k,) the labels that k images of one class are taken for."""
    u = uniform(base.key[rows], Stream.INSTANCE_LABEL)
    label = np.empty(len(rows), np.int64)
    step = max(1, BLOCK // weights.shape[1])
    for begin in range(0, len(rows), step):
        block = slice(begin, begin + step)
        odds = _label_odds(base, rows[block], true_class, weights)
        cumulative = np.cumsum(odds, axis=1)  # (k, C)
        threshold = u[block, None] * cumulative[:, -1:]
        label[block] = (cumulative > threshold).argmax(1)  # the first one above
    return label


def _mean_chances(
    base: Items,
    rows: Ints,
    true_class: int,
    weights: Floats,
) -> Floats:
    """Return (C,) the mean chance of each label over the images of one class."""
    n_classes = weights.shape[1]
    if not len(rows):
        certain: Floats = np.eye(n_classes)[true_class]
        return certain
    # A mean is not a draw, so single precision will do; it takes half the time.
    single = weights.astype(np.float32)
    total: Floats = np.zeros(n_classes)
    step = max(1, BLOCK // n_classes)
    for begin in range(0, len(rows), step):
        odds = _label_odds(base, rows[begin : begin + step], true_class, single)
        total += (1 / odds.sum(1)) @ odds
    return total / len(rows)


def _label_odds(
    base: Items,
    rows: Ints,
    true_class: int,
    weights: NDArray[Real],
) -> NDArray[Real]:
    """Return (k, C) the softmax of x W_y, not yet divided by its sum; 0 for the true class."""
    features = base.side["features"][rows].astype(weights.dtype)
    logits: NDArray[Real] = features @ weights
    logits[:, true_class] = -np.inf
    logits -= logits.max(1, keepdims=True)
    return np.exp(logits, out=logits)


def _class_weights(
    base: Items,
    true_class: int,
    n_classes: int,
    fixed: bool,
) -> Floats:
    """Return (d, C) the weights W of a class, standard normal by Box and Muller."""
    n_features = base.side["features"].shape[1]
    size = n_features * n_classes
    first = true_class * size
    number = np.arange(first, first + size, dtype=np.uint64)
    key = mix(number) if fixed else seeded_keys(number, base.seed)
    radius = np.sqrt(-2 * np.log(1 - uniform(key, Stream.INSTANCE_WEIGHT)))
    angle = 2 * np.pi * uniform(key, Stream.INSTANCE_WEIGHT, 1)
    weights: Floats = radius * np.cos(angle)
    return weights.reshape(-1, n_classes)


def _check_options(base: Items, n_classes: int, features: str) -> None:
    if n_classes < 2:
        raise ValueError(
            f"instance noise needs another class, but the number of classes is {n_classes}: "
            "give at least two classes"
        )
    if base.side["features"].ndim != 2:
        raise ValueError(
            f"the column {features!r} of the side table holds labels: name one that holds features"
        )


INSTANCE = NoiseModel(
    instance,
    expected_stats,
    guarantees=frozenset({"exact", "proportional", "nested", "keeps_images"}),
    column_options=frozenset({"features"}),
    custom_order=order,
    paper="Xia et al. 2020",
)
