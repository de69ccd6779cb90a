"""Donors: other datasets whose images some noise brings in, as tables that a plan can be drawn from.

A donor's table is its base manifest with its name and a slash before every id; `white` and `white_uniform` are no
datasets but noise, sources/white_noise.py. Where noise asks which class an image looks like, each class lists the donor's
images as a search would,

    the nearer  |t - mean of the t' of class c|,  the higher        t, (48,): colours of the image shrunk to 4 x 4

with the mean over the first `EACH` training images of the class by id, and the column ``looks_like`` is the class in
whose list an image stands highest. (The nearest mean alone would leave classes of plain colours nothing.) Of equal
places the class that counts first has it, of equal distances the image whose id does.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools.dataset import dataset
from cnlw_tools.dataset.dataset import (
    NEAREST_CLASS,
    WHITE_NOISE_DONORS,
    Dataset,
    require_base_manifest,
)
from cnlw_tools.images.pixels import decode
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.registry import suggest
from cnlw_tools.sources import SOURCES, Source, open_donor, white_noise
from cnlw_tools.sources.composite import Reader

EACH, SIDE = 200, 4  # images of a class; pixels of a thumbnail

Tables = dict[str, pa.Table]


def tables(
    names: Sequence[str],
    inputs: Inputs,
    found: Dataset,
    own: Source,
    likeness: bool,
) -> Tables:
    """Return the table of each donor.

    Args:
        names: of the donors
        inputs: where their tables and images lie
        found: the dataset that they give to, with its base manifest
        own: reads its images
        likeness: say of each image which class it looks like

    Raises:
        LookupError: no such donor
        ValueError, OSError: it is the dataset itself, or it cannot be read
    """
    made = {}
    for name in names:
        if name == found.name or name not in (*SOURCES, *WHITE_NOISE_DONORS):
            known = [n for n in (*SOURCES, *WHITE_NOISE_DONORS) if n != found.name]
            raise LookupError(
                f"no donor {name!r} for {found.name}.{suggest(name, known)} There are: {', '.join(known)}"
            )
        raw = (
            white_noise.make_white_manifest(name, own, require_base_manifest(found))
            if name in WHITE_NOISE_DONORS
            else _manifest(name, inputs)
        )
        ids = pc.binary_join_element_wise(pa.scalar(name), raw["image_id"], "/")
        table = raw.select(["image_id", "label", "split", "uri", "sha256"]).set_column(
            0, raw.schema.field(0), ids
        )
        if likeness:
            read = open_donor(name, inputs)
            label = alike(
                read,
                raw["image_id"].to_pylist(),
                _centroids(own, require_base_manifest(found), len(found.classes)),
            )
            table = table.append_column(NEAREST_CLASS, pa.array(label, pa.int32()))
        made[name] = table
    return made


def alike(read: Reader, ids: Sequence[str], centroids: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (n,) the class that each image looks like; centroids: (C, 48), infinite where a class has no image."""
    order = np.argsort(np.array(ids))
    seen = (
        np.stack([thumbnail(read, ids[i]) for i in order])
        if ids
        else np.empty((0, centroids.shape[1]))
    )
    best, label = np.full(len(ids), len(ids)), np.zeros(len(ids), np.int64)
    for c in np.flatnonzero(np.isfinite(centroids[:, 0])):
        place = np.empty(len(ids), np.int64)
        place[np.argsort(((seen - centroids[c]) ** 2).sum(1), kind="stable")] = np.arange(len(ids))
        label[place < best] = c
        best = np.minimum(best, place)
    found = np.empty(len(ids), np.int64)
    found[order] = label
    return found


def thumbnail(read: Reader, image_id: str) -> NDArray[np.float64]:
    """Return (48,) the colours of an image of 4 x 4 pixels, from 0 to 255."""
    picture = read.read(image_id)
    image = decode(picture) if isinstance(picture, bytes) else picture
    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float64).ravel()


def _centroids(own: Source, base: pa.Table, classes: int) -> NDArray[np.float64]:
    """Return (C, 48) the mean thumbnail of each class."""
    train = base.filter(pc.equal(base["split"], "train")).sort_by("image_id")
    means = np.full((classes, 3 * SIDE * SIDE), np.inf)
    for c in range(classes):
        ids = train.filter(pc.equal(train["label"], c))["image_id"][:EACH].to_pylist()
        if ids:
            means[c] = np.mean([thumbnail(own, i) for i in ids], axis=0)
    return means


def _manifest(name: str, inputs: Inputs) -> pa.Table:
    """Return a donor's base manifest, from its folder or made from the user's copy."""
    root = inputs.root
    known = dataset.read_dataset(name, root).base if name in dataset.list_datasets(root) else None
    if known is not None:
        return known
    try:
        return SOURCES[name](inputs.donors.get(name)).manifest()
    except ValueError as error:
        raise ValueError(f"{error}; of a donor it is --donor {name}=DIR") from error
