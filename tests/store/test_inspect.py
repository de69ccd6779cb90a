"""What a body is, by its content."""

import io
import struct
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from cnlw_tools.images import pixels
from cnlw_tools.store.inspect import look
from cnlw_tools.store.outcomes import Failed


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (640, 480)])
def test_size_format_and_hash(encode, name, size):
    """A still picture of a known format, small or large."""
    data = encode(name, 3, size)

    found = look(data)

    assert (name.lower(), size) == (found.format, (found.width, found.height))
    assert pixels.sha256(data).hexdigest() == found.sha256


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "LA", "1", "I;16"])
def test_modes(mode):
    """Grey, printing colours, palettes, transparency, 16 bits."""
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    image = (
        Image.fromarray(pixels).convert("L").convert(mode)
        if mode == "I;16"
        else Image.fromarray(pixels).convert(mode)
    )
    image.save(out, "JPEG" if mode == "CMYK" else "PNG")

    assert (50, 40) == (look(out.getvalue()).width, look(out.getvalue()).height)


@pytest.mark.parametrize("turn", range(1, 9))
def test_turned(encode, turn):
    """Width and height are those of the picture as it is seen, and so is the fingerprint."""
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encode("JPEG", 5, (640, 480), exif=exif)

    found, upright = look(data), pixels.decode(data)

    assert upright.size == (found.width, found.height)
    assert distance(found.fingerprint, pixels.fingerprint(upright)) <= 3


# types of a value; those of 5 and 12 lie elsewhere, here behind the end, with which Pillow opens no JPEG
EXIF = {"JPEG": (1, 2, 3, 7), "PNG": (1, 2, 3, 5, 7, 12), "WEBP": (1, 2, 3, 5, 7, 12)}


@pytest.mark.parametrize("value", [b"\0\0\0\0", b"6\0\0\0", b"\0\x09\0\0", b"\xff\xff\xff\xff"])
@pytest.mark.parametrize(
    ("format", "kind"), [(format, kind) for format, kinds in EXIF.items() for kind in kinds]
)
def test_an_orientation_that_is_none(format, value, kind, encode):
    """Text, bytes, a number that means nothing, EXIF that ends too soon: the picture is taken as it lies."""
    exif = b"Exif\0\0" + struct.pack(">2sHIHHHI4sI", b"MM", 42, 8, 1, 0x0112, kind, 1, value, 0)
    data = encode(format, 5, (640, 480), exif=exif)

    assert (640, 480) == (look(data).width, look(data).height) == pixels.decode(data).size


@pytest.mark.parametrize("size", [(100, 80), (500, 400), (1600, 1200)])
def test_fingerprint(encode, size):
    """That of the small decode hardly differs from that of the whole picture."""
    for seed in range(8):
        data = encode("JPEG", seed, size)
        assert distance(look(data).fingerprint, pixels.fingerprint(pixels.decode(data))) <= 3


def test_any_cut_is_seen(encode):
    """A JPEG that ends early is found out wherever it ends."""
    jpeg = encode("JPEG")
    for end in (*range(4, len(jpeg), 97), len(jpeg) - 1):
        with pytest.raises(Failed, match=r"truncated|decode"):
            look(jpeg[:end])


def test_hostile_bytes(encode):
    """Whatever bytes come, they are a picture or a failure with a class."""
    draw = np.random.default_rng(0)
    for name in ("JPEG", "PNG", "GIF", "WEBP", "BMP"):
        whole = np.frombuffer(encode(name), np.uint8)
        for _ in range(60):
            data = whole.copy()
            at = draw.integers(0, min(len(data), 200), 6)
            data[at] = draw.integers(0, 256, 6)
            with suppress(Failed):
                look(data.tobytes(), 1_000_000)


def test_what_is_none(bodies):
    """Text is told from pictures whatever it is called, and the reason says what it is."""
    with pytest.raises(Failed, match="not_image: HTML"):
        look(b"\xef\xbb\xbf \n" + bodies["html"])
    with pytest.raises(Failed, match="not_image: empty"):
        look(b"")
    with pytest.raises(Failed, match="bomb: png of 3000 x 3000"):
        look(bodies["bomb"], 8_999_999)
    assert "png" == look(bodies["bomb"], 9_000_000).format


def distance(a: bytes, b: bytes) -> int:
    """Return in how many bits two fingerprints differ."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()
