"""Which images noise falls on: those of the split ``train``, less what a recipe takes away.

    validation = p       p percent of each class move from ``train`` to the split ``validation``,
                         whatever the seed: see `dataset/validation_split.py`
    per_class = M        only M images of each class are used at all: the benchmark is smaller
                         than its source
    probe = P            the first P images of each class move from ``train`` to the split
                         ``probe``, whose labels are clean
    verified = V         the last V move to the split ``verified``, which is corrupted separately,
                         at the same level
    train_size = N       the rest is thinned to N images, classes in proportion
    imbalance_ratio = r  of these, class c of C keeps  n_c r^(-c / (C - 1))  images, rounded half up

First and last are by a random number of each image. The two sets come from opposite ends, so
neither changes the other, and a larger set contains a smaller one; the same holds of N, and a
longer tail is part of a shorter one. The sets are balanced; the imbalance comes next, noise last.
Everything else follows from the seed and the ids, whatever the noise and its level.

The exponential profile is that of Cui et al., "Class-balanced loss", CVPR 2019, which Zhang et al.
(IEG, 2020) corrupt. MentorNet (Jiang et al., ICML 2018) and CleanNet (Lee et al., CVPR 2018) learn
from verified labels. Figure 7 of Rolnick et al. (2017) and figures 2 and 3 of Sukhbaatar et al.
(2015) show what N does.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import prng
from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.dataset import Dataset, require_base_manifest
from cnlw_tools.dataset.row_selection import filter_rows, mark_rows
from cnlw_tools.dataset.validation_split import split_off_validation
from cnlw_tools.noise import Items
from cnlw_tools.noise.base import corruption_order, rank_in_class
from cnlw_tools.prng import Stream
from cnlw_tools.recipe.recipe import Recipe

Ints = NDArray[np.integer]


class Subsets(NamedTuple):
    """Rows of the base manifest."""

    noisy: Mapping[str, pa.Table]  # by split; noise falls on each of these separately
    clean: pa.Table  # of the other splits, as they are


def choose_subsets(recipe: Recipe, dataset: Dataset) -> Subsets:
    """Return the rows that noise falls on, ``train`` and maybe ``verified``, and the other splits.

    Raises:
        ValueError: there is nothing to train on, a class has too few images for what the recipe
            takes of it, or the manifest has a split of that name already
    """
    train, rest = _split_base(recipe, dataset)
    if recipe.per_class:
        rank = _random_rank(train, recipe.seed, Stream.PER_CLASS)
        train = train.filter(pa.array(rank < recipe.per_class))
    if not recipe.probe and not recipe.verified:
        return Subsets({"train": _thin(train, dataset.classes, recipe)}, rest)
    split_names = pc.unique(rest["split"]).to_pylist()
    if recipe.verified and "verified" in split_names:
        raise ValueError(
            f"{dataset.name}: the base manifest already has a split 'verified', and noise cannot "
            "be added to it: rename this split, or remove the key verified from the recipe"
        )
    _check_remainder(train, dataset.classes, recipe)
    counts = _class_counts(train, len(dataset.classes))
    probe_ends = np.full_like(counts, recipe.probe)
    ends = np.stack([probe_ends, counts - recipe.verified])
    probe, train, verified = _cut_classes(train, ends, recipe.seed)
    noisy = {"train": _thin(train, dataset.classes, recipe)}
    if recipe.verified:
        noisy["verified"] = verified
    clean = pa.concat_tables([_with_split(probe, "probe"), rest])
    return Subsets(noisy, clean)


def base_manifest(recipe: Recipe, dataset: Dataset) -> pa.Table:
    """Return the base manifest with the validation split that a recipe asks for.

    Raises:
        ValueError: there is no manifest, or it has a validation split already
    """
    base = require_base_manifest(dataset)
    if not recipe.validation:
        return base
    try:
        return split_off_validation(base, recipe.validation, dataset.classes)
    except ValueError as error:
        raise ValueError(f"{dataset.name}: {error}") from error


def _split_base(recipe: Recipe, dataset: Dataset) -> tuple[pa.Table, pa.Table]:
    """Return the training images of a base manifest, and the others."""
    base = base_manifest(recipe, dataset)
    train = filter_rows(base, mark_rows(base["split"], lambda split: pc.equal(split, "train")))
    rest = filter_rows(base, mark_rows(base["split"], lambda split: pc.not_equal(split, "train")))
    if not len(train):
        raise ValueError(
            f"{dataset.name}: no row of the base manifest is in the split 'train', so there is "
            "nothing to "
            "train on: add such rows"
        )
    return train, rest


def split_pool(
    pool: pa.Table,
    noisy: Mapping[str, pa.Table],
    n_classes: int,
    seed: int,
    by_class: bool = True,
) -> dict[str, pa.Table]:
    """Split the pool between the splits that noise falls on, so that an image serves one of them.

    Of the s_c images of class c in the pool, a split that has n_c of the N_c slots gets
    s_c n_c / N_c, rounded down for train. Unavailable images count, so a link that dies changes
    one slot, as ever. The split is the same at all levels.

    Args:
        pool: image_id, label and other columns
        noisy: the slots, by split
        n_classes: C
        seed: of the order in which images are handed out
        by_class: False: labels of the pool are of no class here, so it is split as one class
    """
    if len(noisy) == 1:
        return dict.fromkeys(noisy, pool)
    if not by_class:
        row_numbers = pa.array(np.arange(len(pool)))
        unlabelled = _unlabelled(pool).append_column("row", row_numbers)
        slots = {split: _unlabelled(rows) for split, rows in noisy.items()}
        parts = split_pool(unlabelled, slots, 1, seed)
        return {split: pool.take(part["row"]) for split, part in parts.items()}
    n_slots = [_class_counts(rows, n_classes) for rows in noisy.values()]
    counts = np.stack(n_slots)  # (splits, C)
    totals = np.maximum(counts.sum(0), 1)
    n_images = _class_counts(pool, n_classes)
    ends = n_images * counts.cumsum(0)[:-1] // totals
    tables = _cut_classes(pool, ends, seed)
    return dict(zip(noisy, tables, strict=True))


def _cut_classes(
    rows: pa.Table,
    ends: Ints,
    seed: int,
) -> list[pa.Table]:
    """Cut each class into parts, by a random number of each row.

    Args:
        rows: image_id, label and other columns
        ends: (cuts, C) the rank in its class at which each part but the last ends
        seed: of the random numbers

    Returns:
        cuts + 1 tables, with rows in their order
    """
    rank = _random_rank(rows, seed, Stream.SPLIT)
    label = rows["label"].to_numpy()
    part = (rank >= ends[:, label]).sum(0)
    tables = []
    for i in range(len(ends) + 1):
        is_part = pa.array(part == i)
        tables.append(rows.filter(is_part))
    return tables


def _check_remainder(
    train: pa.Table,
    classes: Sequence[str],
    recipe: Recipe,
) -> None:
    """Raise if a class that has images would keep none."""
    counts = _class_counts(train, len(classes))
    n_moved = recipe.probe + recipe.verified
    emptied = np.flatnonzero((counts > 0) & (counts <= n_moved))
    if not len(emptied):
        return
    sizes = {"probe": recipe.probe, "verified": recipe.verified}
    keys = [name for name, n in sizes.items() if n]
    label = int(emptied[0])
    raise ValueError(
        f"{', '.join(f'{name} = {sizes[name]}' for name in keys)}: class {classes[label]!r} has "
        f"{counts[label]} images, and none of them would be kept: lower {' or '.join(keys)}"
    )


def _thin(
    train: pa.Table,
    classes: Sequence[str],
    recipe: Recipe,
) -> pa.Table:
    """Return the N rows of ``train_size``, less those that the long tail drops.

    They are the first N in the corruption order of a random number of their own, so each class has
    its share, give or take one image.
    """
    if recipe.train_size > len(train):
        raise ValueError(
            f"train_size = {recipe.train_size}: the split train has only {len(train)} images: "
            "choose fewer"
        )
    if recipe.train_size:
        keys = hashing.random_keys(train["image_id"], recipe.seed)
        numbers = prng.random_bits(keys, Stream.TRAIN_SIZE)
        order = corruption_order(Items(_labels(train), numbers))
        first = np.sort(order[: recipe.train_size])
        thinned = train.take(first)
        n_kept = _class_counts(thinned, len(classes))
        _check_no_class_emptied(
            train, n_kept, classes, f"train_size = {recipe.train_size}", "raise it"
        )
        train = thinned
    return _cut_tail(train, classes, recipe)


def _cut_tail(
    train: pa.Table,
    classes: Sequence[str],
    recipe: Recipe,
) -> pa.Table:
    """Return the rows that the long tail leaves."""
    if recipe.imbalance_ratio == 1:
        return train
    last = max(1, len(classes) - 1)
    progress = np.arange(len(classes)) / last
    profile = recipe.imbalance_ratio**-progress
    counts = _class_counts(train, len(classes))
    n_kept = np.floor(counts * profile + 0.5)
    _check_no_class_emptied(
        train,
        n_kept,
        classes,
        f"imbalance_ratio = {recipe.imbalance_ratio}",
        "lower imbalance_ratio",
    )
    rank = _random_rank(train, recipe.seed, Stream.LONG_TAIL)
    label = train["label"].to_numpy()
    return train.filter(pa.array(rank < n_kept[label]))


def _check_no_class_emptied(
    train: pa.Table,
    n_kept: NDArray[Any],
    classes: Sequence[str],
    key: str,
    remedy: str,
) -> None:
    """Raise if a class that has images keeps none; n_kept: (C,)."""
    counts = _class_counts(train, len(classes))
    emptied = np.flatnonzero((counts > 0) & (n_kept == 0))
    if len(emptied):
        label = int(emptied[0])
        raise ValueError(
            f"{key}: class {classes[label]!r} would keep none of {counts[label]}: {remedy}"
        )


def _unlabelled(rows: pa.Table) -> pa.Table:
    """Return the ids, all under one label."""
    columns = {
        "image_id": rows["image_id"],
        "label": np.zeros(len(rows), np.int32),
    }
    return pa.table(columns)


def _with_split(rows: pa.Table, split: str) -> pa.Table:
    """Return the rows as those of another split."""
    column = rows.column_names.index("split")
    field = rows.schema.field(column)
    values = pa.array([split] * len(rows), pa.string())
    return rows.set_column(column, field, values)


def _random_rank(
    rows: pa.Table,
    seed: int,
    stream: Stream,
) -> Ints:
    """Return (n,) the rank of each row in its class, by a random number of its own."""
    keys = hashing.random_keys(rows["image_id"], seed)
    numbers = prng.random_bits(keys, stream)
    order = np.argsort(numbers, kind="stable")
    return rank_in_class(Items(_labels(rows), keys), order)


def _class_counts(rows: pa.Table, n_classes: int) -> Ints:
    """Return (C,) how many rows each class has."""
    return np.bincount(rows["label"].to_numpy(), minlength=n_classes)


def _labels(rows: pa.Table) -> Ints:
    labels: Ints = rows["label"].to_numpy().astype(np.int64)
    return labels
