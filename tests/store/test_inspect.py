"""The body of a response is inspected by its content."""

import io
import struct
from contextlib import suppress
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from cnlw_tools.images import pixels
from cnlw_tools.images.pixels import Storage
from cnlw_tools.store import inspect
from cnlw_tools.store.inspect import inspect_image
from cnlw_tools.store.outcomes import FetchError

FORMATS = [  # a build reads them too
    "JPEG",
    "PNG",
    "GIF",
    "WEBP",
    "BMP",
    "TIFF",
    "AVIF",
    "JPEG2000",
    "PPM",
    "PCX",
    "SGI",
    "DDS",
]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (640, 480)])
def test_size_format_and_hash(encode, name, size):
    """A still picture of a supported format is recognised, whatever its size."""
    data = encode(name, 3, size)

    inspection = inspect_image(data)

    assert (name.lower(), size) == (inspection.format, (inspection.width, inspection.height))
    assert sha256(data).hexdigest() == inspection.sha256


KEPT_SIZES = [(1, 1), (7, 300), (64, 64), (340, 350), (375, 500), (800, 600)]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rule", ["squash", "crop", "pad", "short"])
def test_the_file_to_keep(encode, name, rule):
    """It has the bytes that a build makes of the original, and nothing else changes."""
    keep = Storage(64, rule, 90)
    for size in KEPT_SIZES if name == "JPEG" else KEPT_SIZES[1:3]:
        data = encode(name, 3, size)

        inspection = inspect_image(data, keep=keep)

        kept = inspection.kept
        assert pixels.encode_picture(data, keep) == kept.data
        assert Image.open(io.BytesIO(kept.data)).format.lower() == kept.format
        plain = inspect_image(data)
        assert plain == inspection._replace(kept=None, fingerprint=plain.fingerprint)
        assert differing_bits(plain.fingerprint, inspection.fingerprint) <= 3


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_file_to_keep_is_upright(encode, orientation):
    """What an EXIF orientation says holds for the file and for the fingerprint."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode("JPEG", 5, (375, 500), exif=exif)

    inspection = inspect_image(data, keep=Storage(84))

    assert pixels.encode_picture(data, Storage(84)) == inspection.kept.data
    assert inspect_image(data).fingerprint == inspection.fingerprint  # decoded again, in grey


@pytest.mark.parametrize("options", [{}, {"progressive": True, "comment": b"a comment"}])
def test_damaged_heads(encode, monkeypatch, options):
    """A damaged head of a JPEG has the same outcome, reason and file as if Pillow had read it."""
    data = encode("JPEG", 3, (120, 90), **options)
    rng = np.random.default_rng(0)
    n_plain = 0
    for _ in range(150):
        damaged = bytearray(data)
        position = int(rng.integers(3, data.index(b"\xff\xda") + 14))
        damaged[position] = int(rng.integers(256))
        n_plain += inspect.read_plain_head(bytes(damaged)) is not None
        result = outcome_of(bytes(damaged))
        with monkeypatch.context() as patch:
            patch.setattr(inspect, "read_plain_head", lambda data: None)
            assert outcome_of(bytes(damaged)) == result
    assert 50 < n_plain


def outcome_of(data):
    try:
        return inspect_image(data, keep=Storage(32))
    except FetchError as error:
        return str(error)


def test_a_thin_picture_that_would_become_huge(encode):
    """It is refused before it is decoded; by rules that do not enlarge it, it is kept."""
    data = encode("PNG", 0, (1, 3000))

    with pytest.raises(FetchError, match="become 84 x 252000 when they are resized") as caught:
        inspect_image(data, max_pixels=20_000_000, keep=Storage(84, "crop"))
    assert "bomb" == caught.value.outcome
    assert inspect_image(data, max_pixels=20_000_000, keep=Storage(84, "pad")).kept


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "LA", "1", "I;16"])
def test_modes(mode):
    """Images are accepted in grey, CMYK, with palettes, with transparency and with 16 bits."""
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    image = (
        Image.fromarray(pixels).convert("L").convert(mode)
        if mode == "I;16"
        else Image.fromarray(pixels).convert(mode)
    )
    image.save(out, "JPEG" if mode == "CMYK" else "PNG")

    assert (50, 40) == (inspect_image(out.getvalue()).width, inspect_image(out.getvalue()).height)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations(encode, orientation):
    """Width, height and fingerprint are those of the picture turned upright."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode("JPEG", 5, (640, 480), exif=exif)

    inspection, upright = inspect_image(data), pixels.decode(data)

    assert upright.size == (inspection.width, inspection.height)
    assert differing_bits(inspection.fingerprint, pixels.fingerprint(upright)) <= 3


