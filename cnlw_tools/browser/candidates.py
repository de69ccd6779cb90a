"""Which candidates people vote on, and which one comes next.

Nobody is asked about an image that is dead, withdrawn, or excluded from builds
(store/exclusions.py). Of images that look alike, one is asked about for each class: the one with
most votes, and then the first.

    next    not voted on by this person, and with fewer than N votes of yes and no
    order   those first that nobody else has on the screen; then those that lack fewest votes; then
            by class, from the one that the page is at, so that the question changes rarely; then
            by a random number of the candidate, so that the order says nothing about the image

A candidate counts as being on somebody's screen for some minutes after it was handed out.
"""

import time
from collections.abc import Collection, Iterable
from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import prng
from cnlw_tools.browser.vote_table import NO, UNSURE, YES, Standing
from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.withdrawal import WITHDRAWN
from cnlw_tools.images.near_duplicates import near_duplicate_pairs
from cnlw_tools.store.exclusions import find_exclusions
from cnlw_tools.store.store import FINGERPRINT_BYTES, Store

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
ON_SCREEN = 300.0  # seconds for which a candidate that was handed out comes later for others
MAX_MISSING = 255  # votes; candidates that lack more are alike
MISSING_BITS = 8
CLASS_BITS = 20
LOT_BITS = 35  # of the random number that decides between equals
MAX_PLACE = (1 << CLASS_BITS) - 1  # of a class; later ones are alike
N_EXAMPLES = 3
MIN_YES = 2  # votes that make a candidate a sure example


class ClassProgress(NamedTuple):
    """How far the votes on the candidates of a class are."""

    n_candidates: int  # that people are asked about
    n_complete: int  # that have all their votes
    n_open: int  # that this person may vote on
    n_given: int  # votes of yes and no, as far as they are needed
    n_own: int  # votes of this person, unsure ones too


class Candidates:
    """The candidates that people are asked about.

    Args:
        web: the web manifest, n rows
        is_asked: (n,) those that people are asked about
        n_votes: votes of yes and no that each should have
        n_classes: of the dataset
    """

    def __init__(self, web: pa.Table, is_asked: Flags, n_votes: int, n_classes: int) -> None:
        self.label = web["label"].to_numpy().astype(np.int64)
        self.is_asked = is_asked.copy()
        self.n_votes = n_votes
        self.n_classes = n_classes
        self.lot = lots(web)
        self._handed: dict[int, tuple[str, float]] = {}  # by row: to which page, and when
        self._lock = Lock()

    def next_rows(
        self,
        standing: Standing,
        number: str | None,
        page: str,
        n: int,
        rows_on_page: Collection[int] = (),
        label: int | None = None,
        first_label: int = 0,
    ) -> list[int]:
        """Return the next n rows for a page, and remember that it has them on the screen.

        Args:
            standing: the votes
            number: of the person; none: one who has not voted yet
            page: a name of the page
            n: how many rows; fewer are returned if no more are left
            rows_on_page: rows that the page has already
            label: of the class that the person chose; none: any class
            first_label: of the class that comes first among equals; the next ones follow it
        """
        missing = self.missing(standing)
        is_open = self._open(standing, number, missing)
        is_open[list(rows_on_page)] = False
        if label is not None:
            is_open &= self.label == label
        rows = np.flatnonzero(is_open)
        with self._lock:
            keys = self._order(missing[rows], rows, self._rows_of_others(page), first_label)
            first = np.argpartition(keys, n)[:n] if len(keys) > n else np.arange(len(keys))
            new_rows: list[int] = rows[first[np.argsort(keys[first])]].tolist()
            moment = time.monotonic()
            self._handed.update((row, (page, moment)) for row in new_rows)
        return new_rows

    def release(self, rows: Iterable[int]) -> None:
        """Forget that somebody has these rows on the screen."""
        with self._lock:
            for row in rows:
                self._handed.pop(row, None)

    def remove(self, row: int) -> None:
        """Ask nobody about a candidate any more, since its picture cannot be read."""
        self.is_asked[row] = False

    def rows_of_class(self, standing: Standing, number: str | None, label: int) -> Ints:
        """Return all candidates of a class that people are asked about.

        Those come first that the person may vote on and that lack votes; otherwise the order is
        random.
        """
        rows = np.flatnonzero(self.is_asked & (self.label == label))
        is_open = self._open(standing, number, self.missing(standing))[rows]
        return rows[np.lexsort((self.lot[rows], ~is_open))]

    def progress(self, standing: Standing, number: str | None) -> list[ClassProgress]:
        """Return how far each class is, by label."""
        missing = self.missing(standing)
        is_complete = self.is_asked & (missing == 0)
        own_rows = standing.candidate[standing.rows_of(number)]
        numbers = (
            self._count(self.label[self.is_asked]),
            self._count(self.label[is_complete]),
            self._count(self.label[self._open(standing, number, missing)]),
            self._count(self.label, np.where(self.is_asked, self._n_enough(standing), 0)),
            self._count(self.label[own_rows[self.is_asked[own_rows]]]),
        )
        return [ClassProgress(*map(int, counts)) for counts in zip(*numbers, strict=True)]

    def _count(self, labels: Ints, weights: Ints | None = None) -> Ints:
        """Return how often each label occurs, (C,), or the sum of its weights."""
        return np.bincount(labels, weights, minlength=self.n_classes).astype(np.int64)

    def sure_examples(self, standing: Standing, label: int) -> list[int]:
        """Return candidates of a class of which all votes say that they show it."""
        yes = standing.counts[:, YES]
        doubts = standing.counts[:, NO] + standing.counts[:, UNSURE]
        is_sure = self.is_asked & (self.label == label) & (yes >= MIN_YES) & (doubts == 0)
        rows = np.flatnonzero(is_sure)
        order = np.lexsort((self.lot[rows], -yes[rows]))
        example_rows: list[int] = rows[order[:N_EXAMPLES]].tolist()
        return example_rows

    def _open(self, standing: Standing, number: str | None, missing: Ints) -> Flags:
        """Return (n,) the candidates that a person may vote on and that lack votes."""
        is_open = self.is_asked & (missing > 0)
        is_open[standing.candidate[standing.rows_of(number)]] = False
        return is_open

    def missing(self, standing: Standing) -> Ints:
        """Return how many votes of yes and no each candidate lacks, (n,)."""
        return self.n_votes - self._n_enough(standing)

    def _n_enough(self, standing: Standing) -> Ints:
        """Return how many votes of yes and no each candidate has, of those that it needs, (n,)."""
        n_decisive: Ints = standing.counts[:, YES] + standing.counts[:, NO]
        return np.minimum(n_decisive, self.n_votes)

    def _order(
        self, missing: Ints, rows: Ints, rows_elsewhere: Ints, first_label: int
    ) -> prng.UInts:
        """Return the keys by which rows are sorted, (k,).

        Args:
            missing: (k,) votes that each lacks
            rows: (k,)
            rows_elsewhere: rows that other pages have on the screen
            first_label: of the class that comes first
        """
        is_elsewhere = np.zeros(len(self.label), np.uint64)
        is_elsewhere[rows_elsewhere] = 1
        missing = np.minimum(missing, MAX_MISSING)
        rank = is_elsewhere[rows] << np.uint64(MISSING_BITS) | missing.astype(np.uint64)
        place = np.minimum((self.label[rows] - first_label) % self.n_classes, MAX_PLACE)
        rank = rank << np.uint64(CLASS_BITS) | place.astype(np.uint64)
        lot = self.lot[rows] >> np.uint64(64 - LOT_BITS)
        keys: prng.UInts = rank << np.uint64(LOT_BITS) | lot
        return keys

    def _rows_of_others(self, page: str) -> Ints:
        """Return the rows that other pages have on the screen; forget those of long ago."""
        begin = time.monotonic() - ON_SCREEN
        self._handed = {row: entry for row, entry in self._handed.items() if entry[1] > begin}
        rows = [row for row, (holder, _) in self._handed.items() if holder != page]
        return np.array(rows, np.int64)


