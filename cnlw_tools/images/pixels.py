"""Pixels: decode an image, resize it, encode it for a build, and compute its fingerprint.

Every image becomes 8-bit RGB, by one function for builds, checks and the trainer; see `rgb`. The
first picture of an animation counts. A file that holds one picture of 8-bit RGB, and needs no
resizing, is stored with its original bytes; one that holds other pixels becomes PNG. Of resized
images, PNG files and raw pixels become PNG, and every other format becomes JPEG. Shrinking averages
areas; enlarging is bicubic. For a large JPEG that becomes a small square, the decoder itself
averages blocks of 2, 4 or 8 pixels, as long as the result has at least twice the side of the
square.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from operator import gt, itemgetter

import PIL
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError

from cnlw_tools.files.untrusted import error_line
from cnlw_tools.images.jpeg import decode_jpeg
from cnlw_tools.images.png import SIGNATURE, check_png
from cnlw_tools.images.rgb import is_plain_rgb, match_transparency, to_rgb
from cnlw_tools.images.tiff import check_tiff

Picture = bytes | Image.Image  # an encoded file, or pixels where the source holds pixels
DECODER = f"rgb-pillow{PIL.__version__}"  # another name where the same files give other pixels
PROGRAMS = ("EPS", "WMF")  # formats that Pillow draws with the help of other programs
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
FIRST_TURNED = 5  # from this orientation on, width and height change places
PADDING_COLOR = (127, 127, 127)
GRID = 9  # a fingerprint is made from 9 x 9 grey pixels

_object_address = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>")


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
        ValueError: the bytes are not an image, or a part of it is missing
    """
    if isinstance(picture, bytes):
        return _encode_file(picture, storage)
    image = decode_picture(picture)
    if storage.size is not None:
        image = resize(image, storage.size, storage.resize)
    return _encode_png(image)


def decode_picture(picture: Picture) -> Image.Image:
    """Return what a source gives in 8-bit RGB.

    Raises:
        ValueError: the bytes are not an image, or a part of it is missing
    """
    if isinstance(picture, bytes):
        return decode(picture)
    with decoding_errors():
        return to_rgb(picture)


def decode(data: bytes, min_side: int | None = None) -> Image.Image:
    """Decode a file to 8-bit RGB, on white, turned upright as its EXIF orientation says.

    Truncated files are errors; see `jpeg` for the damage to a JPEG that is noticed, and `png`.

    Args:
        data: the content of the file
        min_side: the pixels that each side must keep: a JPEG may be decoded 2, 4 or 8 times smaller

    Raises:
        ValueError: the bytes are not an image, or a part of it is missing
    """
    with decoding_errors(), Image.open(BytesIO(data)) as file:
        image = _decode_file(data, file, min_side)
        return turn_upright(image, read_orientation(file))


def read_format(data: bytes) -> str:
    """Return the format of a file, by the name that Pillow has for it.

    Raises:
        ValueError: the bytes are not an image
    """
    with decoding_errors(), Image.open(BytesIO(data)) as image:
        return image.format or ""


def read_size(data: bytes) -> tuple[int, int]:
    """Return the height and width that a file will have when it is decoded.

    Raises:
        ValueError: the bytes are not an image
    """
    with decoding_errors(), Image.open(BytesIO(data)) as image:
        width, height = image.size
        is_turned = read_orientation(image) >= FIRST_TURNED
        return (width, height) if is_turned else (height, width)


@contextmanager
def decoding_errors() -> Iterator[None]:
    """Turn whatever a decoder raises into one ValueError that says why.

    Errors of the machine, such as too many open files, stay as they are.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"not an image that can be decoded ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """Return what an error says on one line, without addresses in memory."""
    if isinstance(error, UnidentifiedImageError):
        return "damaged, or of no format that Pillow reads"
    return _object_address.sub("the file", error_line(error))


def read_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; missing or invalid EXIF counts as 1, upright."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG)
    except Exception:  # noqa: BLE001, EXIF may be anything, and the pixels do not need it
        return 1
    return int(orientation) if orientation in TRANSPOSITIONS else 1


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Transpose an image as its EXIF orientation says."""
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


def squash(image: Image.Image, width: int, height: int) -> Image.Image:
    """Resize an image to a width and a height, whatever its aspect ratio."""
    return _scale(image, width, height)


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
    """Return what a manifest calls `sha256`, in hex, by which a build can be checked as well.

    It is that of the bytes, if a build without a size stores these, and else of the RGB pixels.

    Raises:
        ValueError: the bytes are not an image, or a part of it is missing
    """
    if not isinstance(picture, bytes):
        return pixel_digest(decode_picture(picture))
    if _may_stay(picture):
        return sha256(picture).hexdigest()
    return pixel_digest(decode(picture))


def has_digest(picture: Picture, digest: str) -> bool:
    """Return whether the bytes of a picture, or its RGB pixels, have this sha256."""
    if isinstance(picture, bytes) and sha256(picture).hexdigest() == digest:
        return True
    try:
        return pixel_digest(decode_picture(picture)) == digest
    except ValueError:  # it is not an image, so not the one that is meant
        return False


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


def _decode_file(data: bytes, file: ImageFile.ImageFile, min_side: int | None) -> Image.Image:
    """Decode a file that is open to RGB, as its pixels lie."""
    if file.format in PROGRAMS:
        raise ValueError(f"{file.format} files are drawings: convert it to PNG")
    if file.format in ("JPEG", "MPO"):
        image = decode_jpeg(data, file, "RGB", min_side)
    else:
        if file.format == "PNG":
            check_png(data)
        if isinstance(file, TiffImagePlugin.TiffImageFile):
            check_tiff(file)
        match_transparency(file)
        file.load()
        image = file
    return to_rgb(image)


def _may_stay(data: bytes) -> bool:
    """Return whether a file may be stored as it came; it is decoded as small as possible."""
    _, is_plain = _decode_to_store(data, min_side=1)
    return is_plain


def _decode_to_store(data: bytes, min_side: int | None) -> tuple[Image.Image, bool]:
    """Decode a file; also return whether it may be stored as it came, if not resized."""
    with decoding_errors(), Image.open(BytesIO(data)) as file:
        is_plain = is_plain_rgb(file)
        image = _decode_file(data, file, min_side)
        is_plain = is_plain and _is_turned_by_all(file)
        return turn_upright(image, read_orientation(file)), is_plain


def _is_turned_by_all(file: Image.Image) -> bool:
    """Return whether other readers, such as `datasets`, can turn a file as its EXIF data say.

    They stop where EXIF data cannot be read, or not be written without the orientation. Pillow
    reads EXIF data once, so nothing may have asked for them before.
    """
    try:
        exif = file.getexif()
        if exif.get(ORIENTATION_TAG) in TRANSPOSITIONS:
            exif.tobytes()
    except Exception:  # noqa: BLE001, EXIF may be anything
        return False
    return True


def _encode_file(data: bytes, storage: Storage) -> bytes:
    """Decode, resize and encode a file, or return it unchanged if nothing needs to change."""
    size = storage.size
    if size is None:
        return data if _may_stay(data) else _encode_png(decode(data))
    min_side = 2 * size if storage.resize == "squash" else None
    image, is_plain = _decode_to_store(data, min_side)
    resized = resize(image, size, storage.resize)
    if resized.size == image.size:
        return data if is_plain else _encode_png(image)
    if data.startswith(SIGNATURE):
        return _encode_png(resized)
    return _encode_jpeg(resized, storage.quality)


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
