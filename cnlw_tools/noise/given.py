"""The noise models `human` and `semantic` take the labels from a file.

    y' = the label of the image in a column of the side table

Here, `y'` is the label that the learner gets. The side table is a file with a row for each training
image (option `--side-table`). No label is sampled, so the noise rate is the share of wrong labels
in the column.

An example of ``human`` noise is CIFAR-10N, in which every training image of CIFAR-10 has labels
from three people (Wei et al., ICLR 2022, "Learning with noisy labels revisited"). The first of the
three labels is wrong for 17.23 % of the training images. For 40.21 % of them, at least one of the
three is wrong.

For ``semantic`` noise, a network is trained on a small share of the images, with clean labels, and
then predicts a label for every image (Lee et al., ICML 2019, RoG; Zhang et al., 2020, table 4).
Such a network confuses similar classes, and its errors depend on the image.
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
    no_rows,
)


def human(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    labels: str = "labels",
) -> Draw:
    """Take labels that people gave to the images.

    Args:
        labels: name of the column of the side table that holds the labels

    Raises:
        ValueError: a label is not a class, or the column holds features
    """
    n = len(base.label)
    label = side_labels(base, n_classes, labels)
    return Draw(
        slot=all_rows(n, base.new_array),
        label=label,
        pool=no_rows(n),
    )


def semantic(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    labels: str = "labels",
) -> Draw:
    """Take labels that a network predicted for the images.

    Args:
        labels: name of the column of the side table that holds the labels

    Raises:
        ValueError: a label is not a class, or the column holds features
    """
    return human(base, pool, level, n_classes, labels)


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    labels: str = "labels",
) -> Expected:
    """Return the expected noise; T[c, j] is the exact share of label j among images of class c."""
    label_pair = base.label * n_classes + side_labels(base, n_classes, labels)
    counts = np.bincount(label_pair, minlength=n_classes**2).reshape(n_classes, n_classes)
    n = class_counts(base, n_classes)
    rates = counts / np.maximum(n, 1)[:, None]
    matrix = np.where(n[:, None] > 0, rates, np.eye(n_classes))
    n_clean = np.diag(counts).astype(np.float64)
    n_images = len(base.label)
    rate = float(1 - n_clean.sum() / n_images) if n_images else 0.0
    return Expected(
        rate=rate,
        foreign_rate=0.0,
        matrix=matrix,
        n_clean=n_clean,
    )


def side_labels(base: Items, n_classes: int, column_name: str) -> Ints:
    """Return (n,) the labels in a column of the side table, after checking them.

    Args:
        base: ``side["labels"]``, (n,) the column
        n_classes: labels run from 0 to one less
        column_name: what errors call the column

    Raises:
        ValueError: a label is not a class, or the column holds features
    """
    labels = base.side["labels"]
    if labels.ndim != 1:
        raise ValueError(
            f"the column {column_name!r} of the side table holds features: "
            "name one that holds labels"
        )
    bad_rows = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if len(bad_rows):
        raise ValueError(
            f"label {labels[bad_rows[0]]} in the column {column_name!r} of the side table is "
            "not allowed: "
            f"with {n_classes} classes, labels must be from 0 to {n_classes - 1}"
        )
    return labels.astype(np.int64)


HUMAN = NoiseModel(
    human,
    expected_stats,
    guarantees=frozenset({"keeps_images"}),
    column_options=frozenset({"labels"}),
    has_level=False,
    paper="Wei et al. 2022",
)
SEMANTIC = NoiseModel(
    semantic,
    expected_stats,
    guarantees=frozenset({"keeps_images"}),
    column_options=frozenset({"labels"}),
    has_level=False,
    paper="Lee et al. 2019",
)
