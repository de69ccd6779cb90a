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
from typing import NamedTuple

import PIL
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError

from cnlw_tools.files.untrusted import error_line
from cnlw_tools.images.jpeg import PlainJpeg, decode_jpeg
from cnlw_tools.images.png import SIGNATURE, check_png
from cnlw_tools.images.rgb import is_plain_rgb, match_transparency, to_rgb
from cnlw_tools.images.tiff import check_tiff

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
PAIRS = 128  # of these pixels
ZERO = 255  # an index behind the last pixel

_object_address = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>")


@dataclass(frozen=True, slots=True)
class Storage:
    """How images are stored: the same for all configs of a build."""

    size: int | None = None  # pixels of each side; None: keep the size of the original
    resize: str = "squash"  # a rule: squash | crop | pad | short, see `resize`
    quality: int = 95  # the quality of JPEG files
    shard_rows: int = 1000  # images in one file

    @property
    def options(self) -> str:
        """Return the options of `cnlw build` that decide the bytes of an image."""
        if self.size is None:
            return "no --size"
        return f"--size {self.size} --resize {self.resize} --quality {self.quality}"

    @property
    def min_side(self) -> int | None:
        """Return the pixels that each side of a JPEG must keep when it is decoded; none: all."""
        return 2 * self.size if self.size and self.resize == "squash" else None


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """A file as a build of one size stores it, made when its original was fetched."""

    data: bytes
    options: str  # those of the builds that store it; see `Storage.options`
    sha256: str  # of the original, in hex


# an encoded file, pixels where the source holds pixels, or a file that needs no resizing any more
Picture = bytes | Image.Image | KeptPicture


class DecodedFile(NamedTuple):
    """A file that was decoded in order to be stored."""

    image: Image.Image  # 8-bit RGB, turned upright; of a large JPEG, it may be a smaller one
    is_plain: bool  # the file may be stored as it came, if it is not resized


def encode_picture(picture: Picture, storage: Storage) -> bytes:
    """Return the bytes that a build stores for an image: the original ones if nothing changes.

    Raises:
        ValueError: the bytes are not an image, or a part of it is missing; or the image was kept
            for builds of another size or rule
    """
    if isinstance(picture, bytes):
        return _encode_file(picture, storage)
    if isinstance(picture, KeptPicture):
        return _check_kept(picture, storage)
    image = decode_picture(picture)
    if storage.size is not None:
        image = resize(image, storage.size, storage.resize)
    return _encode_png(image)


def decode_picture(picture: Picture) -> Image.Image:
    """Return what a source gives in 8-bit RGB.

    Raises:
        ValueError: the bytes are not an image, or a part of it is missing
    """
    if isinstance(picture, KeptPicture):
        picture = picture.data
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
    width, height = scaled_size(image.width, image.height, size, rule)
    scaled = _scale(image, width, height)
    if rule == "pad":
        return ImageOps.pad(scaled, (size, size), color=PADDING_COLOR)
    if rule == "crop":
        return _crop_middle(scaled, size)
    return scaled


def scaled_size(width: int, height: int, size: int, rule: str) -> tuple[int, int]:
    """Return the width and height to which `resize` scales an image before it cuts or pads it."""
    if rule == "squash":
        return size, size
    side = max(width, height) if rule == "pad" else min(width, height)
    factor = size / side
    return max(1, round(width * factor)), max(1, round(height * factor))


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


def _in_two_bytes(indices: list[int]) -> bytes:
    """Return indices of two bytes each, of which the first is that of a zero; see `fingerprint`."""
    return b"".join(bytes([ZERO, index]) for index in indices)


_first_indices, _second_indices = map(_in_two_bytes, _pixel_pairs())
_highest_values = int.from_bytes(b"\x00\xff" * PAIRS)
_digits = bytes.maketrans(b"\x00\x01", b"01")


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
    """Return whether the bytes of a picture, or its RGB pixels, have this sha256.

    What counts of a picture that was resized when it was fetched is the sha256 of its original.
    """
    if isinstance(picture, KeptPicture):
        return picture.sha256 == digest
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
    pixels = small.tobytes().ljust(ZERO + 1, b"\x00")  # at an index: the pixel, or 0
    first = int.from_bytes(_first_indices.translate(pixels))  # 128 numbers of 16 bits, in one
    second = int.from_bytes(_second_indices.translate(pixels))
    # of each pair, 255 + second - first: its upper byte is 1 if the second is brighter, else 0
    differences = (_highest_values + second - first).to_bytes(2 * PAIRS)
    bits = differences[::2].translate(_digits)
    return int(bits, 2).to_bytes(PAIRS // 8)


def _decode_file(data: bytes, file: ImageFile.ImageFile, min_side: int | None) -> Image.Image:
    """Decode a file that is open to RGB, as its pixels lie."""
    if file.format in PROGRAMS:
        raise ValueError(
            f"{file.format} files are vector drawings, which are not read: convert it to PNG"
        )
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


def decode_to_store(
    data: bytes, file: ImageFile.ImageFile | PlainJpeg, min_side: int | None = None
) -> DecodedFile:
    """Decode a file that is open.

    Args:
        data: the content of the file
        file: the same, opened by Pillow, and nothing has asked for its EXIF data yet; or its head
        min_side: the pixels that each side must keep: a JPEG may be decoded 2, 4 or 8 times smaller

    Raises:
        ValueError: a part of the file is missing
        Exception: whatever a decoder raises; see `decoding_errors`
    """
    if isinstance(file, PlainJpeg):
        return DecodedFile(decode_jpeg(data, file, "RGB", min_side), is_plain=True)
    is_plain = is_plain_rgb(file)
    image = _decode_file(data, file, min_side)
    is_plain = is_plain and _is_turned_by_all(file)
    return DecodedFile(turn_upright(image, read_orientation(file)), is_plain)


def encode_decoded(data: bytes, decoded: DecodedFile, storage: Storage) -> bytes:
    """Return the bytes that a build stores for a file.

    Args:
        data: the content of the file
        decoded: the same, with at least `Storage.min_side` pixels a side
        storage: how the build stores images
    """
    image, is_plain = decoded
    resized = image
    if storage.size is not None:
        resized = resize(image, storage.size, storage.resize)
    if resized.size == image.size:
        return data if is_plain else _encode_png(image)
    if data.startswith(SIGNATURE):
        return _encode_png(resized)
    return _encode_jpeg(resized, storage.quality)


def _check_kept(picture: KeptPicture, storage: Storage) -> bytes:
    """Return the bytes of a picture that was kept for builds like this one."""
    if picture.options != storage.options:
        raise ValueError(f"it was kept for builds with {picture.options}, not {storage.options}")
    return picture.data


def _may_stay(data: bytes) -> bool:
    """Return whether a file may be stored as it came; it is decoded as small as possible."""
    with decoding_errors(), Image.open(BytesIO(data)) as file:
        return decode_to_store(data, file, min_side=1).is_plain


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
    if storage.size is None:
        return data if _may_stay(data) else _encode_png(decode(data))
    with decoding_errors(), Image.open(BytesIO(data)) as file:
        decoded = decode_to_store(data, file, storage.min_side)
    return encode_decoded(data, decoded, storage)


def _crop_middle(image: Image.Image, size: int) -> Image.Image:
    left = (image.width - size) // 2
    top = (image.height - size) // 2
    right = left + size
    bottom = top + size
    return image.crop((left, top, right, bottom))


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
    """Return what `Image.save` writes: in half the time, if there is no comment to write."""
    if not image.info.get("comment"):
        return image.tobytes("jpeg", image.mode, quality)
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
