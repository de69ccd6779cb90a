"""What a recipe is made from: the tables of its dataset, of the user's images, and of donors.

Images of the web lie in a store that `cnlw fetch` made. A candidate is unavailable if the store
does not have it, or if it is a placeholder, or like a validation image. Noise skips unavailable
candidates, and takes the next ones in their order.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset.dataset import (
    Dataset,
    empty_dataset,
    has_dataset,
    read_dataset,
)
from cnlw_tools.dataset.tables import ManifestInfo, with_info
from cnlw_tools.dataset.withdrawal import read_withdrawn, reject_unknown, union
from cnlw_tools.executor import SERIAL, Executor
from cnlw_tools.images.pixels import fingerprint
from cnlw_tools.ingest.donors import read_donors
from cnlw_tools.noise import NOISE
from cnlw_tools.plans.noise_inputs import has_outlier_class
from cnlw_tools.plans.subsets import base_manifest
from cnlw_tools.recipe.inputs import ImageSource, Inputs
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.registry import pick
from cnlw_tools.sources import (
    SOURCES,
    has_source,
    open_images,
    open_source,
    options_of,
    read_source_info,
)
from cnlw_tools.sources.base import LocalSource
from cnlw_tools.sources.composite import Reader, read_pixels
from cnlw_tools.store.exclusions import find_exclusions, find_twins
from cnlw_tools.store.pack import open_store

IMAGES_PER_TASK = 500
FINGERPRINT_BYTES = 16


def load_dataset(recipe: Recipe, inputs: Inputs, executor: Executor = SERIAL) -> Dataset:
    """Return the dataset of a recipe.

    Args:
        recipe: names the dataset and its donors
        inputs: where its tables and images lie
        executor: reads validation images, if there is a store of web images

    Raises:
        LookupError: unknown dataset, or donor
        ValueError: there is no base manifest and no source to make it, or the tables are wrong
        OSError: the data are not where they should be
    """
    dataset = _load_tables(recipe, inputs)
    if recipe.side_table:
        dataset = dataset.with_side_table(Path(recipe.side_table))
    manifests = [dataset.base, dataset.web]
    withdrawn = _withdrawn_images(recipe, dataset)
    if withdrawn is not None:
        dataset = dataset.without_images(withdrawn)
    if inputs.store is not None:
        source = open_recipe_images(recipe, inputs)
        dataset = mark_unusable(dataset, recipe, inputs.store, source, executor)
    if recipe.donors:
        source = open_recipe_images(recipe, inputs)
        dataset = _with_donors(dataset, recipe, inputs, source)
        manifests += dataset.donors.values()
        if withdrawn is not None:
            dataset = dataset.without_images(withdrawn)
    if recipe.without:
        reject_unknown(recipe.without, read_withdrawn(Path(recipe.without)), manifests)
    return dataset


def open_recipe_images(recipe: Recipe, inputs: Inputs) -> ImageSource:
    """Open the images of a recipe's dataset, which are compared with its base manifest.

    Raises:
        ValueError, OSError: no source reads them, or the folder lacks what it needs
    """
    _require_source(recipe, inputs)
    return open_images(recipe.dataset, inputs)


def _require_source(recipe: Recipe, inputs: Inputs) -> None:
    """Raise if no source reads the images of a recipe's dataset."""
    if not has_source(recipe.dataset, inputs):
        needs = f"; it needs {recipe.data_dir_layout}" if recipe.data_dir_layout else ""
        names = ", ".join(SOURCES)
        source = read_source_info(recipe.dataset, inputs).source
        raise ValueError(f"{source}: no source reads its images yet{needs}. Sources: {names}")


def _load_tables(recipe: Recipe, inputs: Inputs) -> Dataset:
    """Return a dataset with its base manifest, which may have to be made from the user's copy."""
    name = recipe.dataset
    dataset = None
    if has_dataset(name, inputs.root) or not has_source(name, inputs):
        dataset = read_dataset(name, inputs.root)
    if dataset is not None and dataset.base is not None:
        if inputs.data_dir is None or not has_source(name, inputs):
            return dataset
        return _with_release(dataset, open_source(name, inputs), recipe)

    _require_source(recipe, inputs)
    source = open_source(name, inputs)
    empty = empty_dataset(name, source.classes())
    if dataset is None:
        dataset = empty
    elif dataset.classes != empty.classes:
        raise ValueError(
            f"{inputs.root}: the class list of {name} differs from the classes of its images: "
            f"delete manifests/{name}/classes.csv, and write it with `cnlw import`"
        )
    base = source.manifest()
    info = ManifestInfo(options=options_of(source))
    if info.as_block():
        base = with_info(base, info.as_block())
    return _with_release(dataset.with_base(base, str(inputs.data_dir)), source, recipe)


