"""Pixels: stored as they came or resized by a rule, and compared by fingerprint."""

from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from cnlw_tools.images.pixels import (
    Storage,
    decode,
    encode_picture,
    fingerprint,
    pixel_digest,
    resize,
)

RULES = ("squash", "crop", "pad", "short")


def noise(width=40, height=24, seed=0):
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    )


def scene(seed=0, side=96):
    """Large shapes, like a photograph's: random colours on a coarse grid, enlarged smoothly."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def encoded(image, kind, **more: object):
    out = BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_as_it_came(kind):
    """A file without a size to take is stored byte for byte."""
    raw = encoded(noise(), kind)

    assert encode_picture(raw, Storage()) is raw


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("rule", RULES)
def test_no_resize_needed(kind, rule):
    """A file that has the asked size is stored byte for byte."""
    raw = encoded(noise(32, 32), kind)

    assert encode_picture(raw, Storage(32, rule)) is raw


@pytest.mark.parametrize("size", [None, 40])
def test_pixels(size):
    """Pixels become a PNG with the same pixels."""
    image = noise(40, 40)

    assert encode_picture(image, Storage(size)).startswith(b"\x89PNG")
    assert decode(encode_picture(image, Storage(size))).tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("kind", "expected"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("GIF", "JPEG"), ("WEBP", "JPEG")]
)
def test_kinds(kind, expected):
    """Encoded again, a PNG stays one, and the rest becomes JPEG."""
    with Image.open(BytesIO(encode_picture(encoded(noise(), kind), Storage(16)))) as image:
        assert image.format == expected
        assert image.size == (16, 16)


def test_quality():
    """A lower quality takes fewer bytes."""
    raw = encoded(noise(64, 64), "JPEG")

    assert len(encode_picture(raw, Storage(32, quality=30))) < len(
        encode_picture(raw, Storage(32, quality=95))
    )


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 50), st.sampled_from(RULES))
def test_sizes(width, height, size, rule):
    """Every rule gives a square of the size, or a shorter side of it."""
    found = resize(noise(width, height), size, rule)

    assert found.size == (size, size) if rule != "short" else min(found.size) == size


def test_crop_is_the_middle():
    """Crop keeps the middle of the longer side."""
    image = noise(40, 20)

    assert resize(image, 20, "crop").tobytes() == image.crop((10, 0, 30, 20)).tobytes()


def test_pad_is_grey():
    """Pad keeps the whole, and puts grey above and below."""
    found = np.asarray(resize(noise(20, 10), 20, "pad"))

    assert (found[:5] == 127).all()
    assert (found[15:] == 127).all()
    assert found[5:15].tobytes() == noise(20, 10).tobytes()


def test_squash_averages():
    """Shrinking by whole numbers averages blocks."""
    pixels = np.asarray(noise(20, 20), float)
    expected = pixels.reshape(10, 2, 10, 2, 3).mean((1, 3))

    assert np.abs(np.asarray(resize(noise(20, 20), 10, "squash")) - expected).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_modes(mode):
    """An image of any mode is decoded to RGB."""
    raw = encoded(noise().convert("L" if mode == "LA" else "RGB").convert(mode), "TIFF")

    assert (decode(raw).mode, decode(raw).size) == ("RGB", (40, 24))


def test_transparent_palette():
    """A palette with transparency is decoded without complaint."""
    assert decode(encoded(noise().convert("P"), "PNG", transparency=b"\0\x80")).mode == "RGB"


def test_orientation():
    """A file that says that it lies on its side is put upright."""
    image = scene()
    exif = image.getexif()
    exif[0x0112] = 6  # a quarter turn clockwise

    found = np.asarray(decode(encoded(image, "JPEG", exif=exif, quality=95)), float)

    assert np.abs(found - np.rot90(np.asarray(image, float), -1)).mean() < 3


@pytest.mark.parametrize("turn", range(1, 10))
def test_every_orientation(turn):
    """As Pillow turns it; a number beyond 8 means nothing."""
    image = scene().crop((0, 0, 96, 50))
    exif = image.getexif()
    exif[0x0112] = turn
    raw = encoded(image, "PNG", exif=exif)
    with Image.open(BytesIO(raw)) as opened:
        expected = ImageOps.exif_transpose(opened)

    assert (decode(raw).size, decode(raw).tobytes()) == (expected.size, expected.tobytes())


@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP"]), st.data())
def test_broken(kind, data):
    """A truncated file is an image or a ValueError, and with half of its bytes an error."""
    raw = encoded(noise(), kind)
    cut = data.draw(st.integers(0, len(raw) // 2))

    with pytest.raises(ValueError, match="not an image that can be decoded"):
        decode(raw[:cut])


@pytest.mark.parametrize("raw", [b"", b"<html>404</html>", b"\x89PNG\r\n\x1a\n"])
def test_no_image(raw):
    """What is no image is an error where it has to be looked at."""
    with pytest.raises(ValueError, match="not an image that can be decoded"):
        encode_picture(raw, Storage(32))


def test_pixel_digest():
    """The digest is that of the RGB pixels, whatever the file."""
    image = noise()

    assert pixel_digest(decode(encoded(image, "PNG"))) == pixel_digest(image)
    assert pixel_digest(image) != pixel_digest(noise(seed=1))
    assert pixel_digest(image.convert("L")) == pixel_digest(image.convert("L").convert("RGB"))


def distance(one, two):
    return sum((a ^ b).bit_count() for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("seed", range(8))
def test_fingerprint_stays(seed):
    """A fingerprint hardly changes when an image is compressed, and little when it is made smaller."""
    image = scene(seed)
    again = decode(encoded(image, "JPEG", quality=60))

    assert len(fingerprint(image)) == 16
    assert distance(fingerprint(image), fingerprint(again)) <= 3
    assert distance(fingerprint(image), fingerprint(resize(image, 64, "squash"))) <= 6


def test_fingerprints_differ():
    """Fingerprints of different pictures differ in many bits."""
    prints = [fingerprint(scene(seed)) for seed in range(30)]

    assert min(distance(a, b) for a, b in combinations(prints, 2)) > 15


def test_fingerprint_by_hand():
    """A bit says whether the next cell, to the right or below, is brighter."""
    right = np.tile(np.arange(0, 90, 10, dtype=np.uint8), (9, 1))
    across, down = Image.fromarray(right), Image.fromarray(right.T.copy())

    bits = [
        np.unpackbits(np.frombuffer(fingerprint(image), np.uint8)).reshape(4, 32)
        for image in (across, down)
    ]

    assert bits[0].sum() == bits[1].sum() == 64
    assert (bits[0] + bits[1] == 1).all()
    assert bits[0].sum(1).tolist() == [16] * 4  # each quarter sees both ways
