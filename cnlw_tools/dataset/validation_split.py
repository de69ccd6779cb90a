"""A validation split of a dataset that has none: a share of the training images of each class.

    n_c = p m_c / 100, halves rounded up      of m_c images of class c; at least 1, at most m_c - 1

They are the first n_c by a random number that depends on the image's id alone. So they are the same
on every machine and for every seed and noise, and most of them stay when images are added. An image
whose bytes occur twice in the manifest stays in train, so that validation shows nothing that
training saw.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import prng
from cnlw_tools.dataset import hashing
from cnlw_tools.noise.base import Items, rank_in_class
from cnlw_tools.prng import Stream

Ints = NDArray[np.integer]

VALIDATION = "validation"


def split_off_validation(base: pa.Table, percent: int, classes: Sequence[str]) -> pa.Table:
    """Return a base manifest with a share of the training images of each class in validation.

    Args:
        base: the manifest; the sha256 of its images may be missing
        percent: p
        classes: names in label order

    Raises:
        ValueError: it has a validation split already, or no class has two images that differ
    """
    splits = base["split"]
    n_existing = pc.sum(pc.equal(splits, VALIDATION)).as_py() or 0
    if n_existing:
        raise ValueError(
            f"validation = {percent}: there is already a validation split, of {n_existing:,} "
            "images: omit the option validation, or remove these images"
        )
    is_train = pc.equal(splits, "train")
    train = base.filter(is_train)
    candidates = train.filter(pc.invert(has_twin(train, base)))
    n_images = _class_counts(train, len(classes))
    n_candidates = _class_counts(candidates, len(classes))
    n_chosen = validation_counts(n_images, n_candidates, percent)
    if not n_chosen.any():
        raise ValueError(
            f"validation = {percent}: no class has two different images, so none can be moved "
            "out of train: "
            "add images, or omit the option validation"
        )
    is_first = _random_ranks(candidates) < n_chosen[candidates["label"].to_numpy()]
    validation_ids = candidates["image_id"].filter(pa.array(is_first))
    is_chosen = pc.is_in(base["image_id"], validation_ids.combine_chunks())
    column = base.column_names.index("split")
    new_splits = pc.if_else(is_chosen, VALIDATION, splits).cast(splits.type)
    return base.set_column(column, base.schema.field(column), new_splits)


def validation_counts(n_images: Ints, n_candidates: Ints, percent: int) -> Ints:
    """Return (C,) how many images of each class a validation split takes.

    Args:
        n_images: (C,) m_c, in train
        n_candidates: (C,) how many of them occur once
        percent: p
    """
    share = (percent * n_images + 50) // 100
    at_most = np.maximum(n_images - 1, 0)
    n_chosen: Ints = np.minimum(np.clip(share, 1, None), np.minimum(at_most, n_candidates))
    return n_chosen


def classes_without_validation(base: pa.Table, classes: Sequence[str]) -> list[str]:
    """Return the names of classes that have training images and none in validation."""
    splits = base["split"]
    n_train = _class_counts(base.filter(pc.equal(splits, "train")), len(classes))
    n_validation = _class_counts(base.filter(pc.equal(splits, VALIDATION)), len(classes))
    labels = np.flatnonzero((n_train > 0) & (n_validation == 0))
    return [classes[int(label)] for label in labels]


def has_twin(train: pa.Table, base: pa.Table) -> pa.Array:
    """Return whether the manifest has the bytes of each training image more than once."""
    counts = pc.value_counts(base["sha256"].combine_chunks())
    digests = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    return pc.is_in(train["sha256"], digests.drop_null())


def _random_ranks(rows: pa.Table) -> Ints:
    """Return (n,) the rank of each row in its class, by a random number of its id alone."""
    keys = hashing.random_keys(rows["image_id"], 0)
    numbers = prng.random_bits(keys, Stream.VALIDATION)
    order = np.argsort(numbers, kind="stable")
    labels = rows["label"].to_numpy().astype(np.int64)
    return rank_in_class(Items(labels, keys), order)


def _class_counts(rows: pa.Table, n_classes: int) -> Ints:
    return np.bincount(rows["label"].to_numpy(), minlength=n_classes)
