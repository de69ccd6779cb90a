"""CIFAR-10 as its author packs it: the folder `cifar-10-batches-py` of five training batches and a test batch.

Image ids are ``train-00000`` ... and ``test-00000`` ... in the official row order; the test batch is the
split ``validation``. Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from cnlw_tools.sources.formats.arrays import Arrays, Part

SIDE = 32
UNREADABLE = (  # what a wrong byte in a pickle may end in
    *(pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError),
    *(ImportError, MemoryError, OverflowError),
)


@dataclass(frozen=True, slots=True)
class Pack:
    """How a set of batches is packed."""

    title: str
    folder: str
    archive: str
    batches: Mapping[str, Sequence[str]]  # of each part
    labels: Mapping[str, int]  # keys of a batch, and the classes of each; the first is the label


CIFAR10 = Pack(
    "CIFAR-10",
    FOLDER := "cifar-10-batches-py",
    "cifar-10-python.tar.gz",
    {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]},
    {"labels": 10},
)


class Plain(pickle.Unpickler):
    """Reads lists, numbers, strings and arrays, and runs nothing: a pickle from the web is not to be trusted."""

    ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "encode"})

    def __init__(self, file: BinaryIO, title: str) -> None:
        super().__init__(file, encoding="latin1")
        self.title = title

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few names that an array needs."""
        if name in self.ALLOWED and module.split(".")[0] in {"numpy", "_codecs"}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(
            f"it asks for {module}.{name}, which no {self.title} batch needs"
        )


class Cifar10(Arrays):
    """The official folder, or its parent."""

    name = "cifar10"
    needs = f"the official folder {FOLDER}, or the folder that holds it"
    parts: ClassVar = {"train": "train", "test": "validation"}
    pack: ClassVar[Pack] = CIFAR10

    def __init__(self, data_dir: Path | None) -> None:
        super().__init__(data_dir)
        name = self.pack.folder
        self.folder = (
            self.data_dir if self.data_dir.resolve().name == name else self.data_dir / name
        )
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"{data_dir}: no folder {name!r} here: unpack {self.pack.archive} into it"
            )

    def load(self, part: str) -> Part:
        """Return all batches of a part; 184 MB in all."""
        found = [read_batch(self.folder / name, self.pack) for name in self.pack.batches[part]]
        labels = [label for batch in found for label in batch.labels]
        free = {
            key: [label for batch in found for label in batch.free[key]] for key in found[0].free
        }
        return Part(np.concatenate([batch.pixels for batch in found]), labels, free)


def read_batch(path: Path, pack: Pack = CIFAR10) -> Part:
    """Read one batch (30 MB); labels of another kind become free columns.

    Raises:
        OSError: the file is missing
        ValueError: the file is truncated or no batch of this pack
    """
    remedy = f"unpack {pack.archive} again"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the file is missing: {remedy}")
    try:
        with path.open("rb") as file:
            raw = Plain(file, pack.title).load()
        pixels, numbers = (
            np.asarray(raw["data"]),
            {key: np.asarray(raw[key]) for key in pack.labels},
        )
    except UNREADABLE as error:
        why = " ".join(str(error).split())
        raise ValueError(
            f"{path}: truncated, or no batch of {pack.title} ({why}): {remedy}"
        ) from error
    for key, found in numbers.items():
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise ValueError(f"{path}: its labels are no whole numbers: {remedy}")
        if len(found) and not 0 <= found.min() <= found.max() < pack.labels[key]:
            raise ValueError(f"{path}: a label is not from 0 to {pack.labels[key] - 1}: {remedy}")
        if pixels.shape != (len(found), 3 * SIDE * SIDE) or pixels.dtype != np.uint8:
            raise ValueError(
                f"{path}: {pixels.dtype} {pixels.shape} for {len(found)} labels: {remedy}"
            )
    planes = pixels.reshape(
        -1, 3, SIDE, SIDE
    )  # the file holds the red, the green and the blue plane of each image
    labels, *others = (found.tolist() for found in numbers.values())
    free = {
        key.removesuffix("s"): found for key, found in zip(list(numbers)[1:], others, strict=True)
    }
    return Part(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels, free)
