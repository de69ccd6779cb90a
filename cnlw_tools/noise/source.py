"""By default, images from outside the dataset are added to the clean examples.

    N = floor(alpha n + 1/2)    images that are added to n clean examples
    N / C                       added images with each label, rounded up or down

The option alpha is the number of added images for each clean example. The added images come from a
donor (option `--donor`), which is another dataset or a set of pictures of white noise. They show
none of the classes. If a donor has too few images, its images are reused, some once more often than
others. With ``copy_own``, copies of the dataset's own images are added instead, as in dilution.py.

Paper: Rolnick, Veit, Belongie and Shavit, 2017, "Deep learning is robust to massive label noise",
arXiv:1705.10694, experiment 3, figure 5.
"""

import numpy as np

from cnlw_tools.noise import dilution
from cnlw_tools.noise.base import Draw, Expected, Items, NoiseModel, class_counts
from cnlw_tools.noise.foreign import take_repeatedly
from cnlw_tools.prng import Stream, mix, random_bits


def source(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    alpha: float = 20.0,
    shares: str = "",
    copy_own: bool = False,
) -> Draw:
    """Keep every example, and add ``alpha`` images of another dataset for each, labelled at random.

    Args:
        alpha: added images for each clean example
        shares: with several donors, the ratio of the numbers of their images, such as 1:3; by
            default, these numbers are equal
        copy_own: if true, copies of the dataset's own images are added instead

    Raises:
        ValueError: alpha is not from 0 to 100, or impossible shares
        DonorTooSmall: a donor has no image
    """
    if copy_own:
        return dilution.dilution(base, pool, level, n_classes, alpha)
    n = len(base.label)
    n_added = _n_added(n, alpha)
    pool_rows, times_before = take_repeatedly(pool, n_added, shares)
    copy_key = mix(pool.key[pool_rows] ^ times_before.astype(np.uint64))
    random_order = np.argsort(random_bits(copy_key, Stream.COPY_LABEL), kind="stable")
    added_label = np.arange(n_added) * n_classes // max(n_added, 1)
    return Draw(
        slot=np.append(np.arange(n), np.full(n_added, -1)),
        label=np.append(base.label, added_label),
        pool=np.append(np.full(n, -1), pool_rows[random_order]),
    )


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    alpha: float = 20.0,
    shares: str = "",
    copy_own: bool = False,
) -> Expected:
    """Every foreign image is wrong for its label; a clean example keeps its own."""
    if copy_own:
        return dilution.expected_stats(base, level, n_classes, alpha)
    n = len(base.label)
    n_added = _n_added(n, alpha)
    rate = n_added / max(n_added + n, 1)
    n_clean = class_counts(base, n_classes).astype(np.float64)
    return Expected(
        rate=rate,
        foreign_rate=rate,
        matrix=np.eye(n_classes),
        n_clean=n_clean,
    )


def _n_added(n: int, alpha: float) -> int:
    """Return how many images come beside n examples."""
    return int(dilution.copy_counts(np.array(n), alpha))


SOURCE = NoiseModel(
    source,
    expected_stats,
    guarantees=frozenset({"adds"}),
    test_options={"alpha": 2.3},
    pool_columns=frozenset({"donor"}),
    always_in_name=frozenset({"alpha"}),
    has_level=False,
    needs_donors=True,
    paper="Rolnick et al. 2017",
)
