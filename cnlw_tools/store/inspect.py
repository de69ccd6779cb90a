"""Inspecting the body of a response: it must be a still picture that decodes completely.

Only the content counts, not the header Content-Type and not the name in the URI. Bytes that start
like none of the formats of `images.formats` never reach a decoder. Of a JPEG, only the grey channel
is decoded, and a large JPEG at reduced size, at half the cost: this reads all of its data, so it is
noticed if a part is missing. `images.jpeg` and `images.png` say which damage is noticed.
"""

from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from queue import SimpleQueue

from PIL import Image, ImageFile, JpegImagePlugin

from cnlw_tools.executor.limits import cores
from cnlw_tools.files.machine_faults import find_fault
from cnlw_tools.images import pixels
from cnlw_tools.images.formats import HEAD, recognise_format
from cnlw_tools.images.jpeg import decode_jpeg
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

# As many threads may decode at once as there are cores: more would only need more memory. A queue
# of tokens is faster than a semaphore.
_decoder_tokens: SimpleQueue[int] = SimpleQueue()
for _token in range(cores()):
    _decoder_tokens.put(_token)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found out about a picture."""

    sha256: str  # of the bytes, in hex
    format: str
    width: int  # of the picture turned upright
    height: int
    fingerprint: bytes  # 16 bytes; see `pixels.fingerprint`


def inspect_image(
    data: bytes, max_pixels: int = MAX_PIXELS, memory: MemoryBudget | None = None
) -> Inspection:
    """Decode a body, and return what it is.

    Args:
        data: the body
        max_pixels: of the picture
        memory: of which large pictures borrow what their decoding takes; by default that of this
            process

    Raises:
        FetchError: it is not a still picture, it is not complete, or it has too many pixels
        MachineFault: this machine has no memory left, or no more open files
    """
    format_name = recognise_format(data[:HEAD])
    if format_name is None:
        raise FetchError("not_image", _describe_other(data))
    try:
        image = _open(data, format_name)
        _check_size_and_frames(image, format_name, max_pixels)
        with (memory or PICTURE_MEMORY).borrow(_count_bytes(image)):
            picture = _decode(data, image)
    except FetchError:
        raise
    except Exception as error:  # on hostile bytes a decoder may raise anything
        if fault := find_fault(error):
            raise fault from error
        text = str(error) or type(error).__name__
        outcome = "truncated" if "truncated" in text.lower() else "decode"
        raise FetchError(outcome, f"{format_name}: {text}") from error
    return Inspection(sha256(data).hexdigest(), format_name, *picture)


def _count_bytes(image: ImageFile.ImageFile) -> int:
    """Return the bytes that decoding a large picture takes; of a small one they do not count.

    A JPEG that is not progressive is decoded small, so it takes hardly any.
    """
    n_pixels = image.width * image.height
    if n_pixels < LARGE or (image.format == "JPEG" and "progressive" not in image.info):
        return 0
    return BYTES_PER_PIXEL * n_pixels


def _decode(data: bytes, image: ImageFile.ImageFile) -> tuple[int, int, bytes]:
    """Return width and height of a picture that is turned upright, and its fingerprint.

    Args:
        data: the content of the file
        image: the same, opened but not decoded
    """
    token = _decoder_tokens.get()
    try:
        if image.format != "JPEG":
            decoded = pixels.decode(data)
            return decoded.width, decoded.height, pixels.fingerprint(decoded)
        width, height = image.size
        orientation = pixels.read_orientation(image)
        fingerprint = pixels.fingerprint(_decode_small(data, image, orientation))
    finally:
        _decoder_tokens.put(token)
    if orientation >= FIRST_SIDEWAYS:
        width, height = height, width
    return width, height, fingerprint


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


def _check_size_and_frames(image: ImageFile.ImageFile, format_name: str, max_pixels: int) -> None:
    if format_name in PYTHON_FORMATS:
        max_pixels = min(max_pixels, MAX_PYTHON_PIXELS)
    if image.width * image.height > max_pixels:
        raise FetchError(
            "bomb",
            f"{format_name} of {image.width} x {image.height} pixels; {max_pixels:,} are allowed",
        )
    if getattr(image, "is_animated", False):
        raise FetchError("animated", f"{format_name} with several frames")


def _decode_small(data: bytes, image: ImageFile.ImageFile, orientation: int) -> Image.Image:
    """Decode a JPEG, as small as a fingerprint allows, and turn it upright.

    One in colour is decoded to grey pixels.
    """
    decoded = decode_jpeg(data, image, "L", FINGERPRINT_SIDE)
    if decoded.mode != "L":
        decoded = to_rgb(decoded)
    return pixels.turn_upright(decoded, orientation)
