"""What every noise model takes and returns, and the order in which items turn noisy.

    place(item) = (rank of the item in its class + 1/2) / n_c    rank by key; n_c items in the class

The corruption order sorts all items by (place, key). A level of p % is the first p % of that
order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK_ROWS = 1 << 18  # rows that a sort copies at a time

Ints = NDArray[np.integer]
Floats = NDArray[np.float64]
NewArray = Callable[[int, DTypeLike], NDArray[Any]]  # makes an array of n numbers of a type


class Items(NamedTuple):
    """All that a noise model may know of n images."""

    label: Ints  # (n,)
    key: NDArray[np.uint64]  # (n,) the source of all random numbers of an image: prng.py
    side: Mapping[str, NDArray[Any]] = {}  # per-image data by name, n rows each, for some models
    seed: int = 0  # of the keys, for random numbers that belong to no image
    new_array: NewArray = np.empty  # for n numbers; for a plan, it makes arrays on the disk


class Draw(NamedTuple):
    """The m training examples that a model makes; m = n unless it dilutes or adds."""

    slot: Ints  # (m,) the base image that the example comes from; -1: none
    label: Ints  # (m,) the label that the learner gets
    pool: Ints  # (m,) the row of the pool whose image replaces the base image; -1: the image stays


class Expected(NamedTuple):
    """The statistics that a model expects of its draw; the plan measures the same ones."""

    rate: float  # share of examples whose label is wrong for their image
    foreign_rate: float  # share of examples whose image comes from the pool
    matrix: Floats  # (C, C) P(given label j | true label i) where the image stays
    n_clean: Floats  # (C,) images of each class that keep both slot and label
    exact: bool = True  # counts are right to one image a class; otherwise they are binomial
    nested: bool = True  # what is noisy at one level is noisy in the same way at all higher levels
    n_draws: int = 1  # draws that were combined; each one's counts are right to one image a class


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """A noise model: a function that draws noise, its guarantees, and the data that it needs.

    ``draw(base, pool, level, n_classes, **options)`` draws the noise and returns a `Draw`. The
    level is an integer percentage, or 0 if the noise has no level. The options have default values.
    ``expected(base, level, n_classes, **options)`` returns an `Expected`, which holds the expected
    statistics of a draw. These types are in the module `cnlw_tools.noise`.

    ``base`` (the training images) and ``pool`` (images that can replace them) are `Items`, with the
    label and the key of each image. The key is a number that is computed from the seed and the id
    of the image; all random numbers that are drawn for the image are computed from its key. A
    `Draw` has three numbers for each training example: its slot, its label, and the row in
    the pool of the image that replaces the original image, or -1 if the original stays.
    """

    draw: Callable[..., Draw]  # the function that draws the noise
    expected: Callable[..., Expected]  # the function that returns the expected statistics

    # Properties of every draw: "exact" (the level fixes the number of noisy images), "proportional"
    # (every class has its share of the noise), "nested" (what is noisy at one level is noisy in the
    # same way at higher levels), "keeps_images" (no image is replaced), "keeps_labels" (no label
    # changes), "dilutes" (noisy copies of images are added) and "adds" (images of other datasets
    # are added).
    guarantees: frozenset[str]

    # Values of options for the tests of the model; a value may be a function of the number of
    # classes.
    test_options: Mapping[str, Any] = field(default_factory=dict)

    # Columns that the model reads from the table of the pool, if they exist.
    pool_columns: frozenset[str] = frozenset()

    # Options whose values are names of columns in the side table; the columns must exist.
    column_options: frozenset[str] = frozenset()
    # Options whose values may, but need not, be names of columns in the side table.
    optional_column_options: frozenset[str] = frozenset()

    # Options that are always in the name of a config, even with their default values.
    always_in_name: frozenset[str] = frozenset()

    # Whether the noise has a level; if not, its options decide how much noise there is.
    has_level: bool = True
    needs_web_pool: bool = False  # whether the pool must have web images that people judged wrong
    needs_donors: bool = False  # whether the pool must have images of donors
    # Whether the model must know which class each image of a donor resembles most.
    needs_nearest_class: bool = False
    # Name of the option that, if it is above 0, gives images of donors the additional class
    # "outlier"; "": there is no such option.
    outlier_option: str = ""

    # Function of the items and the options. It returns the (n,) rows of the items in the order in
    # which they become noisy; None: the corruption order of the package.
    custom_order: Callable[..., Ints] | None = None

    paper: str = ""  # authors and year

    @property
    def options(self) -> Mapping[str, Any]:
        """The options with their default values, read from the signature of ``draw``.

        A value that a user gives must have the type of the default value.
        """
        parameters = signature(self.draw).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty}


class TooFewImages(ValueError):
    """A class has fewer wrong images than a level needs; ``reserved`` more serve higher levels."""

    def __init__(
        self,
        label: int,
        need: int,
        stock: int,
        reserved: int,
    ) -> None:
        super().__init__(label, need, stock, reserved)
        self.label, self.need, self.stock, self.reserved = label, need, stock, reserved

    def __str__(self) -> str:
        shortage = f"class {self.label} needs {self.need} wrong images but has {self.stock}"
        return f"{shortage}: lower the level"


def class_counts(items: Items, n_classes: int) -> Ints:
    """Return (C,) the number of items of each class."""
    return np.bincount(items.label, minlength=n_classes)


def n_noisy(level: int, n: int) -> int:
    """Return how many of n items are noisy at a level in percent, rounded half up."""
    return (level * n + 50) // 100


def row_type(n: int) -> type[np.integer]:
    """Return the type of the numbers of n rows, which takes half the memory where it can."""
    return np.int32 if n < 1 << 31 else np.int64


def all_rows(n: int, new_array: NewArray = np.empty) -> Ints:
    """Return (n,) the numbers from 0 to n - 1, for a draw that keeps every slot."""
    rows = new_array(n, row_type(n))
    for start in range(0, n, BLOCK_ROWS):
        end = min(start + BLOCK_ROWS, n)
        rows[start:end] = np.arange(start, end)
    return rows


def no_rows(n: int) -> Ints:
    """Return (n,) times -1, for a draw that keeps every image; they take no memory."""
    return np.broadcast_to(np.int64(-1), n)


def copy_labels(items: Items) -> Ints:
    """Return (n,) the labels, for a draw that changes some of them."""
    n = len(items.label)
    labels = items.new_array(n, np.int32)
    for start in range(0, n, BLOCK_ROWS):
        labels[start : start + BLOCK_ROWS] = items.label[start : start + BLOCK_ROWS]
    return labels


def key_order(items: Items) -> Ints:
    """Return (n,) all items, sorted by key."""
    rows = all_rows(len(items.key), items.new_array)
    return sort_by_key(rows, items.key, items.new_array)


def sort_by_key(rows: Ints, key: NDArray[np.uint64], new_array: NewArray = np.empty) -> Ints:
    """Return rows in the order of their keys; those of one key keep their order.

    Args:
        rows: (n,) any rows
        key: random numbers, one for each row that there is
        new_array: makes the result
    """
    n_bits = (len(rows) // BLOCK_ROWS).bit_length()

    def part_of(some: Ints) -> Ints:
        if not n_bits:
            return np.zeros(len(some), np.int64)
        return (key[some] >> np.uint64(64 - n_bits)).astype(np.int64)

    return sort_in_parts(rows, lambda some: key[some], part_of, 1 << n_bits, new_array)


def sort_in_parts(
    rows: Ints,
    value_of: Callable[[Ints], NDArray[Any]],
    part_of: Callable[[Ints], Ints],
    n_parts: int,
    new_array: NewArray = np.empty,
) -> Ints:
    """Sort rows by value; rows of one value keep their order. Only a part is copied at a time.

    Args:
        rows: (n,) any rows
        value_of: returns the values of some rows
        part_of: returns the parts of some rows, from 0; a larger part has larger values
        n_parts: how many there are
        new_array: makes the result
    """
    starts = range(0, len(rows), BLOCK_ROWS)
    blocks = [rows[start : start + BLOCK_ROWS] for start in starts]
    counts = np.zeros(n_parts, np.int64)
    for block in blocks:
        counts += np.bincount(part_of(block), minlength=n_parts)
    ends = np.cumsum(counts)
    places = Ranks(ends - counts)
    ordered = new_array(len(rows), rows.dtype)
    for block in blocks:
        ordered[places.add(part_of(block))] = block
    for start, end in zip(ends - counts, ends, strict=True):
        part = ordered[start:end]
        part[:] = part[np.argsort(value_of(part), kind="stable")]
    return ordered


class Ranks:
    """Counts the items of each group, in blocks: the rank of an item among all that came before.

    Args:
        starts: (G,) the rank of the first item of each group
    """

    def __init__(self, starts: Ints) -> None:
        self._next = starts.astype(np.int64)

    def add(self, group: Ints) -> NDArray[np.int64]:
        """Return (k,) the ranks of the next k items in their groups."""
        sort_key = group.astype(np.uint16) if len(self._next) <= 1 << 16 else group
        by_group = np.argsort(sort_key, kind="stable")
        counts = np.bincount(group, minlength=len(self._next))
        shift = self._next - (np.cumsum(counts) - counts)
        ranks = np.empty(len(group), np.int64)
        ranks[by_group] = np.arange(len(group)) + shift[group[by_group]]
        self._next += counts
        return ranks


def group_by_class(items: Items, rows: Ints, n_classes: int) -> tuple[Ints, Ints]:
    """Sort ``rows`` (any of the items) by class; within a class they keep their order.

    Returns:
        (k,) the sorted rows, and (C,) how many of them each class has
    """
    label = items.label[rows]
    sort_key = label
    if n_classes <= 1 << 16:
        sort_key = label.astype(np.uint16)  # NumPy sorts 16 bits in one pass
    by_label = np.argsort(sort_key, kind="stable")
    return rows[by_label], np.bincount(label, minlength=n_classes)


def split_by_class(items: Items, rows: Ints, n_classes: int) -> list[Ints]:
    """Return C arrays: those of ``rows`` (any of the items) that are of each class, in order."""
    grouped, counts = group_by_class(items, rows, n_classes)
    return np.split(grouped, np.cumsum(counts)[:-1])


def rank_in_class(items: Items, order: Ints) -> Ints:
    """Return (n,) the rank of each item in its class; order: (n,) all items, first to last."""
    ranks = Ranks(np.zeros(int(items.label.max(initial=-1)) + 1, np.int64))
    rank = items.new_array(len(order), row_type(len(order)))
    for start in range(0, len(order), BLOCK_ROWS):
        block = order[start : start + BLOCK_ROWS]
        rank[block] = ranks.add(items.label[block])
    return rank


def corruption_order(items: Items) -> Ints:
    """Return (n,) all items in the order in which they turn noisy; a level is a prefix.

        place = (rank in class + 1/2) / n_c          items in the order of (place, key)

    The order does not depend on the level, so what is noisy at 20 % is noisy at 40 %. All classes
    advance together, so each has its share of every prefix, give or take one image. Only beside
    many classes of one or two images, which all turn at once, can a class be further off:
    `noisy_per_class` has the exact counts.
    """
    by_key = key_order(items)
    rank = rank_in_class(items, by_key)
    counts = np.bincount(items.label)
    n_parts = len(by_key) // BLOCK_ROWS + 1

    def place_of(rows: Ints) -> Floats:
        return (rank[rows] + 0.5) / counts[items.label[rows]]

    def part_of(rows: Ints) -> Ints:
        return (place_of(rows) * n_parts).astype(np.int64)

    return sort_in_parts(by_key, place_of, part_of, n_parts, items.new_array)


def noisy_per_class(counts: Ints, level: int) -> Floats:
    """Return (C,) how many images of each class are noisy at a level; counts: (C,) all images.

    The counts are those of the corruption order; see `prefix_per_class`.
    """
    return prefix_per_class(counts, n_noisy(level, int(counts.sum())))


def prefix_per_class(counts: Ints, k: int) -> Floats:
    """Return (C,) how many of the first k items of the corruption order are of each class.

    Classes that tie for the last places share them in fractions: their keys decide who is in.

    Args:
        counts: (C,) all images of each class
        k: length of the prefix
    """
    if not k:
        return np.zeros(len(counts))
    last_place = _kth_place(counts, k)
    inside = _count_places(counts, np.nextafter(last_place, 0))
    tied = _count_places(counts, last_place) - inside
    share_of_ties = (k - inside.sum()) / tied.sum()
    per_class: Floats = inside + tied * share_of_ties
    return per_class


def _kth_place(counts: Ints, k: int) -> float:
    """Return the k-th smallest of all places  (i + 1/2) / n_c  with i < n_c; counts: (C,).

    Positive numbers are in the order of their bits, so the smallest number up to which there are k
    places is found by bisection.
    """
    low, high = np.float64(0).view(np.int64), np.float64(1).view(np.int64)
    while high - low > 1:
        middle = low + (high - low) // 2
        if _count_places(counts, middle.view(np.float64)).sum() >= k:
            high = middle
        else:
            low = middle
    return float(high.view(np.float64))


def _count_places(counts: Ints, limit: float) -> Ints:
    """Return (C,) how many places of each class are at most a limit; counts: (C,) its images."""
    n = np.maximum(counts, 1)
    n_surely = np.maximum(np.floor(limit * n - 1), 0)  # rounding moves a place by less than one
    n_inside = n_surely
    for step in range(3):
        n_inside = n_inside + ((n_surely + step + 0.5) / n <= limit)
    return np.minimum(n_inside.astype(np.int64), counts)


def exact_rate(counts: Ints, level: int) -> float:
    """Return the noisy share of all images at a level: the level, rounded to whole images."""
    n = int(counts.sum())
    return n_noisy(level, n) / n if n else 0.0
