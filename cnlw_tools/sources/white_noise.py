"""White images: pixels that know nothing of each other, drawn from the image id alone.

    gaussian-32x32-m125.3_123.0_113.9-s63.0_62.1_66.7-00000        m + s z              z normal
    uniform-32x32-m125.3_123.0_113.9-s63.0_62.1_66.7-00000         m + s 3^(1/2) (2 u - 1)

with m and s the mean and standard deviation of red, green and blue that the id says; rounded, then cut to 0 ... 255,
which takes some of the spread of wide ones away. m and s, to a tenth, and the most common size are those of the
pixels of `SAMPLE` training images of the dataset, evenly over its ids in order; there are as many as images.
"""

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools import prng
from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.images.pixels import decode
from cnlw_tools.sources.base import Source

SAMPLE = 1000
KINDS = {"white": "gaussian", "white_uniform": "uniform"}
ID = re.compile(
    r"(gaussian|uniform)-(\d+)x(\d+)-m([\d.]+)_([\d.]+)_([\d.]+)-s([\d.]+)_([\d.]+)_([\d.]+)-\d+"
)


class White:
    """Noise without anything to see."""

    def read(self, image_id: str) -> Image.Image:
        """Draw one image.

        Raises:
            LookupError: the id says no kind, size, mean and deviation
        """
        said = ID.fullmatch(image_id)
        if not said:
            raise LookupError(
                f"no white image {image_id!r}: ids are like gaussian-32x32-m1_2_3-s4_5_6-00000"
            )
        width, height = int(said[2]), int(said[3])
        mean, deviation = np.array(said.groups()[3:], np.float64).reshape(2, 3)
        key = prng.mix(
            np.arange(width * height * 3, dtype=np.uint64) ^ np.uint64(prng.key(image_id))
        )
        one, two = (prng.uniform(key, 0, i) for i in range(2))
        if said[1] == "gaussian":
            z = np.sqrt(-2 * np.log1p(-one)) * np.cos(2 * np.pi * two)
        else:
            z = np.sqrt(3) * (2 * one - 1)
        pixels = mean + deviation * z.reshape(height, width, 3)
        return Image.fromarray(np.clip(np.floor(pixels + 0.5), 0, 255).astype(np.uint8))


def manifest(name: str, own: Source, base: pa.Table) -> pa.Table:
    """Return the manifest of white images for a dataset: of the size, mean and deviation of its own.

    Args:
        name: white, or white_uniform
        own: reads the images of the dataset
        base: its manifest
    """
    train = base.filter(pc.equal(base["split"], "train"))["image_id"]
    ids = train.take(pc.sort_indices(train))
    some = ids.take(
        pa.array(np.unique(np.linspace(0, len(ids) - 1, min(SAMPLE, len(ids))).astype(np.int64)))
    )
    size, mean, deviation = _measured(own, some.to_pylist())
    said = f"{KINDS[name]}-{size}-m{_joined(mean)}-s{_joined(deviation)}"
    splits = ["train" if i < len(ids) else "validation" for i in range(len(base))]
    rows = [
        {"image_id": f"{said}-{i:05d}", "label": 0, "split": split}
        for i, split in enumerate(splits)
    ]
    return pa.Table.from_pylist(rows, MANIFEST)


def _measured(own: Source, ids: list[str]) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """Return the most common size, and the (3,) mean and deviation of all pixels."""
    sizes: Counter[str] = Counter()
    n, total, squares = 0, np.zeros(3), np.zeros(3)
    for image_id in ids:
        picture = own.read(image_id)
        image = (decode(picture) if isinstance(picture, bytes) else picture).convert("RGB")
        pixels = np.asarray(image, np.float64).reshape(-1, 3)
        sizes[f"{image.width}x{image.height}"] += 1
        n, total, squares = n + len(pixels), total + pixels.sum(0), squares + (pixels**2).sum(0)
    mean = total / n
    return min(sizes, key=lambda s: (-sizes[s], s)), mean, np.sqrt(squares / n - mean**2)


def _joined(values: NDArray[np.float64]) -> str:
    return "_".join(f"{v:.1f}" for v in values)
