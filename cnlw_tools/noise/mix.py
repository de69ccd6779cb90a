"""A mixture applies one noise model to some of the images, and another model to the others.

    floor(n_c proportion_first + 1/2)  images of class c, chosen at random:    the model `first`
    the others of the n_c images:                                              the model `second`

Here, `n_c` is the number of images of class c; `first`, `second` and `proportion_first` are
options. Both models must have a level, and neither may need a donor or a side table. For example,
suppose red noise at 40 % is applied to one half of the images, and blue noise at 40 % to the other.
Then 20 % of all images get red noise, another 20 % get blue noise, and 60 % stay clean.

The division of the images does not depend on the models or the level. Each model rounds the number
of noisy images in its part, so even with two exact models, the total number of noisy images may be
one more or one less than the level asks for.
"""

import numpy as np

from cnlw_tools.noise.base import (
    Draw,
    Expected,
    Floats,
    Ints,
    Items,
    NoiseModel,
    class_counts,
    corruption_order,
    rank_in_class,
)
from cnlw_tools.prng import Stream, random_bits


def mix(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    first: str = "blue",
    second: str = "red",
    proportion_first: float = 0.5,
) -> Draw:
    """Apply the noise ``first`` to a share of every class, and the noise ``second`` to the rest.

    Both have ``level`` percent.

    Args:
        first: name of the first noise model
        second: name of the second noise model
        proportion_first: share of the images of each class to which ``first`` is applied

    Raises:
        ValueError: a model has no level or cannot be mixed, or the proportion is not from 0 to 1
    """
    models = _pick_models(first, second, proportion_first)
    draws = []
    for rows, model in zip(split_rows(base, n_classes, proportion_first), models, strict=True):
        draw = model.draw(_select(base, rows), pool, level, n_classes)
        slot = np.append(rows, -1)[draw.slot]  # -1, no slot, stays -1
        draws.append(
            Draw(
                slot,
                draw.label,
                draw.pool,
            )
        )
    slot, label, pool_row = (np.concatenate(columns) for columns in zip(*draws, strict=True))
    by_slot = np.argsort(slot, kind="stable")
    return Draw(
        slot=slot[by_slot],
        label=label[by_slot],
        pool=pool_row[by_slot],
    )


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    first: str = "blue",
    second: str = "red",
    proportion_first: float = 0.5,
) -> Expected:
    """The weighted mean of what both models expect.

    Rates are weighted by images, rows of the matrix by images that stay in the class.
    """
    model_a, model_b = _pick_models(first, second, proportion_first)
    rows_a, rows_b = split_rows(base, n_classes, proportion_first)
    items_a, items_b = _select(base, rows_a), _select(base, rows_b)
    a = model_a.expected(items_a, level, n_classes)
    b = model_b.expected(items_b, level, n_classes)
    n = max(len(base.label), 1)
    n_a = len(rows_a)
    n_b = n - n_a
    staying_a = _images_that_stay(a, class_counts(items_a, n_classes))
    staying_b = _images_that_stay(b, class_counts(items_b, n_classes))
    weight_a = (staying_a / np.maximum(staying_a + staying_b, 1e-300))[:, None]
    return Expected(
        rate=(a.rate * n_a + b.rate * n_b) / n,
        foreign_rate=(a.foreign_rate * n_a + b.foreign_rate * n_b) / n,
        matrix=weight_a * a.matrix + (1 - weight_a) * b.matrix,
        n_clean=a.n_clean + b.n_clean,
        exact=a.exact and b.exact,
        nested=a.nested and b.nested,
        n_draws=a.n_draws + b.n_draws,
    )


def split_rows(base: Items, n_classes: int, proportion_first: float) -> tuple[Ints, Ints]:
    """Return the rows of the first model, and those of the second."""
    size = np.floor(class_counts(base, n_classes) * proportion_first + 0.5)
    random_order = np.argsort(random_bits(base.key, Stream.MIX_PART), kind="stable")
    is_first = rank_in_class(base, random_order) < size[base.label]
    return np.flatnonzero(is_first), np.flatnonzero(~is_first)


def order(
    base: Items,
    first: str = "blue",
    second: str = "red",
    proportion_first: float = 0.5,
) -> Ints:
    """Return (n,) all items as they turn noisy, if each part does so at its own even pace."""
    n_classes = int(base.label.max(initial=-1)) + 1
    place, ordered = [], []
    for rows in split_rows(base, n_classes, proportion_first):
        place.append((np.arange(len(rows)) + 0.5) / max(len(rows), 1))
        ordered.append(rows[corruption_order(_select(base, rows))])
    return np.concatenate(ordered)[np.argsort(np.concatenate(place), kind="stable")]


def _select(items: Items, rows: Ints) -> Items:
    side = {name: values[rows] for name, values in items.side.items()}
    return items._replace(label=items.label[rows], key=items.key[rows], side=side)


def _images_that_stay(statistics: Expected, counts: Ints) -> Floats:
    """Return (C,) how many images of each class stay in their slots; counts: (C,) all images."""
    if not statistics.foreign_rate:
        return counts.astype(np.float64)
    share_with_true_label = np.diag(statistics.matrix)
    return statistics.n_clean / np.maximum(share_with_true_label, 1e-300)


def _pick_models(first: str, second: str, proportion_first: float) -> tuple[NoiseModel, NoiseModel]:
    """Return the two models.

    Raises:
        ValueError: one has no level or cannot be mixed, or the proportion is not from 0 to 1
    """
    from cnlw_tools.noise import NOISE  # this file is a part of it

    mixable = {name: model for name, model in NOISE.items() if _is_mixable(model)}
    for name in (first, second):
        if name not in mixable:
            raise ValueError(
                f"noise {name!r} cannot be mixed: use one that needs only a level: "
                f"{', '.join(mixable)}"
            )
    if mixable[first].needs_web_pool and mixable[second].needs_web_pool:
        raise ValueError(
            f"{first} and {second} would use the same web images: use only one of the two"
        )
    if not 0 <= proportion_first <= 1:
        raise ValueError(
            f"proportion_first = {proportion_first} is not allowed. It is the share of the "
            f"images that get {first} noise: give a number from 0 to 1"
        )
    return mixable[first], mixable[second]


def _is_mixable(model: NoiseModel) -> bool:
    needs_data = model.column_options or model.needs_donors
    return model.has_level and not needs_data and model is not MIX


MIX = NoiseModel(
    mix,
    expected_stats,
    guarantees=frozenset({"nested"}),
    pool_columns=frozenset({"dead"}),
    always_in_name=frozenset({"first", "second"}),
    needs_web_pool=True,
    custom_order=order,
    paper="Jiang et al. 2020",
)
