"""Pixels: how an image is stored, and how two are compared.

An image that needs no resize is stored as it came. Pixels and PNG become PNG, anything else that has to
be encoded again becomes JPEG. Shrinking averages areas, enlarging is bicubic. Of a JPEG of which a small square is
made the decoder averages the first factor of 2, 4 or 8, as far as twice the square is left.
"""

from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from operator import gt, itemgetter

from PIL import Image, ImageOps, UnidentifiedImageError

Picture = bytes | Image.Image  # an encoded file as it came, or pixels where the source holds pixels
# endings of image files
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"})
ORIENTATION = 0x0112  # the tag of EXIF
TURNS = {  # what brings a picture into the way up that it is meant to be seen, by orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
GREY = (127, 127, 127)  # what `pad` pads with
# Pixels of 9 x 9 that a fingerprint compares: across, then down; each quarter of it takes every fourth pair.
_PAIRS = [(9 * y + x, 9 * y + x + step) for step in (1, 9) for y in range(8) for x in range(8)]
_FROM, _TO = (
    itemgetter(*pixels) for pixels in zip(*(p for q in range(4) for p in _PAIRS[q::4]), strict=True)
)


@dataclass(frozen=True, slots=True)
class Storage:
    """How images are stored: the same for all configs of a build."""

    size: int | None = None  # pixels of the side; none: as the image came
    resize: str = "squash"  # to size x size | crop: the middle | pad: the whole, on grey | short: the shorter side
    quality: int = 95  # of JPEG
    shard_rows: int = 1000  # images of one file


def encode_picture(picture: Picture, how: Storage) -> bytes:
    """Return the file that a build holds for an image.

    Raises:
        ValueError: the bytes are no image, or a truncated one
    """
    least = 2 * how.size if how.size and how.resize == "squash" else None
    image = decode(picture, least) if isinstance(picture, bytes) else picture
    if how.size is None and isinstance(picture, bytes):
        return picture
    lossless = not isinstance(picture, bytes) or picture.startswith(b"\x89PNG")
    if how.size is not None:
        came, image = image.size, resize(image, how.size, how.resize)
        if isinstance(picture, bytes) and image.size == came:
            return picture
    out = BytesIO()
    if lossless:
        image.save(out, "PNG")
    else:
        image.save(out, "JPEG", quality=how.quality)
    return out.getvalue()


def decode(data: bytes, least: int | None = None) -> Image.Image:
    """Decode a file to RGB, the way up that it is meant to be seen.

    Args:
        data: the file
        least: pixels of both sides that are enough; a JPEG may come smaller than it is, by 2, 4 or 8

    Raises:
        ValueError: the bytes are no image, or a truncated one
    """
    try:
        with Image.open(BytesIO(data)) as image:
            if least:
                image.draft(image.mode, (least, least))
            image.load()
            upright = apply_orientation(image)
            if upright.mode.startswith(
                "I;16"
            ):  # of which Pillow would keep the lowest values and clip the rest
                import numpy as np  # rare; processes that fetch begin sooner without

                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            clear = (
                upright.mode == "P" and "transparency" in upright.info
            )  # Pillow wants two steps from there
            upright = upright.convert("RGBA") if clear else upright
            return (
                upright if upright.mode == "RGB" else upright.convert("RGB")
            )  # a copy costs as much as decoding
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not an image that can be decoded ({error})") from error


def read_orientation(image: Image.Image) -> int:
    """Return 1 to 8, as EXIF numbers them; what it cannot mean, or EXIF that cannot be read, is 1: as it lies."""
    try:
        said = image.getexif().get(ORIENTATION)
    except Exception:  # noqa: BLE001, strangers write it, and the decoder of pixels never looks at it
        return 1
    return int(said) if said in TURNS else 1


def apply_orientation(image: Image.Image) -> Image.Image:
    """Turn a picture the way up that it is meant to be seen."""
    turn = read_orientation(image)
    return image if turn == 1 else image.transpose(TURNS[turn])


def resize(image: Image.Image, size: int, how: str) -> Image.Image:
    """Resize by one of the four rules of `Storage`."""
    box = (size, size)
    if how == "squash":
        return _scaled(image, box)
    scale = size / (max if how == "pad" else min)(image.size)
    whole = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = _scaled(image, whole)
    if how == "crop":
        left, top = (whole[0] - size) // 2, (whole[1] - size) // 2
        return image.crop((left, top, left + size, top + size))
    return ImageOps.pad(image, box, color=GREY) if how == "pad" else image


def pixel_digest(image: Image.Image) -> str:
    """Return the sha256 of the RGB pixels, row by row."""
    return sha256(image.convert("RGB").tobytes()).hexdigest()


def fingerprint(image: Image.Image) -> bytes:
    """Return 16 bytes that hardly change when an image is encoded again: signs of its 8 x 8 gradients, both ways."""
    grey = image if image.mode == "L" else image.convert("L")
    small = grey.resize((9, 9), Image.Resampling.BOX).tobytes()
    bits = bytes(map(gt, _TO(small), _FROM(small)))
    return int(bits.hex()[1::2], 2).to_bytes(
        16, "big"
    )  # of a byte 0 or 1 the second digit is the bit


def _scaled(image: Image.Image, to: tuple[int, int]) -> Image.Image:
    shrinks = to[0] <= image.width and to[1] <= image.height
    return image.resize(to, Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC)
