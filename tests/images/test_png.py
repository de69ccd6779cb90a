"""A PNG is complete if its chunks are."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cnlw_tools.images.pixels import decode
from cnlw_tools.images.png import check_png


@pytest.fixture
def png():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_complete(png):
    """A whole PNG is complete, with anything behind its end as well."""
    check_png(png)
    check_png(png + b"<html>")


def test_cut(png):
    """A PNG that lost any number of its last bytes is truncated, though all pixels may be there."""
    for length in (*range(8, len(png), 97), *range(len(png) - 40, len(png))):
        with pytest.raises(ValueError, match="truncated"):
            check_png(png[:length])


def test_checksums(png):
    """A byte that differs in a chunk that matters is damage."""
    for position in (len(png) // 2, len(png) - 14, len(png) - 2):
        damaged = bytearray(png)
        damaged[position] ^= 1
        with pytest.raises(ValueError, match=r"the PNG chunk (IDAT|IEND) is damaged"):
            check_png(bytes(damaged))


def test_decode(png):
    """Truncated files are no images that can be decoded."""
    for lost in range(1, 21):
        with pytest.raises(ValueError, match=r"not an image that can be decoded \(truncated"):
            decode(png[:-lost])
