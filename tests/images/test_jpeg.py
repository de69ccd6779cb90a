"""JPEGs are decoded to Pillow's pixels, and missing parts are noticed."""

import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from cnlw_tools.images.jpeg import PlainJpeg, decode_jpeg, read_plain_head
from cnlw_tools.images.pixels import Storage, decode, encode_picture

KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimized": {"optimize": True},
    "fine": {"quality": 95, "subsampling": 0},
    "restarts": {"restart_marker_rows": 1},
}
END = b"\xff\xd9"


def photograph(seed=0, width=250, height=190):
    """Draw smooth colours with some noise, as a camera has it."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    noisy = smooth + rng.integers(-20, 20, smooth.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def encoded(image, **options):
    file = BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


DAMAGES = {
    "cut at 30 %, with an end marker": lambda data: data[: len(data) * 3 // 10] + END,
    "cut at 99 %, with an end marker": lambda data: data[: len(data) * 99 // 100] + END,
    "a third taken out of the middle": lambda data: (
        data[: len(data) // 3] + data[len(data) * 2 // 3 :]
    ),
    "without its end marker": lambda data: data[:-2],
    "cut in half": lambda data: data[: len(data) // 2],
    "1,000 zeros in the middle": lambda data: (
        data[: len(data) // 2] + bytes(1000) + data[len(data) // 2 + 1000 :]
    ),
}
# A scan of a progressive JPEG refines what others say, and zeros may be a valid refinement.
UNNOTICED = ("progressive", "1,000 zeros in the middle")
CASES = [(kind, damage) for kind in KINDS for damage in DAMAGES if (kind, damage) != UNNOTICED]


@pytest.mark.parametrize(("kind", "damage"), CASES)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_missing_parts(kind, damage, mode):
    """A JPEG of which a part is missing is an error, also where an end marker was put in its place."""
    options = {} if mode != "RGB" and kind == "fine" else KINDS[kind]
    data = encoded(photograph().convert(mode), **options)

    assert decode(data).size == (250, 190)
    with pytest.raises(ValueError, match="not an image that can be decoded"):
        decode(DAMAGES[damage](data))
    for size in (None, 16):
        with pytest.raises(ValueError, match="not an image that can be decoded"):
            encode_picture(DAMAGES[damage](data), Storage(size))


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_those_of_pillow(kind, scale):
    """The pixels are those that Pillow decodes, at every reduction, in colour and in grey."""
    for size in ((250, 190), (64, 64), (17, 9)):
        data = encoded(photograph(1, *size), **KINDS[kind])
        min_side = max(1, min(size) // scale)
        for mode in ("RGB", "L"):
            with Image.open(BytesIO(data)) as image, Image.open(BytesIO(data)) as expected:
                expected.draft(mode, (min_side, min_side))
                expected.load()
                decoded = decode_jpeg(data, image, mode, min_side)

            assert (decoded.mode, decoded.size) == (expected.mode, expected.size)
            assert decoded.tobytes() == expected.tobytes()


@pytest.mark.parametrize("padding", [b"\0", bytes(16), b"\xff" * 5])
def test_padding(padding):
    """A few bytes before the end marker, and anything behind it, are none of the picture's."""
    data = encoded(photograph())
    padded = data[:-2] + padding + END + b"anything" * 99

    assert decode(padded).tobytes() == decode(data).tobytes()


def test_harmless_warnings():
    """A JPEG whose head is unusual, but whose data are complete, is decoded."""
    data = encoded(photograph())
    old_revision = data.replace(b"JFIF\0\1", b"JFIF\0\x09", 1)
    frame = data.index(b"\xff\xc0")
    assert data[frame + 11] == 0x22  # how often brightness is sampled
    odd_sampling = bytearray(data)
    odd_sampling[frame + 11] = 0x31

    assert decode(old_revision).tobytes() == decode(data).tobytes()
    with Image.open(BytesIO(odd_sampling)) as image:
        assert decode(encoded(image)).size == image.size


def test_reason():
    """The error says what is wrong in the words of libjpeg."""
    data = encoded(photograph())

    with pytest.raises(ValueError, match=re.escape("truncated or damaged: Corrupt JPEG data: ")):
        decode(data[: len(data) // 2] + END)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extra", [{}, {"comment": b"a comment"}, {"icc_profile": bytes(99)}])
def test_plain_head(kind, extra):
    """The head of a plain JPEG is read as Pillow reads it, and such a JPEG is decoded like others."""
    data = encoded(photograph(2, 250, 191), **KINDS[kind], **extra)
    info = {"progressive": 1} if kind == "progressive" else {}

    head = read_plain_head(data)

    assert head == PlainJpeg(250, 191, info)
    with Image.open(BytesIO(data)) as image:
        assert (head.size, head.mode, head.format) == (image.size, image.mode, image.format)
        expected = decode_jpeg(data, image, "RGB", 90)
    assert decode_jpeg(data, head, "RGB", 90).tobytes() == expected.tobytes()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_heads(mode):
    """In grey, in CMYK, with EXIF data or cut off, the head of a JPEG is not plain."""
    exif = Image.Exif()
    exif[0x0112] = 3
    data = encoded(photograph())

    assert read_plain_head(encoded(photograph().convert(mode))) is None
    assert read_plain_head(encoded(photograph(), exif=exif)) is None
    for end in range(data.index(b"\xff\xda") + 10):
        assert read_plain_head(data[:end]) is None


def test_decoded_pixels_may_be_changed():
    """A decoded image can be changed, like any other."""
    image = decode(encoded(photograph()))
    copy = image.copy()

    image.putpixel((3, 4), (1, 2, 3))

    assert (1, 2, 3) == image.getpixel((3, 4))
    copy.putpixel((3, 4), (1, 2, 3))
    assert image.tobytes() == copy.tobytes()


def test_plain_head_that_only_pillow_decodes():
    """Where libjpeg finds a plain head unusual, Pillow decodes the file."""
    data = bytearray(encoded(photograph()))
    data[data.index(b"\xff\xc0") + 11] = 0x31  # how often brightness is sampled

    head = read_plain_head(bytes(data))
    expected = JpegImagePlugin.JpegImageFile(BytesIO(data), "").convert("RGB")

    assert decode_jpeg(bytes(data), head, "RGB").tobytes() == expected.tobytes()
