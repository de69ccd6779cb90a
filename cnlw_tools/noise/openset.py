"""Open-set noise: donors' images in the place of a dataset's own, labels kept (Zhang et al., IEG, 2020, table 5).

    level % of every class lose their image to one of another dataset's, of whatever class; the label stays
    flips % of every class keep their image and get another label        y' = (y + 1 + floor(u (C - 1))) mod C

The first are the first of the corruption order, the second its last, so no image is both, and levels are nested. A
donor's image is used once; foreign.py says which of several donors comes when.
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
)
from cnlw_tools.noise.foreign import taken
from cnlw_tools.prng import Stream, uniform


def openset(
    base: Items, pool: Items, level: int, classes: int, flips: int = 0, shares: str = ""
) -> Draw:
    """Give ``level`` percent of every class images of another dataset in place of their own.

    Raises:
        ValueError: level and flips are more than 100 percent, flips below 0 or to no other class, or impossible shares
        DonorTooSmall: a donor has fewer images than its share
    """
    lost, flipped = _chosen(base, level, classes, flips)
    label, came = base.label.copy(), np.full(len(base.label), -1)
    came[lost] = taken(pool, len(lost), shares)
    turn = (uniform(base.key[flipped], Stream.NEW_LABEL) * (classes - 1)).astype(np.int64)
    label[flipped] = (label[flipped] + 1 + turn) % classes
    return Draw(np.arange(len(label)), label, came)


def expected(base: Items, level: int, classes: int, flips: int = 0, shares: str = "") -> Expected:
    """Where the image stays, T[c, c] = 1 - p_c and T[c, j] = p_c / (C - 1), with p_c the exact share of flips there."""
    lost, flipped = _chosen(base, level, classes, flips)
    n, out, turned = (
        class_counts(base._replace(label=base.label[rows]), classes)
        for rows in (slice(None), lost, flipped)
    )
    p = turned / np.maximum(n - out, 1)
    matrix = p[:, None] * (1 - np.eye(classes)) / max(classes - 1, 1) + np.diag(1 - p)
    total = max(len(base.label), 1)
    return Expected(
        (len(lost) + len(flipped)) / total,
        len(lost) / total,
        matrix,
        (n - out - turned).astype(np.float64),
    )


def _chosen(base: Items, level: int, classes: int, flips: int) -> tuple[Ints, Ints]:
    """Return the rows that lose their image, and those that lose their label."""
    if not 0 <= flips <= 100 - level:
        raise ValueError(
            f"flips = {flips}: beside level {level} give a whole percent from 0 to {100 - level}"
        )
    if flips and classes < 2:
        raise ValueError(
            f"flips take another class, and there is {classes}: give at least two classes"
        )
    order, n = corruption_order(base), len(base.label)
    return order[: n_noisy(level, n)], order[n - min(n_noisy(flips, n), n - n_noisy(level, n)) :]


OPENSET = NoiseModel(
    openset,
    expected,
    frozenset({"exact", "proportional", "nested", "keeps_labels"}),
    pool_columns=frozenset({"donor"}),
    needs_donors=True,
    paper="Zhang et al. 2020",
)
