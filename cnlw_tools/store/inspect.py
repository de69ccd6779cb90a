"""What a body is, by its content: a still picture that can be decoded to its last byte, or not.

Nothing is believed but the bytes: neither the header Content-Type nor the name in the URI. Formats that are not in
the table reach no decoder at all. Of a JPEG only the grey is decoded, and of a large one not at full size: that reads
all of its data, and so finds out where they end, at half the cost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from queue import SimpleQueue

from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin
from PIL import WebPImagePlugin as WebP

from cnlw_tools.executor.local import cores
from cnlw_tools.images import pixels as images
from cnlw_tools.store.outcomes import Failed

PIXELS = 80_000_000  # of one picture, at most; below the number at which Pillow itself warns
SIDEWAYS = 5  # from this orientation on width and height change places
SMALL = 192  # pixels of the shorter side, at least, of what fingerprints are made of: less changes their bits
FORMATS: Mapping[
    str, tuple[bytes, Callable[..., ImageFile.ImageFile]]
] = {  # how a file of it begins, what reads it
    "jpeg": (
        b"\xff\xd8\xff",
        JpegImagePlugin.JpegImageFile,
    ),  # of a phone's several pictures the first
    "png": (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    "gif": (b"GIF8", GifImagePlugin.GifImageFile),
    "webp": (b"RIFF", WebP.WebPImageFile),
    "bmp": (b"BM", BmpImagePlugin.BmpImageFile),
}
OTHERS = {
    b"<!doctype html": "HTML",
    b"<html": "HTML",
    b"<svg": "SVG",
    b"<?xml": "XML or SVG",
    b"%pdf": "PDF",
}

_places: SimpleQueue[int] = (
    SimpleQueue()
)  # more decoders at once would only cost memory; a semaphore costs time
for _place in range(cores()):
    _places.put(_place)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a picture."""

    sha256: str  # of the bytes
    format: str
    width: int  # the way up that it is meant to be seen
    height: int
    fingerprint: bytes  # 16 bytes; see images.fingerprint


def look(data: bytes, pixels: int = PIXELS) -> Look:
    """Decode a body.

    Raises:
        Failed: it is no still picture, not a whole one, or one of too many pixels
    """
    name = _format(data)
    place = _places.get()
    try:
        image = FORMATS[name][1](BytesIO(data), "")
        _still(image, name, pixels)
        width, height = image.size
        turn = images.read_orientation(image)
        small = _small(image) if name == "jpeg" else images.decode(data)
        fingerprint = images.fingerprint(small)
    except Failed:
        raise
    except Exception as error:  # on hostile bytes a decoder may raise anything
        kind = "truncated" if "truncated" in str(error).lower() else "decode"
        raise Failed(kind, f"{name}: {error or type(error).__name__}") from error
    finally:
        _places.put(place)
    size = (height, width) if turn >= SIDEWAYS else (width, height)
    return Look(sha256(data).hexdigest(), name, *size, fingerprint)


def _format(data: bytes) -> str:
    for name, (head, _) in FORMATS.items():
        if data.startswith(head) and (name != "webp" or data[8:12] == b"WEBP"):
            return name
    head = data[:256].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    said = next(
        (name for start, name in OTHERS.items() if head.startswith(start)), "of no known format"
    )
    raise Failed("not_image", said if data else "empty")


def _still(image: ImageFile.ImageFile, name: str, pixels: int) -> None:
    if image.width * image.height > pixels:
        raise Failed(
            "bomb", f"{name} of {image.width} x {image.height} pixels; allowed are {pixels:,}"
        )
    if getattr(image, "is_animated", False):
        raise Failed("animated", f"{name} of several frames")


def _small(image: ImageFile.ImageFile) -> Image.Image:
    """Decode a JPEG to grey, as small as a fingerprint allows."""
    image.draft("L", (min(SMALL, image.width), min(SMALL, image.height)))
    return images.apply_orientation(image)
