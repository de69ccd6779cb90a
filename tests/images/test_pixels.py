"""Images are stored unchanged or resized by a rule, and compared by their fingerprints."""

import errno
import os
import re
import struct
import zlib
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from itertools import combinations
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile

from cnlw_tools.images.pixels import (
    Storage,
    decode,
    encode_picture,
    fingerprint,
    has_digest,
    picture_digest,
    pixel_digest,
    read_size,
    resize,
)

N_MUTATIONS = int(os.environ.get("CNLW_MUTATIONS", "40"))  # of a file; more take longer
RULES = ("squash", "crop", "pad", "short")


def noise(width=40, height=24, seed=0):
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    )


def scene(seed=0, side=96):
    """Draw large shapes, as in a photograph: random colours on a coarse grid, enlarged smoothly."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def encoded(image, format, **options: object):
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_original_bytes(format):
    """Without a size, a file is stored byte for byte."""
    raw = encoded(noise(), format)

    assert encode_picture(raw, Storage()) is raw


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize("rule", RULES)
def test_no_resize_needed(format, rule):
    """A file that already has the right size is stored byte for byte."""
    raw = encoded(noise(32, 32), format)

    assert encode_picture(raw, Storage(32, rule)) is raw


@pytest.mark.parametrize("size", [None, 40])
def test_raw_pixels(size):
    """Raw pixels become a PNG with the same pixels."""
    image = noise(40, 40)

    assert encode_picture(image, Storage(size)).startswith(b"\x89PNG")
    assert decode(encode_picture(image, Storage(size))).tobytes() == image.tobytes()


@pytest.mark.parametrize("quality", [1, 75, 95, 100])
@pytest.mark.parametrize("comment", [None, b"", b"a comment"])
def test_jpeg_is_that_of_pillow(quality, comment):
    """A resized file has the bytes that `Image.save` writes, with the comment of its original."""
    options = {} if comment is None else {"comment": comment}
    data = encoded(noise(), "GIF", **options)

    jpeg = encode_picture(data, Storage(16, "squash", quality))

    resized = resize(decode(data), 16, "squash")
    assert encoded(resized, "JPEG", quality=quality) == jpeg
    assert (b"a comment" in jpeg) == bool(comment)


@pytest.mark.parametrize(
    ("format", "expected"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("GIF", "JPEG"), ("WEBP", "JPEG")]
)
def test_output_format(format, expected):
    """When an image is encoded again, a PNG stays a PNG and everything else becomes JPEG."""
    with Image.open(BytesIO(encode_picture(encoded(noise(), format), Storage(16)))) as image:
        assert image.format == expected
        assert image.size == (16, 16)


def test_quality():
    """A lower quality takes fewer bytes."""
    raw = encoded(noise(64, 64), "JPEG")

    small = encode_picture(raw, Storage(32, quality=30))
    large = encode_picture(raw, Storage(32, quality=95))
    assert len(small) < len(large)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 50), st.sampled_from(RULES))
def test_sizes(width, height, size, rule):
    """Every rule gives a square of this size, except `short`: its shorter side has this size."""
    image = resize(noise(width, height), size, rule)

    if rule == "short":
        assert min(image.size) == size
    else:
        assert image.size == (size, size)


def test_crop_is_the_middle():
    """Crop keeps the middle of the longer side."""
    image = noise(40, 20)

    assert resize(image, 20, "crop").tobytes() == image.crop((10, 0, 30, 20)).tobytes()


def test_pad_is_grey():
    """Pad keeps the whole image and adds grey bars above and below."""
    padded = np.asarray(resize(noise(20, 10), 20, "pad"))

    assert (padded[:5] == 127).all()
    assert (padded[15:] == 127).all()
    assert padded[5:15].tobytes() == noise(20, 10).tobytes()


def test_squash_averages():
    """Shrinking by a whole number averages blocks of pixels."""
    pixels = np.asarray(noise(20, 20), float)
    expected = pixels.reshape(10, 2, 10, 2, 3).mean((1, 3))

    squashed = np.asarray(resize(noise(20, 20), 10, "squash"))
    assert np.abs(squashed - expected).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_modes(mode):
    """An image of any mode is decoded to RGB."""
    raw = encoded(noise().convert("L" if mode == "LA" else "RGB").convert(mode), "TIFF")

    assert (decode(raw).mode, decode(raw).size) == ("RGB", (40, 24))


def test_transparent_palette():
    """A palette with transparency is decoded without a warning."""
    assert decode(encoded(noise().convert("P"), "PNG", transparency=b"\0\x80")).mode == "RGB"


def test_orientation():
    """A file whose EXIF orientation says that it lies on its side is turned upright."""
    image = scene()
    exif = image.getexif()
    exif[0x0112] = 6  # a quarter turn clockwise

    upright = np.asarray(decode(encoded(image, "JPEG", exif=exif, quality=95)), float)

    expected = np.rot90(np.asarray(image, float), -1)
    assert np.abs(upright - expected).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 10))
def test_every_orientation(orientation):
    """Each orientation gives what Pillow gives; a number above 8 is ignored."""
    image = scene().crop((0, 0, 96, 50))
    exif = image.getexif()
    exif[0x0112] = orientation
    raw = encoded(image, "PNG", exif=exif)
    with Image.open(BytesIO(raw)) as opened:
        expected = ImageOps.exif_transpose(opened)

    assert (decode(raw).size, decode(raw).tobytes()) == (expected.size, expected.tobytes())


@pytest.mark.parametrize("orientation", range(1, 10))
def test_the_size_is_that_of_the_decoded_image(orientation):
    """Height and width are read from the header, turned as the pixels will be."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = BytesIO()
    Image.new("RGB", (9, 5)).save(buffer, "JPEG", exif=exif)
    data = buffer.getvalue()

    assert read_size(data) == decode(data).size[::-1]
    with pytest.raises(ValueError, match="not an image"):
        read_size(b"no image")


