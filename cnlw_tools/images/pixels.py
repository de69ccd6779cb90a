"""Pixels: decode an image, resize it, encode it for a build, and compute its fingerprint.

An image that needs no resizing is stored with its original bytes. Otherwise PNG files and raw
pixels become PNG, and every other format becomes JPEG. Shrinking averages areas; enlarging is
bicubic. For a large JPEG that becomes a small square, the decoder itself averages blocks of 2, 4 or
8 pixels, as long as the result has at least twice the side of the square.
"""

from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from operator import gt, itemgetter

from PIL import Image, ImageOps, UnidentifiedImageError

Picture = bytes | Image.Image  # an encoded file, or pixels where the source holds pixels
DECODING_ERRORS = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    OSError,
    SyntaxError,
)
PNG_SIGNATURE = b"\x89PNG"
ORIENTATION_TAG = 0x0112  # the EXIF tag
TRANSPOSITIONS = {  # EXIF orientation -> the transposition that turns the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
PADDING_COLOR = (127, 127, 127)
GRID = 9  # a fingerprint is made from 9 x 9 grey pixels


@dataclass(frozen=True, slots=True)
class Storage:
    """How images are stored: the same for all configs of a build."""

    size: int | None = None  # pixels of each side; None: keep the size of the original
    resize: str = "squash"  # a rule: squash | crop | pad | short, see `resize`
    quality: int = 95  # the quality of JPEG files
    shard_rows: int = 1000  # images in one file


def encode_picture(picture: Picture, storage: Storage) -> bytes:
    """Return the bytes that a build stores for an image: the original ones if nothing changes.

    Raises:
        ValueError: the bytes are not an image, or the image is truncated
    """
    if isinstance(picture, bytes):
        return _encode_file(picture, storage)
    if storage.size is not None:
        picture = resize(picture, storage.size, storage.resize)
    return _encode_png(picture)


def decode(data: bytes, min_side: int | None = None) -> Image.Image:
    """Decode a file to RGB, turned upright as its EXIF orientation says.

    Args:
        data: the content of the file
        min_side: the pixels that each side must keep: a JPEG may be decoded 2, 4 or 8 times smaller

    Raises:
        ValueError: the bytes are not an image, or the image is truncated
    """
    try:
        with Image.open(BytesIO(data)) as image:
            if min_side:
                image.draft(image.mode, (min_side, min_side))
            image.load()
            return _to_rgb(apply_orientation(image))
    except DECODING_ERRORS as error:
        raise ValueError(f"not an image that can be decoded ({error})") from error


def read_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; missing or invalid EXIF counts as 1, upright."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG)
    except Exception:  # noqa: BLE001, EXIF may be anything, and the pixels do not need it
        return 1
    return int(orientation) if orientation in TRANSPOSITIONS else 1


def apply_orientation(image: Image.Image) -> Image.Image:
    """Turn an image upright, as its EXIF orientation says."""
    orientation = read_orientation(image)
    if orientation == 1:
        return image
    transposition = TRANSPOSITIONS[orientation]
    return image.transpose(transposition)


def resize(image: Image.Image, size: int, rule: str) -> Image.Image:
    """Resize an image by a rule.

    squash: to size x size, whatever the aspect ratio
    crop:   the shorter side to ``size``, then cut out the square in the middle
    pad:    the longer side to ``size``, then add grey bars to make a square
    short:  the shorter side to ``size``; the image need not be square
    """
    if rule == "squash":
        return _scale(image, size, size)
    if rule == "pad":
        longer_side = max(image.size)
        image = _scale_by(image, size / longer_side)
        return ImageOps.pad(image, (size, size), color=PADDING_COLOR)
    shorter_side = min(image.size)
    image = _scale_by(image, size / shorter_side)
    if rule == "crop":
        return _crop_middle(image, size)
    return image


def _pixel_pairs() -> tuple[list[int], list[int]]:
    """Return the 128 pairs of neighbouring pixels that a fingerprint compares, in its order.

    All horizontal neighbours come first, then all vertical ones. Each of the four quarters of a
    fingerprint takes every fourth pair, so that each quarter has pairs of both kinds.
    """
    first = []
    second = []
    for step in (1, GRID):
        for y in range(GRID - 1):
            for x in range(GRID - 1):
                pixel = GRID * y + x
                first.append(pixel)
                second.append(pixel + step)
    quartered_first = []
    quartered_second = []
    for quarter in range(4):
        quartered_first += first[quarter::4]
        quartered_second += second[quarter::4]
    return quartered_first, quartered_second


_first_indices, _second_indices = _pixel_pairs()
_first_pixels = itemgetter(*_first_indices)
_second_pixels = itemgetter(*_second_indices)


def pixel_digest(image: Image.Image) -> str:
    """Return the sha256 of the RGB pixels, row by row, in hex."""
    pixels = image.convert("RGB").tobytes()
    return sha256(pixels).hexdigest()


def picture_digest(picture: Picture) -> str:
    """Return what a manifest calls `sha256`: of the bytes of a file, or else of the RGB pixels."""
    return sha256(picture).hexdigest() if isinstance(picture, bytes) else pixel_digest(picture)


def fingerprint(image: Image.Image) -> bytes:
    """Return 16 bytes that hardly change when an image is encoded again or resized.

    The image is shrunk to 9 x 9 grey pixels. Each of the 128 bits says whether a pixel is darker
    than its right or lower neighbour.
    """
    grey = image if image.mode == "L" else image.convert("L")
    small = grey.resize((GRID, GRID), Image.Resampling.BOX)
    pixels = small.tobytes()
    first = _first_pixels(pixels)
    second = _second_pixels(pixels)
    bits = bytes(map(gt, second, first))  # 128 bytes of 0 or 1
    binary_digits = bits.hex()[1::2]  # the second hex digit of each byte
    number = int(binary_digits, 2)
    return number.to_bytes(16, "big")


def _encode_file(data: bytes, storage: Storage) -> bytes:
    """Decode, resize and encode an image file, or return it unchanged if its size is right."""
    size = storage.size
    if size is None:
        decode(data)  # raises an error if the file is not an image
        return data
    min_side = 2 * size if storage.resize == "squash" else None
    image = decode(data, min_side)
    resized = resize(image, size, storage.resize)
    if resized.size == image.size:
        return data
    if data.startswith(PNG_SIGNATURE):
        return _encode_png(resized)
    return _encode_jpeg(resized, storage.quality)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image  # `convert` would copy, which costs as much as decoding
    if image.mode.startswith("I;16"):
        image = _to_8_bits(image)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns if such a palette becomes RGB in one step
    return image.convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Keep the upper 8 of 16 bits; Pillow would clip all values above 255 instead."""
    import numpy as np  # rarely needed; processes that fetch start faster without it

    pixels = np.asarray(image) >> 8
    return Image.fromarray(pixels.astype(np.uint8))


def _crop_middle(image: Image.Image, size: int) -> Image.Image:
    left = (image.width - size) // 2
    top = (image.height - size) // 2
    right = left + size
    bottom = top + size
    return image.crop((left, top, right, bottom))


def _scale_by(image: Image.Image, factor: float) -> Image.Image:
    width = round(image.width * factor)
    height = round(image.height * factor)
    return _scale(image, max(1, width), max(1, height))


def _scale(image: Image.Image, width: int, height: int) -> Image.Image:
    if width <= image.width and height <= image.height:
        method = Image.Resampling.BOX
    else:
        method = Image.Resampling.BICUBIC
    return image.resize((width, height), method)


def _encode_png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _encode_jpeg(image: Image.Image, quality: int) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