def lots(table: pa.Table) -> prng.UInts:
    """Return a random number of each image and label of a table, (n,); sorting has no ties."""
    label = table["label"].to_numpy().astype(np.uint64)
    keys = hashing.random_keys(table["image_id"], 0) ^ prng.mix(label)
    return prng.random_bits(keys, prng.Stream.VOTING)


def find_available(web: pa.Table, store: Store | None) -> Flags:
    """Return (n,) the candidates that are not dead, and whose image builds may use.

    Args:
        web: the web manifest, n rows
        store: of their images; none: all of them can be read
    """
    is_available = np.ones(len(web), bool)
    for mark in ("dead", WITHDRAWN):
        if mark in web.column_names:
            is_available &= ~web[mark].to_numpy()
    if store is not None:
        usable = sorted({*store.image_ids()} - find_exclusions(store).keys())
        is_available &= pc.is_in(web["image_id"], pa.array(usable, pa.string())).to_numpy()
    return is_available


def find_copies(web: pa.Table, store: Store, is_available: Flags, counts: Ints) -> Flags:
    """Return (n,) the candidates that look like another one of their class, which is asked about.

    Args:
        web: the web manifest, n rows
        store: of their images
        is_available: (n,) those whose image is there
        counts: (n, 3) the votes on each
    """
    rows = np.flatnonzero(is_available)
    groups = _group_lookalikes(web["image_id"].take(rows), store)
    n_votes = counts[rows].sum(1)
    order = np.lexsort((rows, -n_votes, web["label"].to_numpy()[rows], groups))
    label, group = web["label"].to_numpy()[rows][order], groups[order]
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (label[1:] != label[:-1]) | (group[1:] != group[:-1])
    is_copy = np.zeros(len(web), bool)
    is_copy[rows[order[~is_first]]] = True
    return is_copy


def _group_lookalikes(image_ids: pa.ChunkedArray, store: Store) -> Ints:
    """Return (k,) a number for each image; those that look alike, however remotely, have one.

    An image that a fetch has just taken from the store looks like no other one.
    """
    images = [(image_id, fingerprint) for image_id, _, fingerprint in store.fingerprints()]
    joined = b"".join(fingerprint for _, fingerprint in images)
    fingerprints = np.frombuffer(joined, np.uint8).reshape(-1, FINGERPRINT_BYTES)
    group = _connect(len(images), near_duplicate_pairs(fingerprints))
    ids = pa.array([image_id for image_id, _ in images], pa.string())
    position = pc.fill_null(pc.index_in(image_ids, ids), -1).to_numpy()
    free_number = len(images) + np.arange(len(position))
    numbers: Ints = np.where(position < 0, free_number, np.append(group, 0)[position])
    return numbers


def _connect(n: int, pairs: NDArray[np.integer]) -> Ints:
    """Return (n,) the smallest number that each of n things is connected with by (k, 2) pairs."""
    group = np.arange(n)
    while len(pairs):
        old_group = group.copy()
        smaller = np.minimum(group[pairs[:, 0]], group[pairs[:, 1]])
        np.minimum.at(group, pairs[:, 0], smaller)
        np.minimum.at(group, pairs[:, 1], smaller)
        group = group[group]
        if (group == old_group).all():
            break
    return group
