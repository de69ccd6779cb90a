"""White images: drawn from their ids, as bright and as varied as those of the dataset."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.sources.white_noise import WhiteNoise, make_white_manifest


class StripedSource:
    """Images of one size, whose pixels are 90 and 110 by turns; one of them is larger."""

    def read(self, image_id):
        """Return one image."""
        side = 9 if image_id == "i3" else 8
        positions = np.arange(3 * side**2).reshape(side, side, 3)
        pixels = np.where(positions % 6 < 3, 90, 110)
        return Image.fromarray(pixels.astype(np.uint8))


def base_manifest():
    """Return a manifest of 17 training and 3 validation images."""
    splits = ["train"] * 17 + ["validation"] * 3
    rows = []
    for i, split in enumerate(splits):
        rows.append({"image_id": f"i{i}", "label": 0, "split": split})
    return pa.Table.from_pylist(rows, MANIFEST)


def read_pixels(image_id):
    """Return the pixels of a white image as floating point numbers."""
    return np.asarray(WhiteNoise().read(image_id), np.float64)


@pytest.mark.parametrize("name", ["white", "white_uniform"])
def test_statistics_of_the_dataset(name):
    """Mean, deviation and size are those of the dataset; no two images are equal."""
    base = base_manifest()
    table = make_white_manifest(name, StripedSource(), base)
    pixels = np.stack([read_pixels(image_id) for image_id in table["image_id"].to_pylist()])

    assert pixels.shape == (20, 8, 8, 3)
    assert table["split"].to_pylist() == base["split"].to_pylist()
    assert pixels.mean() == pytest.approx(100, abs=0.7)
    assert pixels.std() == pytest.approx(10, abs=0.5)
    assert len({p.tobytes() for p in pixels}) == 20


def test_kinds():
    """Uniform noise is bounded; Gaussian noise has tails."""
    largest = {}
    for kind in ("uniform", "gaussian"):
        pixels = read_pixels(f"{kind}-64x64-m128_128_128-s20_20_20-0")
        largest[kind] = np.abs(pixels - 128).max()

    assert largest["uniform"] <= 35  # 20 x 3^(1/2)
    assert 55 < largest["gaussian"] < 110


def test_channels():
    """Each channel has its own mean and deviation; values beyond 0 and 255 are clipped."""
    pixels = read_pixels("gaussian-100x50-m20_100_250-s0_5_30-7")

    assert pixels.shape == (50, 100, 3)
    assert (pixels[..., 0] == 20).all()
    assert pixels[..., 1].std() == pytest.approx(5, abs=0.2)
    assert pixels[..., 2].max() == 255


def test_golden():
    """An id always means the same image."""
    pixels = np.asarray(WhiteNoise().read("gaussian-2x1-m100_100_100-s50_50_50-00000"))

    assert pixels.ravel().tolist() == [11, 33, 120, 96, 139, 74]


@pytest.mark.parametrize("name", ["x", "gaussian-2x2-m1_2-s1_2_3-0", "poisson-2x2-m1_2_3-s1_2_3-0"])
def test_no_such_image(name):
    """The error for another id says what ids are like."""
    with pytest.raises(LookupError, match="ids are like gaussian-32x32"):
        WhiteNoise().read(name)
