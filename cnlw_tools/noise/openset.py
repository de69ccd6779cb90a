"""In open-set noise, images from outside the dataset replace its images; the labels stay the same.

    level % of every class     the image is replaced by an image of the donor; the label stays
    flips % of every class     the image stays; the label changes to another class:
                               y' = (y + 1 + floor(u (C - 1))) mod C

The new images come from a donor (option `--donor`), which is another dataset or a set of pictures
of white noise. They may be of any class of the donor, and each is used at most once. If there are
several donors, the new images at every level come from them in the proportions given by the option
`shares`.

By default, no label changes. The option `flips` adds a second kind of noise: other examples keep
their images and get wrong labels. The images at the beginning of the corruption order are replaced,
and those at its end get wrong labels, so no example gets both changes.

Paper: Zhang et al., IEG, 2020, table 5.
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
)
from cnlw_tools.noise.foreign import take_once
from cnlw_tools.prng import Stream, uniform


def openset(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    flips: int = 0,
    shares: str = "",
) -> Draw:
    """Replace ``level`` percent of the images of every class with images of another dataset.

    Args:
        flips: percentage of the images of each class that stay and get other labels
        shares: with several donors, the ratio of the numbers of their images, such as 1:3; by
            default, these numbers are equal

    Raises:
        ValueError: flips is negative, level and flips exceed 100 percent together, there is no
            second class to flip labels to, or the shares are impossible
        DonorTooSmall: a donor has fewer images than its share
    """
    replaced, flipped = _split_rows(base, level, n_classes, flips)
    n = len(base.label)
    pool_row = np.full(n, -1)
    pool_row[replaced] = take_once(pool, len(replaced), shares)
    label = copy_labels(base)
    u = uniform(base.key[flipped], Stream.NEW_LABEL)
    offset = (u * (n_classes - 1)).astype(np.int64)
    label[flipped] = (label[flipped] + 1 + offset) % n_classes
    return Draw(
        slot=all_rows(n, base.new_array),
        label=label,
        pool=pool_row,
    )


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    flips: int = 0,
    shares: str = "",
) -> Expected:
    """Return the expected noise.

    For images that are not replaced, T[c, c] = 1 - p_c and T[c, j] = p_c / (C - 1), where p_c is
    the share of flipped labels.
    """
    replaced, flipped = _split_rows(base, level, n_classes, flips)
    n = class_counts(base, n_classes)
    n_replaced = np.bincount(base.label[replaced], minlength=n_classes)
    n_flipped = np.bincount(base.label[flipped], minlength=n_classes)
    n_staying = n - n_replaced
    p = n_flipped / np.maximum(n_staying, 1)
    to_others = (1 - np.eye(n_classes)) / max(n_classes - 1, 1)
    matrix = np.diag(1 - p) + p[:, None] * to_others
    total = max(len(base.label), 1)
    return Expected(
        rate=(len(replaced) + len(flipped)) / total,
        foreign_rate=len(replaced) / total,
        matrix=matrix,
        n_clean=(n_staying - n_flipped).astype(np.float64),
    )


def _split_rows(
    base: Items,
    level: int,
    n_classes: int,
    flips: int,
) -> tuple[Ints, Ints]:
    """Return the rows that get another image, and those that get another label."""
    if not 0 <= flips <= 100 - level:
        raise ValueError(
            f"flips = {flips} is not allowed at level {level}: "
            f"give a whole percentage from 0 to {100 - level}"
        )
    if flips and n_classes < 2:
        raise ValueError(
            f"flips = {flips}: a flip needs another class, but the number of classes is "
            f"{n_classes}: give flips = 0, or at least two classes"
        )
    order = corruption_order(base)
    n = len(order)
    n_replaced = n_noisy(level, n)
    n_flipped = min(n_noisy(flips, n), n - n_replaced)
    return order[:n_replaced], order[n - n_flipped :]


OPENSET = NoiseModel(
    openset,
    expected_stats,
    guarantees=frozenset({"exact", "proportional", "nested", "keeps_labels"}),
    pool_columns=frozenset({"donor"}),
    needs_donors=True,
    paper="Zhang et al. 2020",
)
