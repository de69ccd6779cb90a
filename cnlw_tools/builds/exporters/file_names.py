"""Ids and names of classes as names of files, on any file system, and the suffixes of images.

safe_name(name) = name, with "_" for every character that is not a letter, a digit, or one of
_ - + = , . ' & ( ) and the space, and for a dot or a space at either end
"""

import re

from cnlw_tools.images.pixels import read_format

SUFFIXES = {  # of formats that other programs read, by the name that Pillow has for them
    "JPEG": ".jpg",
    "MPO": ".jpg",  # a JPEG that has a second picture behind the first
    "PNG": ".png",
    "BMP": ".bmp",
    "WEBP": ".webp",
    "TIFF": ".tiff",
    "PPM": ".ppm",
}
UNSAFE = re.compile(r"[^\w+=,.'& ()-]|^[. ]|[. ]$")


def safe_name(name: str) -> str:
    """Return a name as that of a file or folder; different names may become the same one."""
    return UNSAFE.sub("_", name) or "_"


def image_suffix(image_id: str, image: bytes) -> str:
    """Return the suffix of an image file, by the format of its bytes.

    Raises:
        ValueError: the bytes are no image, or in a format that other programs may not read
    """
    try:
        format_name = read_format(image)
    except ValueError as error:
        raise ValueError(
            f"image {image_id!r} cannot be read ({error}): see what `cnlw validate` says"
        ) from error
    if format_name not in SUFFIXES:
        raise ValueError(
            f"image {image_id!r} is stored as {format_name}, which not every program reads: "
            "build with --size, which stores only JPEG and PNG, or export labels"
        )
    return SUFFIXES[format_name]
