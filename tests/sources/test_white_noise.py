"""White images: drawn from their ids, as bright and as varied as the dataset's."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.sources.white_noise import WhiteNoise, make_white_manifest


class Few:
    """Pictures of one size, of whose pixels half are 90 and half are 110; one is larger."""

    def read(self, image_id):
        """Return one."""
        side = 9 if image_id == "i3" else 8
        return Image.fromarray(
            np.where(np.arange(3 * side**2).reshape(side, side, 3) % 6 < 3, 90, 110).astype(
                np.uint8
            )
        )


def base(n=20):
    rows = [
        {"image_id": f"i{i}", "label": 0, "split": "train" if i < n - 3 else "validation"}
        for i in range(n)
    ]
    return pa.Table.from_pylist(rows, MANIFEST)


@pytest.mark.parametrize("name", ["white", "white_uniform"])
def test_matched(name):
    """Mean and deviation of the pixels are the dataset's, the size is the most common one, each image another."""
    table = make_white_manifest(name, Few(), base())
    pixels = np.stack(
        [np.asarray(WhiteNoise().read(i), np.float64) for i in table["image_id"].to_pylist()]
    )

    assert pixels.shape == (20, 8, 8, 3)
    assert table["split"].to_pylist() == base()["split"].to_pylist()
    assert pixels.mean() == pytest.approx(100, abs=0.7)
    assert pixels.std() == pytest.approx(10, abs=0.5)
    assert len({p.tobytes() for p in pixels}) == 20


def test_kinds():
    """Uniform noise ends where it ends; Gaussian noise has tails."""
    far = [
        np.abs(
            np.asarray(WhiteNoise().read(f"{kind}-64x64-m128_128_128-s20_20_20-0"), float) - 128
        ).max()
        for kind in ("uniform", "gaussian")
    ]

    assert far[0] <= 35  # 20 x 3^(1/2)
    assert 55 < far[1] < 110


def test_channels():
    """Each colour has its own mean and deviation, and what is too bright or dark is cut."""
    pixels = np.asarray(WhiteNoise().read("gaussian-100x50-m20_100_250-s0_5_30-7"), float)

    assert pixels.shape == (50, 100, 3)
    assert (pixels[..., 0] == 20).all()
    assert pixels[..., 1].std() == pytest.approx(5, abs=0.2)
    assert pixels[..., 2].max() == 255


def test_golden():
    """An id stands for its image for ever."""
    pixels = np.asarray(WhiteNoise().read("gaussian-2x1-m100_100_100-s50_50_50-00000"))

    assert pixels.ravel().tolist() == [11, 33, 120, 96, 139, 74]


@pytest.mark.parametrize("name", ["x", "gaussian-2x2-m1_2-s1_2_3-0", "poisson-2x2-m1_2_3-s1_2_3-0"])
def test_no_such_image(name):
    """Another id is an error that says what ids are like."""
    with pytest.raises(LookupError, match="ids are like gaussian-32x32"):
        WhiteNoise().read(name)
