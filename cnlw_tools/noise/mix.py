"""Two noise models in shares: some images suffer the one, the others the other, at one level.

    part of class c = its first  floor(n_c part + 1/2)  images by a random number of their own:  the model `first`
    the others:                                                                                  the model `second`

So "half red, half blue" at 40 % has 20 % of each. Which images are whose depends on neither models nor level. In each
part the count is what its model makes of it, so the sum of two exact counts may be one image off the level.
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
    classes: int,
    first: str = "blue",
    second: str = "red",
    part: float = 0.5,
) -> Draw:
    """Give ``part`` of every class the noise ``first`` and the others the noise ``second``, both at ``level`` percent.

    Raises:
        ValueError: a model that has no level or cannot be mixed, or a part that is none from 0 to 1
    """
    models = _models(first, second, part)
    draws = []
    for rows, model in zip(parts(base, classes, part), models, strict=True):
        slot, label, came = model.draw(_taken(base, rows), pool, level, classes)
        draws.append(Draw(np.append(rows, -1)[slot], label, came))
    slot, label, came = (np.concatenate(columns) for columns in zip(*draws, strict=True))
    by_slot = np.argsort(slot, kind="stable")
    return Draw(slot[by_slot], label[by_slot], came[by_slot])


def expected(
    base: Items,
    level: int,
    classes: int,
    first: str = "blue",
    second: str = "red",
    part: float = 0.5,
) -> Expected:
    """The mean of what both promise: of rates by images, of rows of the matrix by images that stay in the class."""
    sides = [_taken(base, rows) for rows in parts(base, classes, part)]
    a, b = (
        m.expected(s, level, classes)
        for m, s in zip(_models(first, second, part), sides, strict=True)
    )
    n, n_a = max(len(base.label), 1), len(sides[0].label)
    stay_a, stay_b = (
        _stay(promise, class_counts(s, classes)) for promise, s in zip((a, b), sides, strict=True)
    )
    w = (stay_a / np.maximum(stay_a + stay_b, 1e-300))[:, None]
    return Expected(
        rate=(a.rate * n_a + b.rate * (n - n_a)) / n,
        foreign_rate=(a.foreign_rate * n_a + b.foreign_rate * (n - n_a)) / n,
        matrix=w * a.matrix + (1 - w) * b.matrix,
        n_clean=a.n_clean + b.n_clean,
        exact=a.exact and b.exact,
        nested=a.nested and b.nested,
        n_draws=a.n_draws + b.n_draws,
    )


def parts(base: Items, classes: int, part: float) -> tuple[Ints, Ints]:
    """Return the items of the first model, and those of the second."""
    size = np.floor(class_counts(base, classes) * part + 0.5)
    mine = (
        rank_in_class(base, np.argsort(random_bits(base.key, Stream.MIX_PART), kind="stable"))
        < size[base.label]
    )
    return np.flatnonzero(mine), np.flatnonzero(~mine)


def order(base: Items, first: str = "blue", second: str = "red", part: float = 0.5) -> Ints:
    """Return all n items as they turn noisy, if each part does so at its own even pace."""
    both = parts(base, int(base.label.max(initial=-1)) + 1, part)
    place = np.concatenate([(np.arange(len(rows)) + 0.5) / max(len(rows), 1) for rows in both])
    turning = np.concatenate([rows[corruption_order(_taken(base, rows))] for rows in both])
    return turning[np.argsort(place, kind="stable")]


def _taken(base: Items, rows: Ints) -> Items:
    return Items(
        base.label[rows], base.key[rows], {name: values[rows] for name, values in base.side.items()}
    )


def _stay(promise: Expected, n: Ints) -> Floats:
    """Return (C,) how many images stay in their slots."""
    diagonal = np.diag(promise.matrix)
    return (
        promise.n_clean / np.maximum(diagonal, 1e-300)
        if promise.foreign_rate
        else n.astype(np.float64)
    )


def _models(first: str, second: str, part: float) -> tuple[NoiseModel, NoiseModel]:
    """Return the two models.

    Raises:
        ValueError: one has no level or cannot be mixed, or the part is none from 0 to 1
    """
    from cnlw_tools.noise import NOISE  # of which this file is a part

    known = {
        name: m
        for name, m in NOISE.items()
        if m.has_level and not m.column_options and not m.needs_donors and m is not MIX
    }
    for name in (first, second):
        if name not in known:
            raise ValueError(
                f"noise {name!r} cannot be mixed: take one that needs a level alone: {', '.join(known)}"
            )
    if known[first].needs_web_pool and known[second].needs_web_pool:
        raise ValueError(f"{first} and {second} would take the same images: mix in one of the two")
    if not 0 <= part <= 1:
        raise ValueError(
            f"part = {part}: give the share of the images that {first} noise has, from 0 to 1"
        )
    return known[first], known[second]


MIX = NoiseModel(
    mix,
    expected,
    frozenset({"nested"}),
    pool_columns=frozenset({"dead"}),
    always_in_name=frozenset({"first", "second"}),
    needs_web_pool=True,
    custom_order=order,
    paper="Jiang et al. 2020",
)
