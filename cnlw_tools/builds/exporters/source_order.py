"""The images of a dataset in the order in which a user's own loader counts them.

The base manifest is in the order of the source: that of the files of CIFAR, MNIST and SVHN, and of
the rows of a Hugging Face dataset. Class folders are in the order of torchvision's ImageFolder: by
class folder, then by folder, then by file name.

    part of an image = the split that it has in its source

A loader reads one part, so images are counted part by part. Images that an import moved from train
to validation are still of the part train.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset.dataset import Dataset, require_base_manifest

CLASS_FOLDERS = ("folder", "imagenet")  # sources that ImageFolder reads, too


@dataclass(frozen=True, slots=True)
class SourceOrder:
    """The n images of a dataset, in the order of its source."""

    image_ids: pa.Array  # (n,)
    parts: NDArray[np.str_]  # (n,) the part of each

    def places(self, image_ids: pa.ChunkedArray) -> NDArray[np.int64]:
        """Return (m,) the place of each image among the n, or -1 for images from elsewhere."""
        places = pc.fill_null(pc.index_in(image_ids, self.image_ids), -1)
        numbers: NDArray[np.int64] = places.to_numpy().astype(np.int64)
        return numbers


def source_order(dataset: Dataset) -> SourceOrder:
    """Return the images of a dataset in the order of its source.

    Raises:
        ValueError: there is no base manifest
    """
    base = require_base_manifest(dataset)
    parts = np.array(base["split"].to_pylist(), np.str_)
    if dataset.imported_validation:
        parts[parts == "validation"] = "train"
    if dataset.source in CLASS_FOLDERS:
        order = _sort_as_image_folder(base, parts, dataset.classes)
        base, parts = base.take(order), parts[order]
    return SourceOrder(base["image_id"].combine_chunks(), parts)


def _sort_as_image_folder(
    base: pa.Table, parts: NDArray[np.str_], classes: tuple[str, ...]
) -> NDArray[np.int64]:
    """Return (n,) the rows of a manifest as ImageFolder sorts them; the parts do not mix."""
    keys = []
    columns = (parts.tolist(), base["label"].to_pylist(), base["image_id"].to_pylist())
    for row, (part, label, image_id) in enumerate(zip(*columns, strict=True)):
        path = PurePosixPath(image_id)
        keys.append((part, classes[label], str(path.parent), path.name, row))
    return np.array([row for *_, row in sorted(keys)], np.int64)