# EXIF types. Not for JPEG 5 and 12, whose values are at an offset, here behind the end of the file:
# Pillow does not open such a JPEG.
EXIF = {"JPEG": (1, 2, 3, 7), "PNG": (1, 2, 3, 5, 7, 12), "WEBP": (1, 2, 3, 5, 7, 12)}


@pytest.mark.parametrize("value", [b"\0\0\0\0", b"6\0\0\0", b"\0\x09\0\0", b"\xff\xff\xff\xff"])
@pytest.mark.parametrize(
    ("format", "exif_type"),
    [(format, exif_type) for format, exif_types in EXIF.items() for exif_type in exif_types],
)
def test_invalid_orientation(format, value, exif_type, encode):
    """An orientation that is a text, an invalid number or incomplete EXIF is ignored."""
    exif = b"Exif\0\0" + struct.pack(
        ">2sHIHHHI4sI", b"MM", 42, 8, 1, 0x0112, exif_type, 1, value, 0
    )
    data = encode(format, 5, (640, 480), exif=exif)

    assert (
        (640, 480)
        == (inspect_image(data).width, inspect_image(data).height)
        == pixels.decode(data).size
    )


@pytest.mark.parametrize("size", [(100, 80), (500, 400), (1600, 1200)])
def test_fingerprint(encode, size):
    """The fingerprint of the reduced picture hardly differs from that of the whole picture."""
    for seed in range(8):
        data = encode("JPEG", seed, size)
        assert (
            differing_bits(inspect_image(data).fingerprint, pixels.fingerprint(pixels.decode(data)))
            <= 3
        )


def test_truncated(encode):
    """A JPEG that ends early is noticed, wherever it ends."""
    jpeg = encode("JPEG")
    for end in (*range(4, len(jpeg), 97), len(jpeg) - 1):
        with pytest.raises(FetchError, match=r"truncated|decode"):
            inspect_image(jpeg[:end])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_jpeg_with_a_hole(encode, options):
    """A JPEG of which a part is missing is not ok, though it ends with an end marker."""
    jpeg = encode("JPEG", 3, (500, 375), **options)
    n = len(jpeg)
    for damaged in (
        jpeg[: n * 3 // 10] + b"\xff\xd9",
        jpeg[: n // 3] + jpeg[n * 2 // 3 :],
        jpeg[: n // 4] + bytes(n // 2) + jpeg[n * 3 // 4 :],
    ):
        with pytest.raises(FetchError, match="truncated"):
            inspect_image(damaged)


def test_a_png_without_its_end(encode):
    """A PNG that lost its last bytes is not ok, though all of its pixels may be there."""
    png = encode("PNG")
    for lost in range(1, 25):
        with pytest.raises(FetchError, match="truncated"):
            inspect_image(png[:-lost])


def test_transparent_pixels_are_white(encode):
    """The fingerprint is that of the picture on white, as a build has it."""
    icon = Image.new("RGBA", (40, 40))
    icon.paste((0, 0, 0, 255), (10, 5, 30, 35))
    on_white = Image.new("RGB", icon.size, "white")
    on_white.paste((0, 0, 0), (10, 5, 30, 35))
    out = io.BytesIO()
    icon.save(out, "PNG")

    assert inspect_image(out.getvalue()).fingerprint == pixels.fingerprint(on_white)


def test_hostile_bytes(encode):
    """Random changes of a file give a picture or a FetchError, never another error."""
    rng = np.random.default_rng(0)
    for name in FORMATS:
        whole = np.frombuffer(encode(name), np.uint8)
        for _ in range(60):
            data = whole.copy()
            positions = rng.integers(0, min(len(data), 200), 6)
            data[positions] = rng.integers(0, 256, 6)
            with suppress(FetchError):
                inspect_image(data.tobytes(), 1_000_000)


def test_not_an_image(bodies):
    """The reason says what a body is instead of an image, or which limit it exceeds."""
    with pytest.raises(FetchError, match="not_image: HTML"):
        inspect_image(b"\xef\xbb\xbf \n" + bodies["html"])
    with pytest.raises(FetchError, match="not_image: empty"):
        inspect_image(b"")
    with pytest.raises(FetchError, match="bomb: png of 3000 x 3000"):
        inspect_image(bodies["bomb"], 8_999_999)
    assert "png" == inspect_image(bodies["bomb"], 9_000_000).format


def test_formats_that_python_decodes():
    """Pictures of formats that take long to decode may have fewer pixels."""
    for size, outcome in (((2001, 2000), "bomb"), ((2000, 2000), "decode|truncated")):
        header = b"qoif" + struct.pack(">IIBB", *size, 3, 0)
        with pytest.raises(FetchError, match=outcome):
            inspect_image(header + bytes(9))


def differing_bits(a: bytes, b: bytes) -> int:
    """Return in how many bits two fingerprints differ."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()
