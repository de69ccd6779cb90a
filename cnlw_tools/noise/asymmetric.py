"""In asymmetric noise, all wrongly labelled images of a class get the same wrong label.

Two noise models make asymmetric noise. `asymmetric` has the option `map`, which chooses one of the
maps below. `pairflip` always uses the map ``pairflip``, which changes all classes.

    y' = map[y]     for level % of the images of every class with map[y] != y
    y' = y          for the others

For each class y, map[y] is the label that wrongly labelled images of y get. The map is applied
once, to the true label. For example, the map `cifar10` changes cat to dog and dog to cat. If an
image of a cat gets the label dog, this label does not change again. In each class that the map
changes, `level` percent of the labels become wrong. The map `cifar10` changes five of the ten
classes, so a level of 40 % changes 20 % of all labels.

These are the maps:

    cifar10      truck -> automobile, bird -> airplane,         Patrini et al., 2017;
                 cat <-> dog, deer -> horse                     Zhang et al., 2020
    mnist        7 -> 1, 2 -> 7, 5 <-> 6, 3 -> 8                Patrini et al., 2017
    cifar100     a ring through the five classes of each        Zhang et al., 2020
                 superclass
    blocks       rings through groups of five classes           Patrini's code, for CIFAR-100
    pairflip     y -> (y + 1) mod C                             Han et al. (Co-teaching), 2018

In a ring, each class is mapped to the next one, and the last class to the first. On CIFAR-100, the
maps ``blocks`` and ``cifar100`` differ: ``blocks`` puts five classes with consecutive numbers into
a group, and classes are numbered in the order of their names, not by superclass.
"""

import numpy as np

from cnlw_tools.noise.base import (
    Draw,
    Expected,
    Ints,
    Items,
    NoiseModel,
    all_rows,
    class_counts,
    copy_labels,
    corruption_order,
    n_noisy,
    no_rows,
    noisy_per_class,
)

SIZES = {"cifar10": 10, "mnist": 10, "cifar100": 100}  # classes that a map is for; others: any
PAIRS = {
    "cifar10": {9: 1, 2: 0, 3: 5, 5: 3, 4: 7},
    "mnist": {7: 1, 2: 7, 5: 6, 6: 5, 3: 8},
}
SUPERCLASSES = np.array(  # fine labels of CIFAR-100, a superclass a row (Krizhevsky, 2009)
    [
        [4, 30, 55, 72, 95], [1, 32, 67, 73, 91], [54, 62, 70, 82, 92], [9, 10, 16, 28, 61],
        [0, 51, 53, 57, 83], [22, 39, 40, 86, 87], [5, 20, 25, 84, 94], [6, 7, 14, 18, 24],
        [3, 42, 43, 88, 97], [12, 17, 37, 68, 76], [23, 33, 49, 60, 71], [15, 19, 21, 31, 38],
        [34, 63, 64, 66, 75], [26, 45, 77, 79, 99], [2, 11, 35, 46, 98], [27, 29, 44, 78, 93],
        [36, 50, 65, 74, 80], [47, 52, 56, 59, 96], [8, 13, 48, 58, 90], [41, 69, 81, 85, 89],
    ]
)  # fmt: skip
MAPS = ("cifar10", "mnist", "cifar100", "blocks", "pairflip")


def asymmetric(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    map: str = "cifar10",
) -> Draw:
    """Flip ``level`` percent of the labels of some or all classes; a map gives the new labels.

    Args:
        map: cifar10, mnist, cifar100, blocks or pairflip; the list above says what each map
            changes

    Raises:
        ValueError: no such map, or it is for another number of classes
    """
    n = len(base.label)
    flipped = corruption_order(base)[: n_noisy(level, n)]
    label = copy_labels(base)
    label[flipped] = target_labels(map, n_classes)[label[flipped]]
    return Draw(
        slot=all_rows(n, base.new_array),
        label=label,
        pool=no_rows(n),
    )


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    map: str = "cifar10",
) -> Expected:
    """T[c, map c] = p_c and T[c, c] = 1 - p_c; p_c is the exact rate of class c, 0 if it stays."""
    target = target_labels(map, n_classes)
    classes = np.arange(n_classes)
    n = class_counts(base, n_classes)
    flipped = noisy_per_class(n, level) * (target != classes)
    p = flipped / np.maximum(n, 1)
    matrix = np.diag(1 - p)
    matrix[classes, target] += p
    rate = float(flipped.sum() / max(n.sum(), 1))
    return Expected(
        rate=rate,
        foreign_rate=0.0,
        matrix=matrix,
        n_clean=n - flipped,
    )


def target_labels(map_name: str, n_classes: int) -> Ints:
    """Return (C,) the label that each class is flipped to; its own where the map does not move it.

    Raises:
        ValueError: no such map, or it is for another number of classes
    """
    if map_name not in MAPS:
        raise ValueError(f"asymmetric noise has no map {map_name!r}: give one of {', '.join(MAPS)}")
    size = SIZES.get(map_name, n_classes)
    if n_classes != size:
        raise ValueError(
            f"the map {map_name!r} is for {size} classes, but there are {n_classes}: "
            "give another map"
        )
    target = np.arange(n_classes)
    if map_name in PAIRS:
        for source, destination in PAIRS[map_name].items():
            target[source] = destination
    elif map_name == "cifar100":
        target[SUPERCLASSES] = np.roll(SUPERCLASSES, -1, axis=1)
    elif map_name == "blocks":
        block_start = target // 5 * 5
        block_size = np.minimum(5, n_classes - block_start)
        target = block_start + (target - block_start + 1) % block_size
    else:
        target = (target + 1) % n_classes
    return target


ASYMMETRIC = NoiseModel(
    asymmetric,
    expected_stats,
    guarantees=frozenset({"nested", "keeps_images"}),
    test_options={"map": "blocks"},
    paper="Patrini et al. 2017, Zhang et al. 2020",
)


def pairflip(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
) -> Draw:
    """Flip ``level`` percent of the labels of each class y to the next class, (y + 1) mod C.

    Raises:
        ValueError: there is no other class
    """
    if n_classes < 2:
        raise ValueError(
            f"pairflip noise needs another class, but the number of classes is {n_classes}: "
            "give at least two classes"
        )
    return asymmetric(base, pool, level, n_classes, "pairflip")


def expected_pairflip(base: Items, level: int, n_classes: int) -> Expected:
    """T[c, c + 1] = p_c and T[c, c] = 1 - p_c, with p_c the exact rate of class c."""
    return expected_stats(base, level, n_classes, "pairflip")


PAIRFLIP = NoiseModel(
    pairflip,
    expected_pairflip,
    guarantees=frozenset({"exact", "proportional", "nested", "keeps_images"}),
    paper="Han et al. 2018",
)
