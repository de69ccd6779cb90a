"""CIFAR-10 as its author packs it: the folder `cifar-10-batches-py` of five training batches and a test batch.

Image ids are ``train-00000`` ... and ``test-00000`` ... in the official row order; the test batch is the
split ``validation``. Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

import pickle
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools.images import Picture
from cnlw_tools.tables import MANIFEST

FOLDER = "cifar-10-batches-py"
SIDE = 32
CLASSES = 10
PARTS = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
SPLITS = {"train": "train", "test": "validation"}
UNREADABLE = (  # what a wrong byte in a pickle may end in
    *(pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError),
    *(ImportError, MemoryError, OverflowError),
)


class Batch(NamedTuple):
    """One file of the official folder."""

    pixels: NDArray[np.uint8]  # (n, 32, 32, 3) RGB
    labels: list[int]


class Plain(pickle.Unpickler):
    """Reads lists, numbers, strings and arrays, and runs nothing: a pickle from the web is not to be trusted."""

    ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "encode"})

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few names that an array needs."""
        if name in self.ALLOWED and module.split(".")[0] in {"numpy", "_codecs"}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR-10 batch needs")


class Cifar10:
    """The official folder, or its parent."""

    def __init__(self, data_dir: Path | None) -> None:
        if data_dir is None:
            raise ValueError(f"cifar10 needs --data-dir: the official folder {FOLDER!r} or its parent")
        self.folder = data_dir if data_dir.resolve().name == FOLDER else data_dir / FOLDER
        if not self.folder.is_dir():
            raise FileNotFoundError(f"{data_dir}: no folder {FOLDER!r} here: unpack cifar-10-python.tar.gz into it")
        self._read: dict[str, list[Batch]] = {}

    def manifest(self) -> pa.Table:
        """Return the 60,000 rows; sha256 is that of the RGB pixels."""
        rows = []
        for part in PARTS:
            batches = self._batches(part)
            labels = [label for batch in batches for label in batch.labels]
            rows += [
                {
                    "image_id": f"{part}-{i:05d}",
                    "label": label,
                    "split": SPLITS[part],
                    "sha256": sha256(pixels).hexdigest(),
                }
                for i, (label, pixels) in enumerate(
                    zip(labels, (p for batch in batches for p in batch.pixels), strict=True)
                )
            ]
        return pa.Table.from_pylist(rows, MANIFEST)

    def _batches(self, part: str) -> list[Batch]:
        """Return the batches of a part; they stay in memory, 184 MB in all."""
        if part not in self._read:
            self._read[part] = [read_batch(self.folder / name) for name in PARTS[part]]
        return self._read[part]

    def read(self, image_id: str) -> Picture:
        """Return one 32 x 32 image.

        Raises:
            LookupError: no such id
        """
        part, _, number = image_id.partition("-")
        if part in PARTS and number.isdecimal():
            at = int(number)
            for batch in self._batches(part):
                if at < len(batch.labels):
                    return Image.frombytes("RGB", (SIDE, SIDE), batch.pixels[at].tobytes())
                at -= len(batch.labels)
        raise LookupError(f"{self.folder}: no image {image_id!r}; ids run from train-00000 and test-00000")


def read_batch(path: Path) -> Batch:
    """Read one batch (30 MB).

    Raises:
        OSError: the file is missing
        ValueError: the file is truncated or no batch of CIFAR-10
    """
    remedy = "unpack cifar-10-python.tar.gz again"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the file is missing: {remedy}")
    try:
        with path.open("rb") as file:
            raw = Plain(file, encoding="latin1").load()
        pixels, numbers = np.asarray(raw["data"]), np.asarray(raw["labels"])
    except UNREADABLE as error:
        raise ValueError(
            f"{path}: truncated, or no batch of CIFAR-10 ({' '.join(str(error).split())}): {remedy}"
        ) from error
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise ValueError(f"{path}: its labels are no whole numbers: {remedy}")
    labels = [int(n) for n in numbers]
    if labels and not 0 <= min(labels) <= max(labels) < CLASSES:
        raise ValueError(f"{path}: a label is not from 0 to {CLASSES - 1}: {remedy}")
    if pixels.shape != (len(labels), 3 * SIDE * SIDE) or pixels.dtype != np.uint8:
        raise ValueError(f"{path}: {pixels.dtype} {pixels.shape} for {len(labels)} labels: {remedy}")
    planes = pixels.reshape(-1, 3, SIDE, SIDE)  # the file holds the red, the green and the blue plane of each image
    return Batch(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)
