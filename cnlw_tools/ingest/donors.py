"""Donors: other datasets whose images some noise brings in, as tables to draw plans from.

A donor's table is its base manifest, with its name and a slash before every id. The donors `white`
and `white_uniform` are not datasets but noise (sources/white_noise.py).

Some noise asks which class an image looks like. Each class ranks the images of a donor:

    the smaller  |t - m_c|,  the higher      t: (48,) colours of the image, shrunk to 4 x 4 pixels
                                             m_c: mean t of 200 training images of class c

and the column `looks_like` is the class that ranks an image highest. (If it were the class with the
nearest m_c, classes of plain colours would have no image.) The 200 images are the first by id. Of
equal ranks the first class counts, of equal distances the first image by id.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools.dataset.dataset import (
    NEAREST_CLASS,
    Dataset,
    has_dataset,
    list_datasets,
    read_dataset,
    require_base_manifest,
)
from cnlw_tools.files.roots import suggest_root
from cnlw_tools.recipe.inputs import ImageSource, Inputs
from cnlw_tools.recipe.recipe import WHITE_NOISE_DONORS
from cnlw_tools.registry import suggest
from cnlw_tools.sources import (
    SOURCES,
    has_source,
    open_donor,
    open_donor_images,
    white_noise,
)
from cnlw_tools.sources.composite import Reader, read_pixels

IMAGES_PER_CLASS = 200  # that a class's mean is made of
SIDE = 4  # pixels of a thumbnail
CHANNELS = 3

Floats = NDArray[np.float64]


def read_donors(
    names: Sequence[str],
    inputs: Inputs,
    dataset: Dataset,
    source: ImageSource,
    with_nearest_class: bool,
) -> dict[str, pa.Table]:
    """Return the table of each donor, by name.

    Args:
        names: of the donors
        inputs: where their tables and images lie
        dataset: takes their images; it has a base manifest
        source: reads the images of the dataset
        with_nearest_class: add the column `looks_like`

    Raises:
        LookupError: no such donor, or it is the dataset itself
        ValueError, OSError: a donor cannot be read
    """
    tables = {}
    for name in names:
        _check_name(name, dataset.name, inputs)
        _check_prefix(name, dataset)
        base = require_base_manifest(dataset)
        if name in WHITE_NOISE_DONORS:
            manifest = white_noise.make_white_manifest(name, source, base)
        else:
            manifest = _read_manifest(name, inputs)
        tables[name] = _with_prefix(manifest, name)
        if with_nearest_class:
            centroids = _mean_thumbnails(source, base, len(dataset.classes))
            ids = manifest["image_id"].to_pylist()
            classes = find_nearest_classes(open_donor(name, inputs), ids, centroids)
            column = pa.array(classes, pa.int32())
            tables[name] = tables[name].append_column(NEAREST_CLASS, column)
    return tables


def _check_name(name: str, dataset: str, inputs: Inputs) -> None:
    """Raise if there is no donor of this name for a dataset."""
    datasets = [donor for donor in list_datasets(inputs.root) if has_source(donor, inputs)]
    donors = [*dict.fromkeys([*SOURCES, *datasets]), *WHITE_NOISE_DONORS]
    donors = [donor for donor in donors if donor != dataset]
    if name not in donors:
        hint = suggest(name, donors) + suggest_root(inputs.root, Path("manifests") / name)
        names = ", ".join(donors)
        raise LookupError(f"no donor {name!r} for {dataset}.{hint} Donors: {names}")


def _check_prefix(name: str, dataset: Dataset) -> None:
    """Raise if ids of the dataset's own images look like those of the donor's."""
    for table in (require_base_manifest(dataset), dataset.web):
        has_prefix = pc.starts_with(table["image_id"], f"{name}/")
        if pc.any(has_prefix).as_py():
            example = table.filter(has_prefix)["image_id"][0]
            raise ValueError(
                f"{dataset.name}: its image {example} has an id like those of the donor {name}: "
                "import the donor under another name"
            )


def _read_manifest(name: str, inputs: Inputs) -> pa.Table:
    """Return a donor's base manifest, from its folder or made from the user's copy."""
    if has_dataset(name, inputs.root):
        base = read_dataset(name, inputs.root).base
        if base is not None:
            return base
    return open_donor_images(name, inputs).manifest()


def _with_prefix(manifest: pa.Table, name: str) -> pa.Table:
    """Return the columns of a manifest, with the donor's name and a slash before every id."""
    table = manifest.select(["image_id", "label", "split", "uri", "sha256"])
    prefix = pa.scalar(name)
    ids = pc.binary_join_element_wise(prefix, manifest["image_id"], "/")
    field = manifest.schema.field("image_id")
    return table.set_column(0, field, ids)


def find_nearest_classes(
    reader: Reader, ids: Sequence[str], centroids: Floats
) -> NDArray[np.int64]:
    """Return the (n,) class that each image looks like.

    Args:
        reader: of the images
        ids: of n images
        centroids: (C, 48) mean thumbnails; infinite where a class has no image
    """
    n = len(ids)
    order = np.argsort(np.array(ids))
    thumbnails = np.empty((n, centroids.shape[1]))
    for row, i in enumerate(order):
        thumbnails[row] = thumbnail(reader, ids[i])
    best_rank = np.full(n, n)
    nearest = np.zeros(n, np.int64)
    for c in np.flatnonzero(np.isfinite(centroids[:, 0])):
        difference = thumbnails - centroids[c]
        distance = (difference**2).sum(1)
        rank = np.empty(n, np.int64)
        rank[np.argsort(distance, kind="stable")] = np.arange(n)
        nearest[rank < best_rank] = c
        best_rank = np.minimum(best_rank, rank)
    classes = np.empty(n, np.int64)
    classes[order] = nearest
    return classes


def thumbnail(reader: Reader, image_id: str) -> Floats:
    """Return the (48,) colours of an image of 4 x 4 pixels, from 0 to 255."""
    image = read_pixels(reader, image_id)
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float64).ravel()


def _mean_thumbnails(source: ImageSource, base: pa.Table, n_classes: int) -> Floats:
    """Return the (C, 48) mean thumbnail of each class; infinite where a class has no image."""
    train = base.filter(pc.equal(base["split"], "train")).sort_by("image_id")
    means = np.full((n_classes, CHANNELS * SIDE * SIDE), np.inf)
    for c in range(n_classes):
        rows = train.filter(pc.equal(train["label"], c))
        ids = rows["image_id"][:IMAGES_PER_CLASS].to_pylist()
        thumbnails = [thumbnail(source, image_id) for image_id in ids]
        if thumbnails:
            means[c] = np.mean(thumbnails, axis=0)
    return means