@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP"]), st.data())
def test_truncated(format, data):
    """A file with at most half of its bytes is a ValueError."""
    raw = encoded(noise(), format)
    cut = data.draw(st.integers(0, len(raw) // 2))

    with pytest.raises(ValueError, match="not an image that can be decoded"):
        decode(raw[:cut])


def test_one_error(monkeypatch):
    """Whatever a decoder raises becomes one ValueError, on one line, without addresses in memory."""
    raw = encoded(noise(), "BMP")
    for error in (
        RuntimeError("failed\nto decode"),
        TypeError("<_io.BytesIO object at 0x7f39f653f210> is no tag"),
        NotImplementedError(),
        struct.error("unpack"),
        zlib.error("Error -3"),
        SyntaxError("broken"),
        MemoryError(),
        OverflowError("too large"),
        RecursionError("depth"),
        EOFError(),
        Image.DecompressionBombError("bomb"),
    ):
        monkeypatch.setattr(BmpImageFile, "load", mock.Mock(side_effect=error))

        with pytest.raises(ValueError, match="not an image that can be decoded") as caught:
            decode(raw)
        assert not re.search(r"0x|\n|\(\)", str(caught.value))


def test_faults_of_the_machine(monkeypatch):
    """An error of the machine, such as too many open files, is not one of the image."""
    fault = OSError(errno.EMFILE, "Too many open files")
    monkeypatch.setattr(BmpImageFile, "load", mock.Mock(side_effect=fault))

    with pytest.raises(OSError, match="Too many open files"):
        decode(encoded(noise(), "BMP"))


def test_drawings():
    """A drawing that Pillow would have another program draw is refused before that program runs."""
    raw = encoded(noise(), "EPS")

    with pytest.raises(
        ValueError, match="EPS files are vector drawings, which are not read: convert it to PNG"
    ):
        decode(raw)


MUTATED_FORMATS = (
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("GIF", {}),
    ("WEBP", {}),
    ("AVIF", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("JPEG2000", {}),
    ("BMP", {}),
    ("PPM", {}),
    ("ICO", {"sizes": [(16, 16)]}),
    ("TGA", {"compression": "tga_rle"}),
    ("DDS", {}),
    ("PCX", {}),
    ("SGI", {}),
    ("QOI", {}),
    ("IM", {}),
)


@pytest.mark.filterwarnings("ignore")  # of Pillow, about metadata
@pytest.mark.parametrize(("format", "options"), MUTATED_FORMATS)
def test_mutations(format, options):
    """Whatever changes in a file, it is decoded to RGB or is a ValueError on one line."""
    rng = np.random.default_rng(0)
    whole = np.frombuffer(encoded(noise(), format, **options), np.uint8)
    for _ in range(N_MUTATIONS):
        raw = mutate(whole, rng)
        with suppress(ValueError):
            assert decode(raw).mode == "RGB"


def mutate(whole, rng):
    """Return a file with a few other bytes, most of them in its head, and now and then cut."""
    data = whole.copy()
    span = len(data) if rng.random() < 0.5 else min(len(data), 200)
    positions = rng.integers(0, span, rng.integers(1, 8))
    data[positions] = rng.integers(0, 256, len(positions))
    end = rng.integers(0, len(data)) if rng.random() < 0.1 else len(data)
    return data[:end].tobytes()


@pytest.mark.parametrize("raw", [b"", b"<html>404</html>", b"\x89PNG\r\n\x1a\n"])
def test_no_image(raw):
    """Bytes that are not an image are an error when they have to be decoded."""
    with pytest.raises(ValueError, match="not an image that can be decoded"):
        encode_picture(raw, Storage(32))


def test_pixel_digest():
    """The digest depends only on the RGB pixels, not on the file format."""
    image = noise()

    assert pixel_digest(decode(encoded(image, "PNG"))) == pixel_digest(image)
    assert pixel_digest(image) != pixel_digest(noise(seed=1))
    assert pixel_digest(image.convert("L")) == pixel_digest(image.convert("L").convert("RGB"))


def test_picture_digest():
    """The sha256 of a manifest is that of what a build stores: the file, or else its RGB pixels."""
    image = noise()
    plain, grey = encoded(image, "PNG"), encoded(image.convert("L"), "PNG")
    stored = encode_picture(grey, Storage())

    assert picture_digest(plain) == sha256(plain).hexdigest()
    assert picture_digest(grey) == pixel_digest(decode(stored)) == picture_digest(decode(grey))
    assert picture_digest(image) == pixel_digest(image)
    for digest in (sha256(grey).hexdigest(), picture_digest(grey)):
        assert has_digest(grey, digest)
        assert not has_digest(plain, digest)
        assert not has_digest(b"no image", digest)


@pytest.mark.filterwarnings("ignore")  # of Pillow, about EXIF
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("sound", "spoilt"),
    [(b"MM\0*", b"????"), (b"MM\0*", b"MM\x88*"), (b"\x01\x0f\0\2", b"\x01\x0f\0\3")],
)
def test_exif_that_stops_other_readers(format, sound, spoilt):
    """An image whose EXIF data stop `datasets` is stored without them, though it decodes here."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    whole = encoded(noise(), format, exif=exif)
    raw = whole.replace(sound, spoilt, 1)
    if format == "PNG":
        start = raw.index(b"eXIf")
        end = raw.index(b"IDAT") - 8
        raw = raw[:end] + struct.pack(">I", zlib.crc32(raw[start:end])) + raw[end + 4 :]
    stored = encode_picture(raw, Storage())

    with Image.open(BytesIO(stored)) as image:
        assert not image.getexif()
        assert image.tobytes() == decode(raw).tobytes()
    assert encode_picture(whole, Storage()) is whole


def differing_bits(a, b):
    return sum((x ^ y).bit_count() for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("levels", [2, 256])
def test_bits_of_a_fingerprint(levels):
    """Each bit says whether a pixel is darker than its neighbour; each quarter has every fourth."""
    grey = np.random.default_rng(levels).integers(0, 256, (9, 9), np.uint8) // (256 // levels)
    bits = []
    for dy, dx in ((0, 1), (1, 0)):
        for y in range(8):
            for x in range(8):
                bits.append(int(grey[y, x] < grey[y + dy, x + dx]))
    quartered = [*bits[0::4], *bits[1::4], *bits[2::4], *bits[3::4]]

    found = fingerprint(Image.fromarray(grey))

    assert np.packbits(quartered).tobytes() == found


@pytest.mark.parametrize("seed", range(8))
def test_fingerprint_stays(seed):
    """A fingerprint hardly changes when an image is compressed, and a little when it is resized."""
    image = scene(seed)
    compressed = decode(encoded(image, "JPEG", quality=60))

    assert len(fingerprint(image)) == 16
    assert differing_bits(fingerprint(image), fingerprint(compressed)) <= 3
    assert differing_bits(fingerprint(image), fingerprint(resize(image, 64, "squash"))) <= 6


def test_fingerprints_differ():
    """Fingerprints of different pictures differ in many bits."""
    fingerprints = [fingerprint(scene(seed)) for seed in range(30)]

    assert min(differing_bits(a, b) for a, b in combinations(fingerprints, 2)) > 15


def test_fingerprint_by_hand():
    """A bit says whether the right or lower neighbour is brighter."""
    pixels = np.tile(np.arange(0, 90, 10, dtype=np.uint8), (9, 1))
    horizontal, vertical = Image.fromarray(pixels), Image.fromarray(pixels.T.copy())

    bits = [
        np.unpackbits(np.frombuffer(fingerprint(image), np.uint8)).reshape(4, 32)
        for image in (horizontal, vertical)
    ]

    assert bits[0].sum() == bits[1].sum() == 64
    assert (bits[0] + bits[1] == 1).all()
    assert bits[0].sum(1).tolist() == [16] * 4  # each quarter has pairs of both directions
