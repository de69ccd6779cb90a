"""Outliers are images from outside the dataset, added with random labels or the label "outlier".

    N_out = floor(ratio N_in + 1/2)             outliers beside N_in clean examples
    N_labelled = floor(known_share N_out + 1/2) outliers with the label "outlier", an added class
    (N_out - N_labelled) / C                    outliers with the label of each class of the
                                                dataset, rounded up or down

Here, `C` is the number of classes of the dataset, without the added class "outlier".

The images come from a donor (option `--donor`), which is another dataset or a set of pictures of
white noise. Each image of a donor is used at most once. If ``known_share`` is above 0, the true
class of every outlier is "outlier", so outliers labelled "outlier" are clean, and all other
outliers are noisy. If ``known_share`` is 0, outliers have no true class, and all of them count as
noisy.

Paper: Sukhbaatar et al., 2015.
"""

import numpy as np

from cnlw_tools.noise.base import Draw, Expected, Items, NoiseModel, class_counts
from cnlw_tools.noise.foreign import take_once
from cnlw_tools.prng import Stream, random_bits


def outlier(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    ratio: float = 0.5,
    known_share: float = 0.0,
    shares: str = "",
) -> Draw:
    """Keep every example, and add ``ratio`` images of another dataset for each one.

    Their labels are drawn uniformly; a share ``known_share`` of them is labelled ``outlier``
    instead.

    Args:
        ratio: added images for each clean example
        known_share: share of the added images that get the label "outlier"
        shares: with several donors, the ratio of the numbers of their images, such as 1:3; by
            default, these numbers are equal

    Raises:
        ValueError: ratio below 0, known_share not from 0 to 1, or impossible shares
        DonorTooSmall: a donor has fewer images than its share
    """
    n = len(base.label)
    n_outliers, n_labelled = _outlier_counts(n, ratio, known_share)
    n_random = n_outliers - n_labelled
    taken_rows = take_once(pool, n_outliers, shares)
    random_order = np.argsort(
        random_bits(pool.key[taken_rows], Stream.OUTLIER_LABEL), kind="stable"
    )
    n_true_classes = n_classes - (known_share > 0)
    random_label = np.arange(n_random) * n_true_classes // max(n_random, 1)
    outlier_label = np.append(np.full(n_labelled, n_classes - 1), random_label)
    return Draw(
        slot=np.append(np.arange(n), np.full(n_outliers, -1)),
        label=np.append(base.label, outlier_label),
        pool=np.append(np.full(n, -1), taken_rows[random_order]),
    )


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    ratio: float = 0.5,
    known_share: float = 0.0,
    shares: str = "",
) -> Expected:
    """Outliers without the label of their class are wrong; the dataset's own images are right."""
    n = len(base.label)
    n_outliers, n_labelled = _outlier_counts(n, ratio, known_share)
    n_examples = max(n + n_outliers, 1)
    n_clean = class_counts(base, n_classes).astype(np.float64)
    n_clean[-1] += n_labelled
    return Expected(
        rate=(n_outliers - n_labelled) / n_examples,
        foreign_rate=n_outliers / n_examples,
        matrix=np.eye(n_classes),
        n_clean=n_clean,
    )


def _outlier_counts(n: int, ratio: float, labelled_share: float) -> tuple[int, int]:
    """Return the number of outliers, and how many of them have the label "outlier"."""
    if not 0 <= ratio < 1e6:
        raise ValueError(
            f"ratio = {ratio:g} is not allowed. It is the number of outliers for each "
            "clean example: give a number that is 0 or more"
        )
    if not 0 <= labelled_share <= 1:
        raise ValueError(
            f"known_share = {labelled_share:g} is not allowed. It is the share of the "
            "outliers with the label outlier: give a number from 0 to 1"
        )
    n_outliers = int(ratio * n + 0.5)
    return n_outliers, int(labelled_share * n_outliers + 0.5)


OUTLIER = NoiseModel(
    outlier,
    expected_stats,
    guarantees=frozenset({"adds"}),
    test_options={"ratio": 0.7},
    pool_columns=frozenset({"donor"}),
    always_in_name=frozenset({"ratio"}),
    has_level=False,
    needs_donors=True,
    outlier_option="known_share",
    paper="Sukhbaatar et al. 2015",
)
