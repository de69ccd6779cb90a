"""Which files are images."""

import io

import numpy as np
import pytest
from PIL import Image

from cnlw_tools.images.formats import (
    HEAD,
    IMAGE_SUFFIX,
    RAW_SUFFIX,
    SIGNATURES,
    is_image_file,
    recognise_format,
)

MODE_OF_FORMAT = {"ppm": "L"}  # other formats are written in RGB
NOT_WRITTEN = ("psd", "sun")  # by Pillow


def encode(name: str, mode: str | None = None) -> bytes:
    """Return a picture in a format."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    image = Image.fromarray(pixels).convert(mode or MODE_OF_FORMAT.get(name, "RGB"))
    file = io.BytesIO()
    image.save(file, name.upper())
    return file.getvalue()


@pytest.mark.parametrize("name", [name for name in SIGNATURES if name not in NOT_WRITTEN])
def test_formats_are_recognised(name):
    """What Pillow writes in a format is recognised as that format, and Pillow reads it."""
    data = encode(name)

    assert recognise_format(data[:HEAD]) == name
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == name.upper()
        image.load()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encode("ppm", "1"), "ppm"),
        (encode("ppm", "RGB"), "ppm"),
        (encode("ppm", "F"), "ppm"),
        (b"P2\n# a comment\n1 1\n255\n7\n", "ppm"),
        (b"II+\0" + bytes(60), "tiff"),
        (b"MM\0*" + bytes(60), "tiff"),
        (b"\xff\x4f\xff\x51" + bytes(60), "jpeg2000"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1miafavif" + bytes(9), "avif"),
        (b"8BPS\0\1" + bytes(60), "psd"),
        (b"\x59\xa6\x6a\x95" + bytes(60), "sun"),
    ],
)
def test_variants_of_formats(data, name):
    """A format is recognised in each of its variants."""
    assert recognise_format(data[:HEAD]) == name


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P",
        b"BM",
        b"BMW 320i and other cars of the year 2020",
        b"P5 is a grey format",
        b"PNG",
        b"II",
        b"icns and qoif are formats",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40),
        b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(40),
        b"\0\0\0\x18ftypisom\0\0\0\0isomavc1" + bytes(40),
        b"RIFF\0\0\0\0WAVEfmt ",
        b"PK\3\4" + bytes(60),
        bytes(64),
        b"\n\n\nwords",
    ],
)
def test_other_files_are_no_images(data):
    """Texts, films, archives and images that Pillow does not read are not recognised."""
    assert recognise_format(data[:HEAD]) is None


@pytest.mark.parametrize(
    ("name", "data", "is_image"),
    [
        ("0001", encode("jpeg"), True),
        ("x.JFIF", encode("jpeg"), True),
        ("x.dat", encode("avif"), True),
        ("x.2024-01-01 12", encode("png"), True),
        ("x.jpg", b"<html>", True),
        ("x.tga", b"", True),
        ("notes.txt", b"BM notes", False),
        ("x.NEF", b"II*\0" + bytes(60), False),
        ("empty", b"", False),
        (".jpg", b"", False),
    ],
)
def test_name_or_first_bytes_decide(tmp_path, name, data, is_image):
    """A file called like an image is one; of others the first bytes decide, of raw files none."""
    (tmp_path / name).write_bytes(data)

    assert is_image_file(str(tmp_path / name)) is is_image


def test_endings_are_those_of_pillow():
    """An ending that makes a file an image is one that Pillow has for a format that is read."""
    Image.init()
    formats = set()
    for suffix, name in Image.registered_extensions().items():
        if IMAGE_SUFFIX.fullmatch(suffix):
            formats.add(name.lower())
            assert not RAW_SUFFIX.fullmatch(suffix)

    assert formats < {*SIGNATURES, "dib", "tga"}
    assert {
        "jpeg",
        "png",
        "gif",
        "webp",
        "bmp",
        "dib",
        "tiff",
        "avif",
        "jpeg2000",
        "ppm",
    } <= formats
