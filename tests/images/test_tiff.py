"""TIFF files that lack a part, or whose numbers Pillow misreads."""

import struct

import numpy as np
import pytest

from cnlw_tools.images.pixels import decode
from tests.images.test_rgb import tiff

PIXELS = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3)


def in_planes(pixels, n_planes):
    """Return a TIFF in which each colour lies in a plane of its own, and the first ones are there."""
    height, width, _ = pixels.shape
    bits = 8 * pixels.itemsize
    planes = [pixels[:, :, i].tobytes() for i in range(n_planes)]
    lists = [
        [bits] * 3,
        [8 + i * len(planes[0]) for i in range(n_planes)],
        [len(planes[0])] * n_planes,
    ]
    data = b"".join(planes)
    places = []
    for numbers in lists:
        places.append(8 + len(data) if len(numbers) > 1 else numbers[0])
        data += struct.pack(f"<{len(numbers)}I", *numbers)
    tags = [(256, 1, width), (257, 1, height), (258, 3, places[0]), (259, 1, 1), (262, 1, 2)]
    tags += [(273, n_planes, places[1]), (277, 1, 3), (278, 1, height)]
    tags += [(279, n_planes, places[2]), (284, 1, 2)]
    entries = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in tags)
    start = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    return start + struct.pack("<H", len(tags)) + entries + bytes(4)


def test_planes():
    """Colours that lie apart are read as they are."""
    assert np.asarray(decode(in_planes(PIXELS, 3))).tolist() == PIXELS.tolist()


@pytest.mark.parametrize("n_planes", [1, 2])
def test_missing_planes(n_planes):
    """A TIFF that lacks a colour is an error; it would be black."""
    with pytest.raises(ValueError, match="truncated, because it has only 0 x 0 of its pixels"):
        decode(in_planes(PIXELS, n_planes))


def test_planes_of_16_bits():
    """Planes of 16 bits are an error, as Pillow takes each half of a number for a pixel."""
    with pytest.raises(
        ValueError, match="colour channels are stored in separate planes, and not with"
    ):
        decode(in_planes(PIXELS.astype("<u2"), 3))


def test_one_plane():
    """Grey is one plane, whatever the file says of planes."""
    extra = struct.pack("<HHII", 284, 4, 1, 2)

    assert np.asarray(decode(tiff(PIXELS[:, :, 0], 8, extra=extra)))[:, :, 0].tolist() == (
        PIXELS[:, :, 0].tolist()
    )


def test_signed_numbers():
    """Signed numbers of 8 bits are an error: -1 would be white, and 0 black."""
    with pytest.raises(ValueError, match="its pixels are signed numbers: save it with 8 bits"):
        decode(tiff(np.array([[-1, 0, 1]], "i1"), 8, 2))


def test_missing_strips():
    """A TIFF whose strips cover only a part of it is an error; the rest would be black."""
    data = tiff(np.zeros((8, 5), "u1"), 8)
    taller = data.replace(struct.pack("<HHII", 257, 4, 1, 8), struct.pack("<HHII", 257, 4, 1, 9))

    assert decode(data).size == (5, 8)
    with pytest.raises(ValueError, match="truncated, because it has only 5 x 8 of its pixels"):
        decode(taller)
