"""Dilution with foreign images: what is added shows nothing of the classes (Rolnick et al., 2017, exp. 3, fig. 5).

    n clean examples and N = floor(alpha n + 1/2) images of other datasets, or of white noise
    label j for N / C of these, rounded up or down

A donor's images come equally often, give or take one, however few there are. With ``own``, the dataset's own images,
this is dilution.py; of white noise see sources/white_noise.py.
"""

import numpy as np

from cnlw_tools.noise import dilution
from cnlw_tools.noise.base import Draw, Expected, Items, NoiseModel, class_counts
from cnlw_tools.noise.dilution import copies
from cnlw_tools.noise.foreign import repeated
from cnlw_tools.prng import Stream, mix, random_bits


def source(
    base: Items,
    pool: Items,
    level: int,
    classes: int,
    alpha: float = 20.0,
    shares: str = "",
    own: bool = False,
) -> Draw:
    """Keep every example, and add ``alpha`` foreign images for each, with labels drawn uniformly.

    Raises:
        ValueError: alpha is not from 0 to 100, or impossible shares
        DonorTooSmall: a donor has no image
    """
    if own:
        return dilution.dilution(base, pool, level, classes, alpha)
    return added(base, pool, int(copies(np.array(len(base.label)), alpha)), classes, shares)


def expected(
    base: Items, level: int, classes: int, alpha: float = 20.0, shares: str = "", own: bool = False
) -> Expected:
    """Every foreign image is wrong for its label; a clean example keeps its own."""
    if own:
        return dilution.expected(base, level, classes, alpha)
    return promised(base, int(copies(np.array(len(base.label)), alpha)), classes)


def added(base: Items, pool: Items, many: int, classes: int, shares: str) -> Draw:
    """Return all examples, and so many foreign ones beside them."""
    image, times = repeated(pool, many, shares)
    order = np.argsort(
        random_bits(mix(pool.key[image] ^ times.astype(np.uint64)), Stream.COPY_LABEL),
        kind="stable",
    )
    label = np.arange(many) * classes // max(many, 1)
    n = np.arange(len(base.label))
    return Draw(
        np.append(n, np.full(many, -1)),
        np.append(base.label, label),
        np.append(np.full(len(n), -1), image[order]),
    )


def promised(base: Items, many: int, classes: int) -> Expected:
    """Return what `added` will realise."""
    foreign = many / max(many + len(base.label), 1)
    return Expected(
        foreign, foreign, np.eye(classes), class_counts(base, classes).astype(np.float64)
    )


SOURCE = NoiseModel(
    source,
    expected,
    frozenset({"adds"}),
    test_options={"alpha": 2.3},
    pool_columns=frozenset({"donor"}),
    always_in_name=frozenset({"alpha"}),
    has_level=False,
    needs_donors=True,
    paper="Rolnick et al. 2017",
)
