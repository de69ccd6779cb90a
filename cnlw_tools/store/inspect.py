"""Inspecting the body of a response: it must be a still picture that decodes completely.

Only the content counts, not the header Content-Type and not the name in the URI. Bytes that start
like none of the formats of `images.formats` never reach a decoder. Of a JPEG, only the grey channel
is decoded, and a large JPEG at reduced size, at half the cost: this reads all of its data, so it is
noticed if a part is missing. `images.jpeg` and `images.png` say which damage is noticed.

Where a picture is to be kept as a build stores it, it is decoded in colour, and both its file and
its fingerprint are made of these pixels. A JPEG is decoded once more, in grey, if it was decoded
too small for a fingerprint.
"""

from hashlib import sha256
from io import BytesIO
from queue import SimpleQueue
from typing import NamedTuple

from PIL import Image, ImageFile, JpegImagePlugin

from cnlw_tools.executor.limits import cores
from cnlw_tools.files.machine_faults import find_fault
from cnlw_tools.images import pixels
from cnlw_tools.images.formats import HEAD, recognise_format
from cnlw_tools.images.jpeg import PlainJpeg, choose_scale, decode_jpeg, read_plain_head
from cnlw_tools.images.pixels import Storage
from cnlw_tools.images.rgb import to_rgb
from cnlw_tools.store.memory import MemoryBudget
from cnlw_tools.store.outcomes import FetchError

MAX_PIXELS = 80_000_000  # of one picture; below the number at which Pillow warns
PYTHON_FORMATS = frozenset({"dds", "ppm", "qoi", "sgi"})  # decoded by Python, not by C
MAX_PYTHON_PIXELS = 4_000_000  # of a picture of these; they take a second or so
LARGE = 1_000_000  # pixels from which on the memory of a picture counts
BYTES_PER_PIXEL = 8  # 4 as they are in the file, and 4 in RGB
PICTURE_BYTES = BYTES_PER_PIXEL * MAX_PIXELS  # of all large pictures together: one of the largest
PICTURE_MEMORY = MemoryBudget(PICTURE_BYTES)  # of this process
FIRST_SIDEWAYS = 5  # from this EXIF orientation on, width and height are swapped
FINGERPRINT_SIDE = 192  # pixels; a fingerprint made from a smaller picture would differ
TEXT_HEAD = 256  # bytes in which other formats are recognised
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
OTHER_FORMATS = {  # start of a file in lower case -> what it is
    b"<!doctype html": "HTML",
    b"<html": "HTML",
    b"<svg": "SVG",
    b"<?xml": "XML or SVG",
    b"%pdf": "PDF",
}

Head = ImageFile.ImageFile | PlainJpeg  # of a file that is not decoded yet

# As many threads may decode at once as there are cores: more would only need more memory. A queue
# of tokens is faster than a semaphore.
_decoder_tokens: SimpleQueue[int] = SimpleQueue()
for _token in range(cores()):
    _decoder_tokens.put(_token)


class Inspection(NamedTuple):
    """What was found out about a picture."""

    sha256: str  # of the bytes, in hex
    format: str
    width: int  # of the picture turned upright
    height: int
    fingerprint: bytes  # 16 bytes; see `pixels.fingerprint`
    kept: "KeptFile | None" = None  # what a build stores for it, where that was asked for


class KeptFile(NamedTuple):
    """The file that builds of one size store for a picture."""

    data: bytes
    format: str
    options: str  # of these builds; see `Storage.options`


def inspect_image(
    data: bytes,
    max_pixels: int = MAX_PIXELS,
    memory: MemoryBudget | None = None,
    keep: Storage | None = None,
) -> Inspection:
    """Decode a body, and return what it is.

    Args:
        data: the body
        max_pixels: of the picture
        memory: of which large pictures borrow what their decoding takes; by default that of this
            process
        keep: also return the file of a build that stores images like this

    Raises:
        FetchError: it is not a still picture, it is not complete, or it has too many pixels
        MachineFault: this machine has no memory left, or no more open files
    """
    format_name = recognise_format(data[:HEAD])
    if format_name is None:
        raise FetchError("not_image", _describe_other(data))
    try:
        image = _read_head(data, format_name)
        _check_size_and_frames(image, format_name, max_pixels)
        if keep is not None:
            _check_scaled_size(image, keep, max_pixels)
        with (memory or PICTURE_MEMORY).borrow(_count_bytes(image, keep)):
            picture = _decode(data, image, keep)
    except FetchError:
        raise
    except Exception as error:  # on hostile bytes a decoder may raise anything
        if fault := find_fault(error):
            raise fault from error
        text = str(error) or type(error).__name__
        outcome = "truncated" if "truncated" in text.lower() else "decode"
        raise FetchError(outcome, f"{format_name}: {text}") from error
    return Inspection(sha256(data).hexdigest(), format_name, *picture)


def _read_head(data: bytes, format_name: str) -> Head:
    """Read the head of a file; Pillow does, unless it is that of a plain JPEG."""
    if format_name == "jpeg" and (head := read_plain_head(data)):
        return head
    return _open(data, format_name)


