"""CIFAR-10 is read as published, from the folder `cifar-10-batches-py` with six batches.

Five batches are for training and one is for testing. The test batch is the split ``validation``.
Image ids are ``train-00000`` ... and ``test-00000`` ... in the official row order.

Source:
Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.files.pickles import read_pickle, to_array, to_arrays
from cnlw_tools.files.untrusted import translate_errors
from cnlw_tools.sources.formats.arrays import ArraySource, LabelledPixels

SIDE = 32  # pixels
PIXEL_BYTES = 3 * SIDE * SIDE  # of one image


@dataclass(frozen=True, slots=True)
class CifarFormat:
    """How the files of CIFAR-10 or CIFAR-100 are named and labelled."""

    title: str
    folder: str
    archive: str
    batches: Mapping[str, Sequence[str]]  # file names of each part
    n_classes: Mapping[str, int]  # by the key of the labels in a batch; the first is the label used


CIFAR10 = CifarFormat(
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    batches={
        "train": [f"data_batch_{number}" for number in range(1, 6)],
        "test": ["test_batch"],
    },
    n_classes={"labels": 10},
)


class Cifar10(ArraySource):
    """CIFAR-10: the official folder, or its parent."""

    name = "cifar10"
    layout = f"the official folder {CIFAR10.folder}, or the folder that holds it"
    split_of_part: ClassVar = {"train": "train", "test": "validation"}
    format: ClassVar[CifarFormat] = CIFAR10

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        name = self.format.folder
        if self.data_dir.resolve().name == name:
            self.folder = self.data_dir
        else:
            self.folder = self.data_dir / name
        if not self.label_path("train").is_file():
            self._require_folder()

    def load_part(self, part: str) -> LabelledPixels:
        """Return all batches of a part; all parts together take 184 MB."""
        self._require_folder()
        batches = [
            read_batch(self.folder / name, self.format) for name in self.format.batches[part]
        ]
        return _concatenate(batches)

    def _require_folder(self) -> None:
        """Raise if the official folder is not here."""
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"{self.data_dir}: there is no folder {self.format.folder!r} here: "
                f"unpack {self.format.archive} here{self.or_labels}"
            )


def read_batch(path: Path, cifar_format: CifarFormat = CIFAR10) -> LabelledPixels:
    """Read one batch (30 MB); the second kind of labels, if there is one, becomes a free column.

    Raises:
        OSError: the file is missing
        ValueError: the file is truncated, or not a batch of this format
    """
    remedy = f"unpack {cifar_format.archive} again"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the file is missing: {remedy}")
    kind = f"a batch of {cifar_format.title}"
    content = read_pickle(path, kind, remedy)
    with translate_errors(path, kind, remedy):
        labels = to_arrays({key: content[key] for key in cifar_format.n_classes})
        pixels = to_array(content["data"])
    for key, n_classes in cifar_format.n_classes.items():
        problem = _find_problem(pixels, labels[key], n_classes)
        if problem:
            raise ValueError(f"{path}: {problem}: {remedy}")
    main_key, *other_keys = cifar_format.n_classes
    extra_columns = {key.removesuffix("s"): labels[key].tolist() for key in other_keys}
    return LabelledPixels(_to_rows(pixels), labels[main_key].tolist(), extra_columns)


def _find_problem(pixels: NDArray[Any], labels: NDArray[Any], n_classes: int) -> str | None:
    """Return a description of the first error in pixels or labels of a batch, or None."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        return "its labels are not whole numbers"
    if len(labels) and not 0 <= labels.min() <= labels.max() < n_classes:
        return f"a label is outside of the range from 0 to {n_classes - 1}"
    if pixels.shape != (len(labels), PIXEL_BYTES) or pixels.dtype != np.uint8:
        return f"its pixels are {pixels.dtype} {pixels.shape} for {len(labels)} labels"
    return None


def _to_rows(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (n, 32, 32, 3); in a batch each image is its red, its green and its blue plane."""
    planes = pixels.reshape(-1, 3, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _concatenate(batches: Sequence[LabelledPixels]) -> LabelledPixels:
    pixels = np.concatenate([batch.pixels for batch in batches])
    labels = [label for batch in batches for label in batch.labels]
    extra_columns: dict[str, list[int]] = {}
    for batch in batches:
        for name, values in batch.extra_columns.items():
            extra_columns.setdefault(name, []).extend(values)
    return LabelledPixels(pixels, labels, extra_columns)
