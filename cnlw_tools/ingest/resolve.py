"""What a recipe is made from: the tables of its dataset, those that the user's copy holds, and those of donors.

Images of the web lie in a store that `cnlw fetch` made. What is not in it, a placeholder, or like a validation image is
dead there: noise passes it over, and the next one in its order steps in.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset import dataset
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.executor import SERIAL, Executor
from cnlw_tools.images.pixels import decode, fingerprint
from cnlw_tools.ingest import donors
from cnlw_tools.noise import NOISE
from cnlw_tools.plan.plan import options
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.registry import pick
from cnlw_tools.sources import SOURCES, Source
from cnlw_tools.sources.base import LocalSource
from cnlw_tools.sources.composite import Reader
from cnlw_tools.store.exclusions import find_exclusions
from cnlw_tools.store.store import Store

MANY = 500  # images that a worker looks at before it is asked again


def load_dataset(recipe: Recipe, inputs: Inputs, executor: Executor = SERIAL) -> Dataset:
    """Return the dataset of a recipe.

    Args:
        recipe: names it, and its donors
        inputs: where its tables and images lie
        executor: looks at validation images where there is a store of web images

    Raises:
        LookupError: unknown dataset, or donor
        ValueError: there is neither a base manifest nor a source to make it, or the tables are wrong
        OSError: the data are not where they should be
    """
    root, data_dir = inputs.root, inputs.data_dir
    found = _tables(recipe, root, data_dir)
    found = found.with_side_table(Path(recipe.side)) if recipe.side else found
    if inputs.store is not None:
        own = open_source(found.source, recipe, data_dir)
        found = _with_store(found, inputs.store, own, executor)
    if not recipe.donors:
        return found
    noise, own = pick(NOISE, recipe.noise, "noise"), open_source(found.source, recipe, data_dir)
    given = donors.tables(recipe.donors, inputs, found, own, noise.needs_nearest_class)
    more = (
        ("outlier",)
        if noise.outlier_option and options(noise, recipe)[noise.outlier_option]
        else ()
    )
    return replace(found, donors=given, classes=(*found.classes, *more))


def open_source(name: str, recipe: Recipe, data_dir: Path | None) -> Source:
    """Return a source.

    Raises:
        ValueError, OSError: there is none of that name, or not in that folder what it needs
    """
    if name not in SOURCES:
        wants = f"; it wants {recipe.needs}" if recipe.needs else ""
        raise ValueError(
            f"{name}: no source reads its images yet{wants}. There are sources for {', '.join(SOURCES)}"
        )
    return SOURCES[name](data_dir)


def _tables(recipe: Recipe, root: Path, data_dir: Path | None) -> Dataset:
    """Return a dataset, its classes and base manifest from its folder or made from the user's copy."""
    name = recipe.dataset
    found = (
        dataset.read_dataset(name, root)
        if name in dataset.list_datasets(root) or name not in SOURCES
        else None
    )
    if found and found.base is not None:
        here = data_dir is not None and found.source in SOURCES
        return _with_release(found, SOURCES[found.source](data_dir), recipe) if here else found
    source = open_source(name, recipe, data_dir)
    made = dataset.empty_dataset(name, source.classes())
    if found and found.classes != made.classes:
        raise ValueError(
            f"{root}: the class list of {name} is not that of its images: `cnlw import {name}` writes it"
        )
    return _with_release(
        (found or made).with_base(source.manifest(), str(data_dir)), source, recipe
    )


def _with_release(found: Dataset, source: Source, recipe: Recipe) -> Dataset:
    """Return the dataset with what the user's copy holds of the release of 2020, where the dataset has no own."""
    if not isinstance(source, LocalSource):
        return found
    source.release.check_class_order(found.classes)
    candidates, where = (
        None if len(found.web) else source.release.read_candidates(),
        str(source.data_dir),
    )
    if candidates is not None:
        found = found.with_web(*candidates, where)
    if recipe.splits == "official" and found.published_splits is None:
        found = found.with_published_splits(
            source.release.read_published_splits(source.label_of), where
        )
    return found


def _with_store(found: Dataset, store: Path, own: Source, executor: Executor) -> Dataset:
    """Return the dataset with a column ``dead`` of its candidates: what the store does not hold, or should not."""
    base = dataset.require_base_manifest(found)
    held = base.filter(pc.starts_with(base["split"], "validation"))["image_id"].to_pylist()
    parts = [held[i : i + MANY] for i in range(0, len(held), MANY)]
    beside = np.concatenate(
        [np.empty((0, 16), np.uint8), *executor.map(partial(_prints, own), parts)]
    )
    with Store(store) as images:
        good = set(images.image_ids())
        good -= find_exclusions(images, validation_fingerprints=beside).keys()
    return found.with_unavailable(
        pc.invert(pc.is_in(found.web["image_id"], pa.array(sorted(good), pa.string())))
    )


def _prints(own: Reader, ids: Sequence[str]) -> NDArray[np.uint8]:
    """Return (n, 16) the fingerprints of images."""
    pictures = [own.read(name) for name in ids]
    images = [decode(picture) if isinstance(picture, bytes) else picture for picture in pictures]
    return np.frombuffer(b"".join(map(fingerprint, images)), np.uint8).reshape(-1, 16)
