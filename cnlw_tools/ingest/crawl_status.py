"""How far a dataset is on the way from a crawl to red noise: candidates, images, votes, levels."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset.dataset import Dataset, has_dataset, read_dataset
from cnlw_tools.dataset.verdicts import compute_verdicts, count_verdicts
from cnlw_tools.ingest.recipes import resolve_recipe
from cnlw_tools.ingest.resolve import (
    load_dataset,
    mark_unavailable,
    mark_unusable,
    open_recipe_images,
)
from cnlw_tools.plans import capacity
from cnlw_tools.plans.vote_needs import VoteNeeds, estimate_needs
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS, Recipe
from cnlw_tools.sources import has_source
from cnlw_tools.store.pack import open_store
from cnlw_tools.store.store import Store

Ints = NDArray[np.integer]
MAX_URIS = 1000  # of a store, that are searched for private addresses


class FetchCounts(NamedTuple):
    """How many candidates a store has images of."""

    ok: int
    failed: int
    untried: int
    outcomes: Mapping[str, int]  # how many candidates have each
    has_private_answers: bool  # whether addresses on a private network were requested
    has_private_refusals: bool  # whether some were not, since --allow-private was not given


@dataclass(frozen=True)
class CrawlStatus:
    """The tables of a dataset, and what follows from them and from its store of web images."""

    recipe: Recipe  # of red noise
    dataset: Dataset  # candidates without a usable image are marked in the column `dead`
    fetched: FetchCounts | None  # None: there is no store

    @cached_property
    def verdicts(self) -> pa.Table:
        """The verdict on each candidate that has votes."""
        return compute_verdicts(self.dataset.votes, self.recipe.min_votes, self.recipe.verdict)

    @cached_property
    def verdict_counts(self) -> Ints:
        """The candidates of each class, (C, 4): shows it, does not, undecided, no votes."""
        return count_verdicts(self.dataset.web, self.verdicts, len(self.dataset.classes))

    @cached_property
    def n_available(self) -> Ints:
        """The wrong images of each class that red noise can use, (C,)."""
        recipe = self.recipe
        pool = self.dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search)
        return capacity.count_available(pool, len(self.dataset.classes))

    @cached_property
    def levels(self) -> Ints | None:
        """The highest level of red noise of each class, (C,); None without a base manifest.

        It is 0 for a class without a wrong image, even if low levels need none of it.
        """
        if self.dataset.base is None:
            return None
        levels = capacity.highest_red_levels(self.recipe, self.dataset)
        return np.where(self.n_available > 0, levels, 0)

    @property
    def benchmark_level(self) -> int:
        """The highest level of the benchmark that all classes reach; 0: none."""
        lowest = 0 if self.levels is None else int(self.levels.min())
        return max(level for level in BENCHMARK_LEVELS if level <= lowest)

    def needs(self, level: int) -> VoteNeeds:
        """Return what each class still needs for a level.

        Raises:
            ValueError: there is no base manifest
        """
        labels = self.dataset.votes["label"].to_numpy()
        return estimate_needs(
            capacity.count_needed(self.recipe, self.dataset, level),
            self.n_available,
            n_votes=np.bincount(labels, minlength=len(self.dataset.classes)),
            n_judged=self.verdict_counts[:, :2].sum(1),
        )

    def needs_top(self, level: int) -> bool:
        """Return whether a build of a level needs the option ``top`` at this level."""
        return capacity.keeps_too_many(self.recipe, self.dataset, level)


def read_crawl_status(
    name: str,
    root: Path,
    data_dir: Path | None = None,
    store: Path | str | None = None,
    photographs: Path | None = None,
) -> CrawlStatus:
    """Return how far a dataset is.

    Args:
        name: of the dataset
        root: the folder that holds its tables
        data_dir: the images, where the base manifest is made from them
        store: its web images; none: all candidates count as available
        photographs: the images of the base manifest, if they are here: as in a build, candidates
            do not count that look like a validation image

    Raises:
        LookupError: there is no such dataset
        ValueError: a table or an image is not what it should be
        OSError: the store or the images cannot be read
    """
    recipe = resolve_recipe(None, {"dataset": name, "noise": "red"}, Inputs(root))
    dataset = _read_tables(recipe, root, data_dir)
    if store is None:
        return CrawlStatus(recipe, dataset, None)
    fetched = _count_fetched(dataset.web, store)
    marked = _mark_candidates(dataset, recipe, Inputs(root, photographs), store)
    return CrawlStatus(recipe, marked, fetched)


def _mark_candidates(
    dataset: Dataset, recipe: Recipe, inputs: Inputs, store: Path | str
) -> Dataset:
    """Return the dataset with the candidates marked that a build cannot use."""
    is_known = dataset.base is not None and inputs.data_dir is not None
    if not is_known or not has_source(dataset.name, inputs):
        return mark_unavailable(dataset, store)
    return mark_unusable(dataset, recipe, store, open_recipe_images(recipe, inputs))


def _read_tables(recipe: Recipe, root: Path, data_dir: Path | None) -> Dataset:
    """Return the tables of a dataset; those that are missing are made from the images."""
    name = recipe.dataset
    if data_dir is not None and not has_dataset(name, root):
        return load_dataset(recipe, Inputs(root, data_dir))
    dataset = read_dataset(name, root)
    if data_dir is not None and (dataset.base is None or not len(dataset.web)):
        return load_dataset(recipe, Inputs(root, data_dir))
    if dataset.withdrawn is not None:
        return dataset.without_images(dataset.withdrawn)
    return dataset


def _count_fetched(web: pa.Table, store: Path | str) -> FetchCounts:
    """Count candidates by what a store says of them."""
    ids: dict[str, list[str]] = defaultdict(list)
    with open_store(store) as images:
        for image_id, outcome in images.select(["image_id", "class"]):
            ids[outcome].append(image_id)
        is_answered, is_refused = find_private(images)
    counts = Counter({outcome: _count_ids(web, ids[outcome]) for outcome in ids})
    n_tried = counts.total()
    n_ok = counts["ok"]
    n_failed = n_tried - n_ok
    return FetchCounts(n_ok, n_failed, len(web) - n_tried, +counts, is_answered, is_refused)


def find_private(store: Store) -> tuple[bool, bool]:
    """Return whether addresses on a private network were requested, and whether some were refused.

    Some of the URIs of the store are looked at, and only those that name such an address
    themselves: no name is looked up.
    """
    from cnlw_tools.fetch.address import names_private_host

    are_there = []
    for is_refused in (False, True):
        uris = store.some_uris(MAX_URIS, is_refused)
        are_there.append(any(names_private_host(uri) for uri in uris))
    return are_there[0], are_there[1]


def _count_ids(web: pa.Table, ids: list[str]) -> int:
    return int(pc.sum(pc.is_in(web["image_id"], pa.array(ids, pa.string()))).as_py() or 0)
