"""Pixels of any mode become 8-bit RGB."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cnlw_tools.images.pixels import Storage, decode, decode_picture, encode_picture

SHOWN = np.zeros((24, 32), bool)
SHOWN[5:20, 8:28] = True
BLACK_ON_WHITE = np.where(SHOWN, 0, 255)
RAMP = np.tile(np.arange(0, 65536, 1024, np.uint16), (4, 1))  # 64 numbers of 16 bits
RAMP_OF_8_BITS = RAMP // 256


def encoded(image, format, **options):
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(rows, width, bits, color_type, *chunks):
    """Return a PNG that Pillow would not write; rows: of bytes, as they lie in the file."""
    head = struct.pack(">IIBBBBB", width, len(rows), bits, color_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    file = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", head), *chunks, (b"IDAT", pixels), (b"IEND", b"")):
        checksum = zlib.crc32(kind + data)
        file += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
    return file


def tiff(numbers, bits, sample_format=1, extra=b"", photometric=1, byte_order="<"):
    """Return a TIFF of one strip; extra: further tags of 12 bytes, of numbers above 339."""
    data = numbers.tobytes() if isinstance(numbers, np.ndarray) else numbers[0]
    height, width = numbers.shape if isinstance(numbers, np.ndarray) else numbers[1]
    short = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric)]
    long = [(273, 8), (277, 1), (278, height), (279, len(data)), (339, sample_format)]
    tags = b"".join(
        struct.pack(byte_order + "HHII", tag, 4, 1, value) for tag, value in short + long
    )
    n_tags = len(short + long) + len(extra) // 12
    start = b"II*\0" if byte_order == "<" else b"MM\0*"
    directory = struct.pack(byte_order + "H", n_tags) + tags + extra + bytes(4)
    return start + struct.pack(byte_order + "I", 8 + len(data)) + data + directory


def float_tag(tag, value):
    return struct.pack("<HHIf", tag, 11, 1, value)


def grey(data):
    """Return the decoded pixels as one channel, and check that all three are equal."""
    pixels = np.asarray(decode(data)).astype(int)
    assert pixels.shape[2] == 3
    assert (pixels == pixels[:, :, :1]).all()
    return pixels[:, :, 0]


def drawing(mode):
    """Return a black drawing on a clear ground, whose hidden pixels are black too."""
    pixels = np.zeros((*SHOWN.shape, 4), np.uint8)
    pixels[:, :, 3] = SHOWN * 255
    return Image.fromarray(pixels).convert(mode)


def drawing_in_palette():
    """Return the drawing in two colours, which are both black."""
    image = Image.fromarray(SHOWN.astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0] * 2)
    return image


def key_rows(hidden, shown, bits):
    """Return rows of a PNG in two values of so many bits."""
    rows = []
    for line in np.where(SHOWN, shown, hidden):
        digits = "".join(f"{value:0{bits}b}" for value in line)
        rows.append(int(digits, 2).to_bytes(len(digits) // 8))
    return rows


TRANSPARENT = {
    "RGBA": encoded(drawing("RGBA"), "PNG"),
    "LA": encoded(drawing("LA"), "PNG"),
    "WebP": encoded(drawing("RGBA"), "WEBP", lossless=True),
    "TIFF": encoded(drawing("RGBA"), "TIFF"),
    "premultiplied TIFF": encoded(drawing("RGBA"), "TIFF", tiffinfo={338: (1,)}),
    "ICO": encoded(drawing("RGBA"), "ICO", sizes=[(32, 24)]),
    "TGA": encoded(drawing("RGBA"), "TGA"),
    "JPEG 2000": encoded(drawing("RGBA"), "JPEG2000"),
    "palette": encoded(drawing_in_palette(), "PNG", transparency=b"\0\xff"),
    "GIF": encoded(drawing_in_palette(), "GIF", transparency=0),
    "grey of 1 bit": png(key_rows(1, 0, 1), 32, 1, 0, (b"tRNS", b"\0\1")),
    "grey of 2 bits": png(key_rows(2, 0, 2), 32, 2, 0, (b"tRNS", b"\0\2")),
    "grey of 4 bits": png(key_rows(9, 0, 4), 32, 4, 0, (b"tRNS", b"\0\x09")),
    "grey of 8 bits": png(key_rows(9, 0, 8), 32, 8, 0, (b"tRNS", b"\0\x09")),
    "grey of 16 bits": png(key_rows(2570, 0, 16), 32, 16, 0, (b"tRNS", b"\x0a\x0a")),
    "RGB of 8 bits": png(key_rows(0x0A0B0C, 0, 24), 32, 8, 2, (b"tRNS", b"\0\x0a\0\x0b\0\x0c")),
    "RGB of 16 bits": png(
        key_rows(0x0A000B000C00, 0, 48), 32, 16, 2, (b"tRNS", b"\x0a\0\x0b\0\x0c\0")
    ),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_transparent_pixels_are_white(kind):
    """A black drawing on a clear ground becomes black on white, however a file says what is clear."""
    assert (grey(TRANSPARENT[kind]) == BLACK_ON_WHITE).all()


@pytest.mark.parametrize("alpha", [0, 1, 64, 128, 254, 255])
def test_half_transparent(alpha):
    """A colour of opacity a is mixed with white: a times the colour, and (1 - a) times 255."""
    image = Image.new("RGBA", (3, 2), (200, 100, 0, alpha))
    expected = [alpha / 255 * value + (1 - alpha / 255) * 255 for value in (200, 100, 0)]

    assert np.abs(np.asarray(decode(encoded(image, "PNG"))) - expected).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa", "La"])
def test_transparent_pictures_of_sources(mode):
    """Pixels that a source gives are composited on white like those of a file."""
    image = drawing("LA" if mode == "La" else "RGBA").convert(mode)

    assert (np.asarray(decode_picture(image))[:, :, 0] == BLACK_ON_WHITE).all()


DEEP = {
    "PNG": encoded(Image.fromarray(RAMP), "PNG"),
    "TIFF": tiff(RAMP, 16),
    "TIFF, big-endian": tiff(RAMP.astype(">u2"), 16, byte_order=">"),
    "TIFF, white is zero": tiff(65535 - RAMP, 16, photometric=0),
    "TIFF, LZW": encoded(Image.fromarray(RAMP), "TIFF", compression="tiff_lzw"),
    "JPEG 2000": encoded(Image.fromarray(RAMP), "JPEG2000"),
    "PGM": b"P5 64 4 65535\n" + RAMP.astype(">u2").tobytes(),
    "PGM, plain": b"P2 64 4 65535\n" + " ".join(map(str, RAMP.ravel())).encode(),
    "PGM of 1000": b"P5 64 4 1000\n" + np.rint(RAMP / 65.535).astype(">u2").tobytes(),
    "PGM of 100": b"P5 64 4 100\n" + np.rint(RAMP / 655.35).astype("u1").tobytes(),
    "TIFF of floats": encoded(Image.fromarray((RAMP / 65535).astype("f4")), "TIFF"),
    "TIFF of floats, white is zero": tiff(1 - (RAMP / 65535).astype("f4"), 32, 3, photometric=0),
    "TIFF of floats of a range": tiff(
        (RAMP / 100 - 50).astype("f4"), 32, 3, float_tag(340, -50) + float_tag(341, 605.35)
    ),
    "TIFF of 32 bits of a range": tiff(
        RAMP.astype("i4") - 9, 32, 2, float_tag(340, -9) + float_tag(341, 65526)
    ),
    "PFM": b"Pf\n64 4\n-1.0\n" + (RAMP / 65535).astype("<f4").tobytes(),
}
TOLERANCE = {"PGM of 100": 2.55}  # one of its hundred steps


@pytest.mark.parametrize("kind", DEEP)
def test_scaled_by_the_range_of_the_format(kind):
    """Numbers of more than 8 bits, or of another range, are scaled to 0 to 255, not clipped."""
    assert np.abs(grey(DEEP[kind]) - RAMP_OF_8_BITS).max() <= TOLERANCE.get(kind, 1)


def test_twelve_bits():
    """A TIFF of 12 bits is scaled by 4095."""
    values = [0, 0x123, 0x800, 0xFFF]
    data = int("".join(f"{value:03x}" for value in values), 16).to_bytes(6)

    assert grey(tiff((data, (1, 4)), 12)).tolist() == [[value >> 4 for value in values]]


NO_RANGE = {
    "32 bits": tiff(RAMP.astype("u4"), 32),
    "32 bits, signed": tiff(RAMP.astype("i4"), 32, 2),
    "16 bits, signed": tiff(RAMP.astype("i2"), 16, 2),
    "floats above 1": tiff(RAMP.astype("f4"), 32, 3),
    "floats below 0": tiff((RAMP / 65535 - 0.5).astype("f4"), 32, 3),
    "NaN": tiff(np.array([[0, 1, np.nan]], "f4"), 32, 3),
    "infinity": tiff(np.array([[0, 1, np.inf]], "f4"), 32, 3),
}


@pytest.mark.parametrize("kind", NO_RANGE)
def test_no_range(kind):
    """Numbers of which nothing says which is white are an error that says what to do."""
    with pytest.raises(ValueError, match=r"its pixels are numbers .* save it with 8 bits"):
        decode(NO_RANGE[kind])


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV", "LAB", "RGBX"])
def test_other_modes(mode):
    """Grey, palettes, 1 bit, CMYK, YCbCr, HSV and LAB become what Pillow makes of them in RGB."""
    smooth = Image.linear_gradient("L").resize((24, 24))
    image = Image.merge("RGB", [smooth, smooth.rotate(90), smooth.rotate(180)])
    other = Image.merge("LAB", image.split()) if mode == "LAB" else image.convert(mode)

    assert decode_picture(other).mode == "RGB"
    assert decode_picture(other).tobytes() == other.convert("RGB").tobytes()


def test_animations():
    """The first picture of an animation counts."""
    first, second = Image.new("RGB", (8, 8), (9, 99, 199)), Image.new("RGB", (8, 8), (255, 0, 0))
    for format in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(first, format, save_all=True, append_images=[second], lossless=True)
        stored = encode_picture(data, Storage())

        assert decode(data).tobytes() == first.tobytes()
        assert stored == encoded(first, "PNG")


STORED_AS_PNG = {
    **TRANSPARENT,
    **DEEP,
    "GIF": encoded(Image.new("RGB", (8, 8), (1, 2, 3)), "GIF"),
    "grey JPEG": encoded(Image.new("L", (8, 8), 77), "JPEG"),
    "CMYK JPEG": encoded(Image.new("CMYK", (8, 8), (7, 8, 9, 10)), "JPEG"),
    "1 bit": encoded(Image.new("1", (8, 8)), "PNG"),
    "RGB of 16 bits": png([bytes(range(36))] * 2, 6, 16, 2),
    "PPM of 16 bits": b"P6 2 1 65535\n" + bytes(range(12)),
}


@pytest.mark.parametrize("size", [None, "own"])
@pytest.mark.parametrize("kind", STORED_AS_PNG)
def test_stored_as_png(kind, size):
    """What is not one picture in 8-bit RGB is stored as a PNG of its pixels, if not resized."""
    image = decode(STORED_AS_PNG[kind])
    storage = Storage(size and min(image.size), "short")
    stored = encode_picture(STORED_AS_PNG[kind], storage)

    with Image.open(BytesIO(stored)) as opened:
        assert (opened.format, opened.mode, opened.info) == ("PNG", "RGB", {})
        assert opened.tobytes() == image.tobytes()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000"])
def test_stored_as_it_came(format):
    """A file of one picture in 8-bit RGB is stored byte for byte."""
    data = encoded(Image.linear_gradient("L").convert("RGB"), format)

    assert encode_picture(data, Storage()) is data
    assert encode_picture(data, Storage(256)) is data


def test_several_pictures_behind_a_jpeg():
    """A JPEG with a second picture behind the first, as cameras write it, is stored as it came."""
    first, second = Image.new("RGB", (16, 16), (9, 99, 199)), Image.new("RGB", (8, 8))
    data = encoded(first, "MPO", save_all=True, append_images=[second])

    assert encode_picture(data, Storage()) is data
    assert np.abs(np.asarray(decode(data)).astype(int) - (9, 99, 199)).max() <= 3