def _count_bytes(image: Head, keep: Storage | None) -> int:
    """Return the bytes that decoding a large picture takes; of a small one they do not count.

    A JPEG that is not progressive takes no more than its pixels, and is decoded small if it may be.
    """
    n_pixels = image.width * image.height
    if image.format == "JPEG" and "progressive" not in image.info:
        if keep is None:
            return 0
        n_pixels //= choose_scale(image, keep.min_side) ** 2
    if keep is not None:
        width, height = _scaled_size(image, keep)
        n_pixels = max(n_pixels, width * height)
    return 0 if n_pixels < LARGE else BYTES_PER_PIXEL * n_pixels


def _decode(
    data: bytes, image: Head, keep: Storage | None
) -> tuple[int, int, bytes, KeptFile | None]:
    """Return width and height of a picture that is turned upright, fingerprint, and file to keep.

    Args:
        data: the content of the file
        image: the head of the same
        keep: how the file to keep is made; None: there is none
    """
    token = _decoder_tokens.get()
    try:
        if image.format != "JPEG":
            return _decode_other(data, keep)
        width, height = image.size
        if keep is None:
            orientation = _read_orientation(image)
            small = _decode_small(data, image, orientation)
            kept = None
        else:
            decoded = pixels.decode_to_store(data, image, keep.min_side)
            orientation = _read_orientation(image)
            kept = _make_kept_file(data, decoded, keep)
            small = decoded.image
            if min(small.size) < min(FINGERPRINT_SIDE, width, height):
                small = _decode_small(data, _open(data, "jpeg"), orientation)
        fingerprint = pixels.fingerprint(small)
    finally:
        _decoder_tokens.put(token)
    if orientation >= FIRST_SIDEWAYS:
        width, height = height, width
    return width, height, fingerprint, kept


def _decode_other(data: bytes, keep: Storage | None) -> tuple[int, int, bytes, KeptFile | None]:
    """Decode a picture that is not a JPEG, and return what `_decode` does."""
    kept = None
    if keep is None:
        picture = pixels.decode(data)
    else:
        with pixels.decoding_errors(), Image.open(BytesIO(data)) as file:
            decoded = pixels.decode_to_store(data, file)
        kept = _make_kept_file(data, decoded, keep)
        picture = decoded.image
    return picture.width, picture.height, pixels.fingerprint(picture), kept


def _make_kept_file(data: bytes, decoded: pixels.DecodedFile, keep: Storage) -> KeptFile:
    """Return the file that builds store for a picture: PNG, JPEG, or what came."""
    file = pixels.encode_decoded(data, decoded, keep)
    return KeptFile(file, str(recognise_format(file[:HEAD])), keep.options)


def _read_orientation(image: Head) -> int:
    return 1 if isinstance(image, PlainJpeg) else pixels.read_orientation(image)


def _open(data: bytes, format_name: str) -> ImageFile.ImageFile:
    """Read the header of a file with the decoder of its format; of a JPEG, the first picture."""
    if format_name == "jpeg":
        return JpegImagePlugin.JpegImageFile(BytesIO(data), "")
    Image.init()
    decoder, _ = Image.OPEN[format_name.upper()]
    return decoder(BytesIO(data), "")


def _describe_other(data: bytes) -> str:
    """Say what a body is if not an image."""
    if not data:
        return "empty"
    head = data[:TEXT_HEAD].removeprefix(BYTE_ORDER_MARK).lstrip().lower()
    for start, description in OTHER_FORMATS.items():
        if head.startswith(start):
            return description
    return "of an unknown format"


def _check_size_and_frames(image: Head, format_name: str, max_pixels: int) -> None:
    if format_name in PYTHON_FORMATS:
        max_pixels = min(max_pixels, MAX_PYTHON_PIXELS)
    if image.width * image.height > max_pixels:
        raise FetchError(
            "bomb",
            f"{format_name} of {image.width} x {image.height} pixels; {max_pixels:,} are allowed",
        )
    if getattr(image, "is_animated", False):
        raise FetchError("animated", f"{format_name} with several frames")


def _check_scaled_size(image: Head, keep: Storage, max_pixels: int) -> None:
    """Raise an error if a long and thin picture becomes huge when its shorter side is enlarged."""
    width, height = _scaled_size(image, keep)
    if width * height > max_pixels:
        raise FetchError(
            "bomb",
            f"{image.width} x {image.height} pixels, which become {width} x {height} when they are "
            f"resized; {max_pixels:,} are allowed",
        )


def _scaled_size(image: Head, keep: Storage) -> tuple[int, int]:
    if keep.size is None:
        return image.size
    return pixels.scaled_size(image.width, image.height, keep.size, keep.resize)


def _decode_small(data: bytes, image: Head, orientation: int) -> Image.Image:
    """Decode a JPEG, as small as a fingerprint allows, and turn it upright.

    One in colour is decoded to grey pixels.
    """
    decoded = decode_jpeg(data, image, "L", FINGERPRINT_SIDE)
    if decoded.mode != "L":
        decoded = to_rgb(decoded)
    return pixels.turn_upright(decoded, orientation)
