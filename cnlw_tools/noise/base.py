"""What a noise model sees (labels and keys), what it answers (a draw), and the order that levels are cut from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Items(NamedTuple):
    """All that noise may know of n images."""

    label: Ints  # (n,)
    key: NDArray[np.uint64]  # (n,) see prng.py
    side: Mapping[str, NDArray[Any]] = {}  # named per-image data that some models ask for


class Draw(NamedTuple):
    """What becomes of m training examples; m = n unless a model dilutes or adds."""

    slot: Ints  # (m,) the base image that the example comes from; -1: none
    label: Ints  # (m,) the label that the learner is given
    pool: Ints  # (m,) the row of the pool whose image takes its place; -1: the image stays


class Expected(NamedTuple):
    """What a model promises of its draw; plan.realised measures the same of a plan."""

    rate: float  # share of examples whose label is wrong for their image
    foreign: float  # share of examples whose image comes from the pool
    matrix: Floats  # (C, C) P(given label j | true label i) where the image stays
    kept: Floats  # (C,) images of each class that keep their slot and their label
    exact: bool = True  # counts hold up to one image a class; else they are binomial
    nested: bool = True  # what is noisy at one level is so, in the same way, at every higher one
    parts: int = (
        1  # draws that were put together, each of which holds its counts up to one image a class
    )


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """A pure function from clean items to a draw, and what is true of every draw it makes.

    ``draw(base, pool, level, classes, **options)``: level in integer percent, 0 for a model that has none; own options
    are keywords. ``expected(base, level, classes, **options)``: what the draw will realise, without making it.
    """

    draw: Callable[..., Draw]
    expected: Callable[..., Expected]
    holds: frozenset[
        str
    ]  # what a test may rely on: exact, proportional, nested, keeps_images, keeps_labels, dilutes, adds
    general: Mapping[str, Any] = field(
        default_factory=dict
    )  # options for tests; a function: of the number of classes
    side: frozenset[str] = frozenset()  # per-image data that it can use
    columns: frozenset[str] = (
        frozenset()
    )  # options whose value names a column of the side table, which it needs
    optional: frozenset[str] = (
        frozenset()
    )  # likewise, of a column that it can do without in some ways
    named: frozenset[str] = (
        frozenset()
    )  # options that stand in every name of a config, default or not
    levelled: bool = True  # else options alone say how much noise there is
    needs_pool: bool = False
    needs_donors: bool = False  # the pool is other datasets
    adds_class: str = ""  # the option that, above 0, makes a class "outlier" of all foreign images
    needs_likeness: bool = False  # of whose images it must be known which class they look like
    order: Callable[..., Ints] | None = (
        None  # (items, **options): how items turn noisy, if not as the victims do
    )
    paper: str = ""  # where it comes from

    @property
    def options(self) -> Mapping[str, Any]:
        """The keywords of ``draw`` and their defaults; the type of a default is binding."""
        keywords = signature(self.draw).parameters.values()
        return {k.name: k.default for k in keywords if k.default is not k.empty}


class TooFewImages(ValueError):
    """A class has fewer wrong images than a level needs; ``kept`` more are there, but kept for higher levels."""

    def __init__(self, label: int, need: int, stock: int, kept: int) -> None:
        super().__init__(label, need, stock, kept)
        self.label, self.need, self.stock, self.kept = label, need, stock, kept

    def __str__(self) -> str:
        return f"class {self.label} needs {self.need} wrong images and has {self.stock}: lower the level"


def count(items: Items, classes: int) -> Ints:
    """Return (C,) how many items each class has."""
    return np.bincount(items.label, minlength=classes)


def share(level: int, n: int) -> int:
    """level % of n, rounded half up."""
    return (level * n + 50) // 100


def by_class(items: Items, order: Ints, classes: int) -> tuple[Ints, Ints]:
    """Return ``order`` (any items of these) with the classes one after the other, and (C,) how many each has."""
    label = items.label[order]
    narrow = (
        label.astype(np.uint16) if classes <= 1 << 16 else label
    )  # 16 bits: NumPy sorts them in one pass
    return order[np.argsort(narrow, kind="stable")], np.bincount(label, minlength=classes)


def ranks(items: Items, by_key: Ints) -> Ints:
    """Return the (n,) rank of each item in its class; by_key: (n,) all items in key order."""
    order, count = by_class(items, by_key, int(items.label.max(initial=-1)) + 1)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    return rank


def victims(items: Items) -> Ints:
    """Return all n items in the order in which they turn noisy; a level is a prefix.

        place = (rank in class + 1/2) / n_c          items in the order of (place, key)

    The order does not depend on the level, so what is noisy at 20 % is noisy at 40 %; the classes advance
    together, so each has its share of every prefix, give or take one image (more only beside a great many
    classes of one or two images, which all turn at once: `quota` has the exact counts).
    """
    by_key = np.argsort(items.key, kind="stable")
    place = (ranks(items, by_key) + 0.5) / np.bincount(items.label)[items.label]
    return by_key[np.argsort(place[by_key], kind="stable")]


def quota(count: Ints, level: int) -> Floats:
    """Return (C,) how many of each class stand in the first level % of the victims' order; count: (C,) images."""
    return prefix(count, share(level, int(count.sum())))


def prefix(count: Ints, k: int) -> Floats:
    """Return (C,) how many of each class are among the first k of the victims' order; count: (C,) images.

    Classes that tie for the last places share them, as the keys deal them out.
    """
    place = (
        np.concatenate([(np.arange(n) + 0.5) / n for n in count]) if count.any() else np.empty(0)
    )
    label = np.repeat(np.arange(len(count)), count)
    if not k:
        return np.zeros(len(count))
    last = np.partition(place, k - 1)[k - 1]
    before = np.bincount(label[place < last], minlength=len(count))
    tied = np.bincount(label[place == last], minlength=len(count))
    shared: Floats = before + tied * ((k - before.sum()) / tied.sum())
    return shared


def exact_rate(count: Ints, level: int) -> float:
    """The share that a prefix of the victims' order realises: level % up to rounding to whole images."""
    n = int(count.sum())
    return share(level, n) / n if n else 0.0
