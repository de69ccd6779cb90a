"""Labels that somebody gave: annotators of a crowd, or a network that learned from little.

    y' = the label of the image in a column of the side table

Nothing is drawn. The rate is what it is: 17.23 % in the first of the three labels of CIFAR-10N, 40.21 % in the worst
(Wei et al., ICLR 2022, "Learning with noisy labels revisited"). Labels of ``semantic`` noise come from a network
that saw a small clean share alone (Lee et al., ICML 2019, RoG; Zhang et al., 2020, table 4): similar classes are
confused, and which images are is no accident.
"""

import numpy as np

from cnlw_tools.noise.base import Draw, Expected, Ints, Items, NoiseModel, class_counts


def human(base: Items, pool: Items, level: int, classes: int, labels: str = "labels") -> Draw:
    """Take the labels that people gave, from a column of the side table.

    Raises:
        ValueError: a label that is none of the classes, or a column of features
    """
    n = len(base.label)
    return Draw(np.arange(n), given_labels(base, classes, labels), np.full(n, -1))


def semantic(base: Items, pool: Items, level: int, classes: int, labels: str = "labels") -> Draw:
    """Take the labels that a network predicted, from a column of the side table.

    Raises:
        ValueError: a label that is none of the classes, or a column of features
    """
    return human(base, pool, level, classes, labels)


def expected(base: Items, level: int, classes: int, labels: str = "labels") -> Expected:
    """T[c, j] is the share of the images of class c that were given j, exactly."""
    given, n = given_labels(base, classes, labels), class_counts(base, classes)
    pairs = np.bincount(base.label * classes + given, minlength=classes**2).reshape(
        classes, classes
    )
    matrix = np.where(n[:, None] > 0, pairs / np.maximum(n, 1)[:, None], np.eye(classes))
    kept = np.diag(pairs).astype(np.float64)
    return Expected(
        float(1 - kept.sum() / max(len(given), 1)) if len(given) else 0.0, 0.0, matrix, kept
    )


def given_labels(base: Items, classes: int, labels: str) -> Ints:
    """Return (n,) the column's labels, checked."""
    given = base.side["labels"]
    if given.ndim != 1:
        raise ValueError(
            f"the column {labels!r} of the side table holds features: name one that holds labels"
        )
    wrong = np.flatnonzero((given < 0) | (given >= classes))
    if len(wrong):
        asked = f"label {given[wrong[0]]} in the column {labels!r} of the side table"
        raise ValueError(
            f"{asked}: there are {classes} classes: labels run from 0 to {classes - 1}"
        )
    return given.astype(np.int64)


COLUMN = frozenset({"labels"})  # the option that names it
HOLDS = frozenset({"keeps_images"})
HUMAN = NoiseModel(
    human, expected, HOLDS, column_options=COLUMN, has_level=False, paper="Wei et al. 2022"
)
SEMANTIC = NoiseModel(
    semantic, expected, HOLDS, column_options=COLUMN, has_level=False, paper="Lee et al. 2019"
)
