"""Which images noise falls on: those of the split ``train``, parted by some choices of a recipe.

    per_class = M    at most M images of each class are looked at, at all: a benchmark may be smaller than its source
    probe = P        the first P images of each class leave ``train`` for the split ``probe``, whose labels are true
    verified = V     the last V leave it for the split ``verified``, which noise spoils at the same level, apart
    clean = N        the rest is thinned to N images, classes in proportion
    longtail = r     of these, class c of C keeps  n_c r^(-c / (C - 1))  images, rounded half up

First and last are by a random number of each image: taken from both ends, the two sets leave each other as they are,
and a larger one contains a smaller one, of N likewise. They are balanced; the imbalance comes next, noise last. All
choices follow from the seed and the ids, whatever the noise and its level. A longer tail is part of a shorter one. The
exponential profile is that of Cui et al., "Class-balanced loss", CVPR 2019, which Zhang et al. (IEG, 2020) corrupt.
From labels that are verified, right or wrong, learn MentorNet (Jiang et al., ICML 2018) and CleanNet (Lee et al., CVPR
2018). What N takes is in figure 7 of Rolnick et al. (2017) and figures 2 and 3 of Sukhbaatar et al. (2015).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import hashing, prng
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.noise import Items
from cnlw_tools.noise.base import corruption_order, rank_in_class
from cnlw_tools.prng import Stream
from cnlw_tools.recipe.recipe import Recipe


class Chosen(NamedTuple):
    """Rows of the base manifest."""

    noisy: Mapping[str, pa.Table]  # by split: noise falls on each of these apart
    kept: pa.Table  # of the other splits, as they are


def choose(recipe: Recipe, dataset: Dataset) -> Chosen:
    """Return the rows that noise falls on, ``train`` and maybe ``verified``, and those of other splits.

    Raises:
        ValueError: there is nothing to train on, a class has too few images for what the recipe takes of it, or
            the manifest has a split of that name already
    """
    if dataset.base is None:
        raise ValueError(
            f"{dataset.name}: its base manifest comes from the images: give --data-dir"
        )
    is_train = pc.equal(dataset.base["split"], "train")
    train, others = dataset.base.filter(is_train), dataset.base.filter(pc.invert(is_train))
    if not len(train):
        raise ValueError(
            f"{dataset.name}: no row of the base manifest has split 'train': noise has nothing to fall on"
        )
    if recipe.per_class:
        train = train.filter(
            pa.array(_rank(train, recipe.seed, Stream.PER_CLASS) < recipe.per_class)
        )
    if not recipe.probe + recipe.verified:
        return Chosen({"train": _thinned(train, dataset.classes, recipe)}, others)
    if recipe.verified and pc.any(pc.equal(others["split"], "verified")).as_py():
        raise ValueError(
            f"{dataset.name}: the base manifest has a split 'verified' already, on which no noise falls: "
            "rename it, or leave verified out"
        )
    _enough(train, dataset.classes, recipe)
    count = _count(train, len(dataset.classes))
    ends = np.stack([np.full_like(count, recipe.probe), count - recipe.verified])
    probe, rest, verified = _cut(train, ends, recipe.seed)
    noisy = {"train": _thinned(rest, dataset.classes, recipe)} | (
        {"verified": verified} if recipe.verified else {}
    )
    return Chosen(noisy, pa.concat_tables([_renamed(probe, "probe"), others]))


def deal(
    pool: pa.Table, noisy: Mapping[str, pa.Table], classes: int, seed: int, by_class: bool = True
) -> dict[str, pa.Table]:
    """Deal the pool out to the splits that noise falls on, so that a web image serves one of them, at all levels.

    A split with n_c of the N_c images of class c gets  s_c n_c / N_c  of the s_c in the pool, rounded down for train,
    dead ones among them: so a link that dies changes nobody's part, and one slot as ever. A pool that is of none of
    the classes is dealt out as one class.
    """
    if len(noisy) == 1:
        return dict.fromkeys(noisy, pool)
    if not by_class:
        one = {split: _unlabelled(rows) for split, rows in noisy.items()}
        places = deal(
            _unlabelled(pool).append_column("row", pa.array(np.arange(len(pool)))), one, 1, seed
        )
        return {split: pool.take(part["row"]) for split, part in places.items()}
    count = np.stack([_count(rows, classes) for rows in noisy.values()])  # (splits, C)
    ends = _count(pool, classes) * count.cumsum(0)[:-1] // np.maximum(count.sum(0), 1)
    return dict(zip(noisy, _cut(pool, ends, seed), strict=True))


def _cut(rows: pa.Table, ends: NDArray[np.int64], seed: int) -> list[pa.Table]:
    """Cut every class, in the order of a random number of each row, before these ranks; ends: (cuts, C)."""
    part = (_rank(rows, seed, Stream.SPLIT) >= ends[:, rows["label"].to_numpy()]).sum(0)
    return [rows.filter(pa.array(part == i)) for i in range(len(ends) + 1)]


def _enough(train: pa.Table, classes: Sequence[str], recipe: Recipe) -> None:
    """Insist that every class that has images keeps some."""
    count = _count(train, len(classes))
    few = np.flatnonzero((count > 0) & (count <= recipe.probe + recipe.verified))
    if len(few):
        c = int(few[0])
        asked = [
            f"{name} = {m}"
            for name, m in (("probe", recipe.probe), ("verified", recipe.verified))
            if m
        ]
        lower = "lower it" if len(asked) == 1 else "lower them"
        raise ValueError(
            f"{', '.join(asked)}: class {classes[c]!r} has {count[c]} images and would keep none: {lower}"
        )


def _unlabelled(rows: pa.Table) -> pa.Table:
    """Return the ids, all under one label."""
    return pa.table({"image_id": rows["image_id"], "label": np.zeros(len(rows), np.int32)})


def _renamed(rows: pa.Table, split: str) -> pa.Table:
    """Return the rows as those of another split."""
    at = rows.column_names.index("split")
    return rows.set_column(at, rows.schema.field(at), pa.array([split] * len(rows), pa.string()))


def _thinned(rest: pa.Table, classes: Sequence[str], recipe: Recipe) -> pa.Table:
    """Return the N rows of ``clean``, and of them those that the long tail leaves.

    The first N in the corruption order of a number of their own: so each class has its share, give or take one image.
    """
    if recipe.clean > len(rest):
        raise ValueError(
            f"clean = {recipe.clean}: there are {len(rest)} images to train on: lower it"
        )
    if recipe.clean:
        count, key = (
            _count(rest, len(classes)),
            prng.random_bits(hashing.random_keys(rest["image_id"], recipe.seed), Stream.TRAIN_SIZE),
        )
        order = corruption_order(Items(rest["label"].to_numpy().astype(np.int64), key))
        rest = rest.take(np.sort(order[: recipe.clean]))
        gone = np.flatnonzero((count > 0) & (_count(rest, len(classes)) == 0))
        if len(gone):
            c = int(gone[0])
            raise ValueError(
                f"clean = {recipe.clean}: class {classes[c]!r} would keep none of {count[c]}: raise it"
            )
    return _tail(rest, classes, recipe)


def _tail(rest: pa.Table, classes: Sequence[str], recipe: Recipe) -> pa.Table:
    """Return the rows that the long tail leaves."""
    if recipe.longtail == 1:
        return rest
    count = _count(rest, len(classes))
    profile = recipe.longtail ** (-np.arange(len(classes)) / max(1, len(classes) - 1))
    keep = np.floor(count * profile + 0.5)
    gone = np.flatnonzero((count > 0) & (keep == 0))
    if len(gone):
        c = int(gone[0])
        raise ValueError(
            f"longtail = {recipe.longtail}: class {classes[c]!r} would keep none of {count[c]}: lower it"
        )
    return rest.filter(
        pa.array(_rank(rest, recipe.seed, Stream.LONG_TAIL) < keep[rest["label"].to_numpy()])
    )


def _rank(rows: pa.Table, seed: int, stream: Stream) -> NDArray[np.int64]:
    """Return (n,) the rank of each row in its class, by a random number of its own."""
    key = hashing.random_keys(rows["image_id"], seed)
    order = np.argsort(prng.random_bits(key, stream), kind="stable")
    return rank_in_class(Items(rows["label"].to_numpy().astype(np.int64), key), order)


def _count(rows: pa.Table, classes: int) -> NDArray[np.int64]:
    return np.bincount(rows["label"].to_numpy(), minlength=classes)
