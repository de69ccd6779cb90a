"""Which files are images: the formats that are read, and how their first bytes tell them.

Formats have the names that Pillow gives them, in small letters. Left out are formats that Pillow
draws with other programs (EPS, WMF), those that it does not decode, and those that any text or any
bytes might be. Pillow reads HEIC, JPEG XL, SVG and camera raw files not at all, or only a thumbnail
of them.
"""

import re
from collections.abc import Mapping
from pathlib import Path

SIGNATURES: Mapping[str, bytes] = {  # format -> the regular expression of a file's first bytes
    "jpeg": rb"\xff\xd8\xff",
    "png": rb"\x89PNG\r\n\x1a\n",
    "gif": rb"GIF8[79]a",
    "webp": rb"RIFF.{4}WEBP",
    "bmp": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "tiff": rb"II[*+]\0|MM\0[*+]",
    "avif": rb".{4}ftyp(?:avi[fs]|m(?:if1|sf1|iaf).{4}(?:.{4}){0,8}?avi[fs])",
    "jpeg2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "ppm": rb"P(?:[1-6f]|0CMYK)\s+[#\d]",
    "ico": rb"\0\0\x01\0[^\0]\0",
    "pcx": rb"\n[\0\x02\x03\x05][\0\x01][\x01\x02\x04\x08]",
    "qoi": rb"qoif\0",
    "dds": rb"DDS \x7c\0\0\0",
    "sgi": rb"\x01\xda[\0\x01][\x01\x02]\0[\x01-\x03]",
    "psd": rb"8BPS\0\x01",
    "icns": rb"icns\0",
    "sun": rb"\x59\xa6\x6a\x95",
}
HEAD = 64  # bytes that every signature fits into
IMAGE_SUFFIX = re.compile(
    r"\.(jpe?g|jpe|jfif|a?png|gif|webp|bmp|dib|tiff?|avif|jp2|j2k|jpx|p[bgpnf]m|tga)"
)
RAW_SUFFIX = re.compile(  # of cameras: they begin like a TIFF, which holds a thumbnail
    r"\.(3fr|arw|cr2|dcr|dng|erf|iiq|kdc|mef|mos|nef|nrw|orf|pef|rw2|rwl|sr2|srf|srw)"
)

_signature = re.compile(
    b"|".join(b"(?P<%s>%s)" % (name.encode(), start) for name, start in SIGNATURES.items()),
    re.DOTALL,
)


def recognise_format(head: bytes) -> str | None:
    """Return the format that these first bytes of a file are of; none if it is not an image."""
    match = _signature.match(head)
    return match.lastgroup if match else None


def is_image_file(path: str) -> bool:
    """Return whether a file is an image: it is called like one, or it begins like one.

    A file that is called like an image is one, though it may be damaged: reading it will tell.
    Only other files are opened.

    Raises:
        OSError: the file cannot be read
    """
    if is_image_name(path):
        return True
    if RAW_SUFFIX.fullmatch(suffix_of(path)):
        return False
    with Path(path).open("rb", buffering=0) as file:
        return recognise_format(file.read(HEAD)) is not None


def is_image_name(path: str) -> bool:
    """Return whether a file is called like an image."""
    return IMAGE_SUFFIX.fullmatch(suffix_of(path)) is not None


def suffix_of(path: str) -> str:
    """Return the extension of a file in small letters, with its dot; empty without one."""
    name = path.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return f"{dot}{ending}".lower() if stem else ""
