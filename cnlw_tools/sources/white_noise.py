"""Images of white noise, in which every pixel is drawn independently, from the image id alone.

    gaussian-32x32-m125.3_123.0_113.9-s63.0_62.1_66.7-00000        m + s z              z normal
    uniform-32x32-m125.3_123.0_113.9-s63.0_62.1_66.7-00000         m + s 3^(1/2) (2 u - 1)

The id gives the mean m and the standard deviation s of red, green and blue. z is a standard normal
number, and u is a uniform number from 0 to 1. Values are rounded and clipped to 0 ... 255, which
narrows wide distributions a little. m and s, to a tenth, and the most common size are those of
`SAMPLE_SIZE` training images of the dataset, evenly spaced over its sorted ids. There are as many
white images as images in the dataset.
"""

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools import prng
from cnlw_tools.recipe.inputs import ImageSource
from cnlw_tools.sources.base import make_manifest
from cnlw_tools.sources.composite import read_pixels

SAMPLE_SIZE = 1000
DISTRIBUTION_OF_DONOR = {"white": "gaussian", "white_uniform": "uniform"}
NUMBER = r"([\d.]+)"
IMAGE_ID = re.compile(
    rf"(gaussian|uniform)-(\d+)x(\d+)-m{NUMBER}_{NUMBER}_{NUMBER}-s{NUMBER}_{NUMBER}_{NUMBER}-\d+"
)

Floats = NDArray[np.float64]


class WhiteNoise:
    """Reads images by drawing them: noise without anything to see."""

    def read(self, image_id: str) -> Image.Image:
        """Draw one image.

        Raises:
            LookupError: the id does not give a distribution, size, mean and deviation
        """
        match = IMAGE_ID.fullmatch(image_id)
        if not match:
            raise LookupError(
                f"there is no image {image_id!r} of white noise: ids are like "
                "gaussian-32x32-m1_2_3-s4_5_6-00000"
            )
        distribution, width, height, *channel_values = match.groups()
        shape = (int(height), int(width), 3)
        mean, deviation = np.array(channel_values, np.float64).reshape(2, 3)
        noise = _draw_noise(distribution, image_id, int(np.prod(shape)))
        pixels = mean + deviation * noise.reshape(shape)
        rounded = np.floor(pixels + 0.5)
        return Image.fromarray(np.clip(rounded, 0, 255).astype(np.uint8))


def make_white_manifest(name: str, source: ImageSource, base: pa.Table) -> pa.Table:
    """Return the manifest of white images that look like a dataset in size, mean and deviation.

    Args:
        name: a key of DISTRIBUTION_OF_DONOR
        source: reads the images of the dataset
        base: the manifest of the dataset
    """
    is_train = pc.equal(base["split"], "train")
    train_ids = base.filter(is_train)["image_id"]
    size, mean, deviation = _measure_images(source, _sample_evenly(train_ids))
    distribution = DISTRIBUTION_OF_DONOR[name]
    prefix = f"{distribution}-{size}-m{_join(mean)}-s{_join(deviation)}"
    n_images = len(base)
    n_train = len(train_ids)
    n_validation = n_images - n_train
    return make_manifest(
        ids=[f"{prefix}-{number:05d}" for number in range(n_images)],
        labels=[0] * n_images,
        splits=["train"] * n_train + ["validation"] * n_validation,
    )


def _draw_noise(distribution: str, image_id: str, n_values: int) -> Floats:
    """Return (n_values,) numbers of mean 0 and deviation 1; normal ones are Box-Muller's."""
    seed = np.uint64(prng.random_key(image_id))
    keys = prng.mix(np.arange(n_values, dtype=np.uint64) ^ seed)
    first_uniform = prng.uniform(keys, 0, 0)
    if distribution == "uniform":
        return np.asarray(np.sqrt(3) * (2 * first_uniform - 1))
    second_uniform = prng.uniform(keys, 0, 1)
    radius = np.sqrt(-2 * np.log1p(-first_uniform))
    angle = 2 * np.pi * second_uniform
    return np.asarray(radius * np.cos(angle))


def _sample_evenly(ids: pa.ChunkedArray) -> list[str]:
    """Return at most SAMPLE_SIZE of the ids, evenly spaced in their order."""
    sorted_ids = ids.take(pc.sort_indices(ids))
    last = len(ids) - 1
    n_sampled = min(SAMPLE_SIZE, len(ids))
    positions = np.linspace(0, last, n_sampled).astype(np.int64)
    sampled = sorted_ids.take(pa.array(np.unique(positions)))
    return list(sampled.to_pylist())


def _measure_images(source: ImageSource, ids: list[str]) -> tuple[str, Floats, Floats]:
    """Return the most common size as text, and the (3,) mean and deviation of all pixels."""
    sizes: Counter[str] = Counter()
    n_pixels = 0
    total = np.zeros(3)
    total_of_squares = np.zeros(3)
    for image_id in ids:
        image = read_pixels(source, image_id)
        sizes[f"{image.width}x{image.height}"] += 1
        pixels = np.asarray(image, np.float64).reshape(-1, 3)
        n_pixels += len(pixels)
        total = total + pixels.sum(0)
        total_of_squares = total_of_squares + (pixels**2).sum(0)
    mean = total / n_pixels
    mean_of_squares = total_of_squares / n_pixels
    deviation = np.sqrt(mean_of_squares - mean**2)
    most_common = min(sizes, key=lambda size: (-sizes[size], size))
    return most_common, mean, deviation


def _join(values: Floats) -> str:
    return "_".join(f"{value:.1f}" for value in values)
