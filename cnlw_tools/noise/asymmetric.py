"""Asymmetric label flips: a class is taken for the one that it is confused with.

    y' = map[y]     for level % of the images of every class that the map moves
    y' = y          for the others

The map is applied once, to the true label, so a cat that became a dog is not flipped back. The level is the
rate in every *affected* class: with the five affected classes of CIFAR-10, 40 % means 20 % of all labels.

    cifar10      truck -> automobile, bird -> airplane, cat <-> dog, deer -> horse   Patrini et al., 2017; Zhang et al.
    mnist        7 -> 1, 2 -> 7, 5 <-> 6, 3 -> 8                                     Patrini et al., 2017
    cifar100     a ring through the five classes of each true superclass             Zhang et al., 2020
    blocks       a ring through each five consecutive classes                        Patrini's code, for CIFAR-100
    pairflip     y -> (y + 1) mod C                                                  Han et al. (Co-teaching), 2018

On CIFAR-100 ``blocks`` is not the ring of superclasses, whatever it is called: labels there are sorted by name.
"""

import numpy as np

from cnlw_tools.noise.base import (
    Draw,
    Expected,
    Ints,
    Items,
    NoiseModel,
    class_counts,
    corruption_order,
    n_noisy,
    noisy_per_class,
)

SIZES = {"cifar10": 10, "mnist": 10, "cifar100": 100}
PAIRS = {
    "cifar10": {9: 1, 2: 0, 3: 5, 5: 3, 4: 7},
    "mnist": {7: 1, 2: 7, 5: 6, 6: 5, 3: 8},
}
SUPERCLASSES = np.array(  # of CIFAR-100: its fine labels, five a row (Krizhevsky, 2009)
    [
        [4, 30, 55, 72, 95], [1, 32, 67, 73, 91], [54, 62, 70, 82, 92], [9, 10, 16, 28, 61], [0, 51, 53, 57, 83],
        [22, 39, 40, 86, 87], [5, 20, 25, 84, 94], [6, 7, 14, 18, 24], [3, 42, 43, 88, 97], [12, 17, 37, 68, 76],
        [23, 33, 49, 60, 71], [15, 19, 21, 31, 38], [34, 63, 64, 66, 75], [26, 45, 77, 79, 99], [2, 11, 35, 46, 98],
        [27, 29, 44, 78, 93], [36, 50, 65, 74, 80], [47, 52, 56, 59, 96], [8, 13, 48, 58, 90], [41, 69, 81, 85, 89],
    ]
)  # fmt: skip
MAPS = ("cifar10", "mnist", "cifar100", "blocks", "pairflip")


def asymmetric(base: Items, pool: Items, level: int, classes: int, map: str = "cifar10") -> Draw:
    """Flip ``level`` percent of every class that the map moves to the class it is confused with.

    Raises:
        ValueError: no such map, or it is for another number of classes
    """
    n = len(base.label)
    chosen = corruption_order(base)[: n_noisy(level, n)]
    label = base.label.copy()
    label[chosen] = target(map, classes)[label[chosen]]
    return Draw(np.arange(n), label, np.full(n, -1))


def expected(base: Items, level: int, classes: int, map: str = "cifar10") -> Expected:
    """T[c, map c] = p_c and T[c, c] = 1 - p_c, with p_c the exact rate of class c, 0 where the map stays."""
    to, n = target(map, classes), class_counts(base, classes)
    lost = noisy_per_class(n, level) * (to != np.arange(classes))
    p = lost / np.maximum(n, 1)
    matrix = np.diag(1 - p)
    matrix[np.arange(classes), to] += p
    return Expected(float(lost.sum() / max(n.sum(), 1)), 0.0, matrix, n - lost)


def target(name: str, classes: int) -> Ints:
    """Return (C,) the label that each class is taken for; itself where the map does not move it.

    Raises:
        ValueError: no such map, or it is for another number of classes
    """
    if name not in MAPS:
        raise ValueError(f"asymmetric noise has no map {name!r}: there are {', '.join(MAPS)}")
    if classes != SIZES.get(name, classes):
        raise ValueError(
            f"the map {name!r} is for {SIZES[name]} classes, and there are {classes}: give another map"
        )
    to = np.arange(classes)
    if name in PAIRS:
        to[list(PAIRS[name])] = list(PAIRS[name].values())
    elif name == "cifar100":
        to[SUPERCLASSES] = np.roll(SUPERCLASSES, -1, axis=1)
    elif name == "blocks":
        first = to // 5 * 5
        to = first + (to - first + 1) % np.minimum(5, classes - first)
    else:
        to = (to + 1) % classes
    return to


ASYMMETRIC = NoiseModel(
    asymmetric,
    expected,
    frozenset({"nested", "keeps_images"}),
    test_options={"map": "blocks"},
    paper="Patrini et al. 2017, Zhang et al. 2020",
)


def pairflip(base: Items, pool: Items, level: int, classes: int) -> Draw:
    """Flip ``level`` percent of every class to the next one, the last to the first.

    Raises:
        ValueError: there is no other class
    """
    if classes < 2:
        raise ValueError(
            f"pairflip takes the next class, and there is {classes}: give at least two classes"
        )
    return asymmetric(base, pool, level, classes, "pairflip")


def expected_pairflip(base: Items, level: int, classes: int) -> Expected:
    """T[c, c + 1] = p_c and T[c, c] = 1 - p_c, with p_c the exact rate of class c."""
    return expected(base, level, classes, "pairflip")


PAIRFLIP = NoiseModel(
    pairflip,
    expected_pairflip,
    frozenset({"exact", "proportional", "nested", "keeps_images"}),
    paper="Han et al. 2018",
)
