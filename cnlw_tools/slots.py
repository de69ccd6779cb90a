"""Which images noise falls on: those of the split ``train``, less a trusted probe set, thinned to a long tail.

    probe = M        M images of each class leave ``train`` for the split ``probe``, whose labels are true
    longtail = r     of the rest, class c of C keeps  n_c r^(-c / (C - 1))  images, rounded half up

The probe set is balanced, and is taken first; the imbalance comes next, noise last. Both choices follow from the
seed and the ids, whatever the noise and its level. A larger probe set contains a smaller one, and a longer tail is
part of a shorter one. The exponential profile is that of Cui et al., "Class-balanced loss", CVPR 2019, which
Zhang et al. (IEG, 2020) corrupt.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import columns, dice
from cnlw_tools.dataset import Dataset
from cnlw_tools.noise import Items
from cnlw_tools.noise.base import ranks
from cnlw_tools.recipe import Recipe

PROBE, TAIL = 6, 7  # streams of random numbers: who is trusted, who is in the tail


class Chosen(NamedTuple):
    """Rows of the base manifest."""

    slots: pa.Table  # noise falls on these
    probe: pa.Table  # trusted, as rows of the split probe
    others: pa.Table  # of the other splits, as they are


def choose(recipe: Recipe, dataset: Dataset) -> Chosen:
    """Return the rows that noise falls on, the trusted ones, and those of other splits.

    Raises:
        ValueError: there is nothing to train on, or a class has too few images for the probe set or the tail
    """
    if dataset.base is None:
        raise ValueError(f"{dataset.name}: its base manifest comes from the images: give --data-dir")
    is_train = pc.equal(dataset.base["split"], "train")
    train = dataset.base.filter(is_train)
    if not len(train):
        raise ValueError(f"{dataset.name}: no row of the base manifest has split 'train': noise has nothing to fall on")
    trusted = np.zeros(len(train), bool)
    if recipe.probe:
        trusted = _rank(train, recipe.seed, PROBE) < recipe.probe
        _enough(train, dataset.classes, recipe.probe)
    rest = train.filter(pa.array(~trusted)) if recipe.probe else train
    probe = train.filter(pa.array(trusted))
    at = probe.column_names.index("split")
    probe = probe.set_column(at, probe.schema.field(at), pa.array(["probe"] * len(probe), pa.string()))
    return Chosen(_tail(rest, dataset.classes, recipe), probe, dataset.base.filter(pc.invert(is_train)))


def _enough(train: pa.Table, classes: Sequence[str], probe: int) -> None:
    """Insist that every class that has images keeps some."""
    count = _count(train, len(classes))
    few = np.flatnonzero((count > 0) & (count <= probe))
    if len(few):
        c = int(few[0])
        raise ValueError(f"probe = {probe}: class {classes[c]!r} has {count[c]} images and would keep none: lower it")


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
        raise ValueError(f"longtail = {recipe.longtail}: class {classes[c]!r} would keep none of {count[c]}: lower it")
    return rest.filter(pa.array(_rank(rest, recipe.seed, TAIL) < keep[rest["label"].to_numpy()]))


def _rank(rows: pa.Table, seed: int, stream: int) -> NDArray[np.int64]:
    """Return (n,) the rank of each row in its class, by a random number of its own."""
    key = columns.keys(rows["image_id"], seed)
    order = np.lexsort((key, dice.uniform(key, stream)))
    return ranks(Items(rows["label"].to_numpy().astype(np.int64), key), order)


def _count(rows: pa.Table, classes: int) -> NDArray[np.int64]:
    return np.bincount(rows["label"].to_numpy(), minlength=classes)