def _with_release(dataset: Dataset, source: ImageSource, recipe: Recipe) -> Dataset:
    """Add candidates and published splits of the release of 2020 from the user's copy.

    Tables that the dataset has already are kept.
    """
    if not isinstance(source, LocalSource):
        return dataset
    release, path = source.release, str(source.data_dir)
    release.check_class_order(dataset.classes)
    if not len(dataset.web):
        candidates = release.read_candidates()
        if candidates is not None:
            web, votes = candidates
            dataset = dataset.with_web(web, votes, path)
    if recipe.published_splits and dataset.published_splits is None:
        splits = release.read_published_splits(source.label_of)
        dataset = dataset.with_published_splits(splits, path)
    return dataset


def _withdrawn_images(recipe: Recipe, dataset: Dataset) -> pa.Table | None:
    """Return the ids of the images that the dataset's table or the recipe leaves out, if any."""
    named_by_recipe = read_withdrawn(Path(recipe.without)) if recipe.without else None
    return union([dataset.withdrawn, named_by_recipe])


def mark_unusable(
    dataset: Dataset,
    recipe: Recipe,
    store: Path | str,
    source: ImageSource,
    executor: Executor = SERIAL,
) -> Dataset:
    """Return the dataset with those candidates marked that no build of a recipe may use.

    Args:
        dataset: with candidates and a base manifest
        recipe: says which images of the base manifest are for validation
        store: of web images
        source: reads the validation images
        executor: where they are read

    Raises:
        OSError, ValueError, LookupError: the store or an image cannot be read
    """
    base = base_manifest(recipe, dataset)
    is_validation = pc.starts_with(base["split"], "validation")
    ids = base.filter(is_validation)["image_id"].to_pylist()
    fingerprints = _fingerprint_images(source, ids, executor)
    return mark_unavailable(dataset, store, fingerprints)


def mark_unavailable(
    dataset: Dataset,
    store: Path | str,
    validation_fingerprints: NDArray[np.uint8] | None = None,
) -> Dataset:
    """Return the dataset with those candidates marked whose image a store lacks or excludes.

    Published splits say themselves which images they have, so twins stay there.

    Args:
        dataset: with candidates
        store: of web images
        validation_fingerprints: (n, 16); candidates that look like these are excluded, too

    Raises:
        OSError, ValueError: the store cannot be read
    """
    with open_store(store) as images:
        exclusions = find_exclusions(images, validation_fingerprints=validation_fingerprints)
        available = {*images.image_ids()} - exclusions.keys()
        if dataset.published_splits is None:
            files = {name: digest for name, digest, _ in images.fingerprints() if name in available}
            available -= find_twins(dataset.votes, files)
    is_available = pc.is_in(dataset.web["image_id"], pa.array(sorted(available), pa.string()))
    return dataset.with_unavailable(pc.invert(is_available))


def _fingerprint_images(
    source: Reader, ids: Sequence[str], executor: Executor
) -> NDArray[np.uint8]:
    """Return the (n, 16) fingerprints of images, in any order."""
    starts = range(0, len(ids), IMAGES_PER_TASK)
    tasks = [ids[start : start + IMAGES_PER_TASK] for start in starts]
    task = partial(_fingerprint_part, source)
    nothing = np.empty((0, FINGERPRINT_BYTES), np.uint8)
    return np.concatenate([nothing, *executor.map(task, tasks)])


def _fingerprint_part(source: Reader, ids: Sequence[str]) -> NDArray[np.uint8]:
    """Return the (n, 16) fingerprints of images."""
    fingerprints = []
    for image_id in ids:
        image = read_pixels(source, image_id)
        fingerprints.append(fingerprint(image))
    data = b"".join(fingerprints)
    return np.frombuffer(data, np.uint8).reshape(-1, FINGERPRINT_BYTES)


def _with_donors(dataset: Dataset, recipe: Recipe, inputs: Inputs, source: ImageSource) -> Dataset:
    """Add the tables of donors, and a class of their images where the noise makes one."""
    noise = pick(NOISE, recipe.noise, "noise")
    tables = read_donors(recipe.donors, inputs, dataset, source, noise.needs_nearest_class)
    classes = dataset.classes
    if has_outlier_class(recipe):
        classes = (*classes, "outlier")
    return replace(dataset, donors=tables, classes=classes)
