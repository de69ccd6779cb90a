"""Outliers: images of other datasets beside one's own, with labels that mean nothing (Sukhbaatar et al., 2015).

    N_in clean examples and N_out = floor(ratio N_in + 1/2) images of donors, each once
    known N_out of these, rounded half up      the label K, "outlier", a class that is then there beside the K others
    the others                                 label j for a K-th of them, rounded up or down

With known > 0 the truth of every outlier is that class, so those that bear it are clean; else nobody knows one.
"""

import numpy as np

from cnlw_tools.noise.base import Draw, Expected, Items, NoiseModel, class_counts
from cnlw_tools.noise.foreign import taken
from cnlw_tools.prng import Stream, random_bits


def outlier(
    base: Items,
    pool: Items,
    level: int,
    classes: int,
    ratio: float = 0.5,
    known: float = 0.0,
    shares: str = "",
) -> Draw:
    """Add ``ratio`` foreign images for each clean example, labels drawn uniformly or, for some, ``outlier``.

    Raises:
        ValueError: ratio below 0, known not from 0 to 1, or impossible shares
        DonorTooSmall: a donor has fewer images than its share
    """
    many, right = _counts(len(base.label), ratio, known)
    image = taken(pool, many, shares)
    image = image[np.argsort(random_bits(pool.key[image], Stream.OUTLIER_LABEL), kind="stable")]
    inliers = classes - (known > 0)
    label = np.append(
        np.full(right, classes - 1), np.arange(many - right) * inliers // max(many - right, 1)
    )
    n = len(base.label)
    return Draw(
        np.append(np.arange(n), np.full(many, -1)),
        np.append(base.label, label),
        np.append(np.full(n, -1), image),
    )


def expected(
    base: Items, level: int, classes: int, ratio: float = 0.5, known: float = 0.0, shares: str = ""
) -> Expected:
    """Outliers that do not bear their class are wrong; where the image is the dataset's own, the label is right."""
    many, right = _counts(len(base.label), ratio, known)
    rows = max(len(base.label) + many, 1)
    kept = class_counts(base, classes).astype(np.float64)
    kept[-1] += right
    return Expected((many - right) / rows, many / rows, np.eye(classes), kept)


def _counts(n: int, ratio: float, known: float) -> tuple[int, int]:
    """Return how many outliers there are, and how many of them bear their class."""
    if not 0 <= ratio < 1e6:
        raise ValueError(
            f"ratio = {ratio:g}: outliers for each clean example: give a number from 0 on"
        )
    if not 0 <= known <= 1:
        raise ValueError(
            f"known = {known:g}: share of the outliers that are labelled so: give a number from 0 to 1"
        )
    many = int(ratio * n + 0.5)
    return many, int(known * many + 0.5)


OUTLIER = NoiseModel(
    outlier,
    expected,
    frozenset({"adds"}),
    test_options={"ratio": 0.7},
    pool_columns=frozenset({"donor"}),
    always_in_name=frozenset({"ratio"}),
    has_level=False,
    needs_donors=True,
    outlier_option="known",
    paper="Sukhbaatar et al. 2015",
)
