"""From pixels of any mode to 8-bit RGB.

- Transparent pixels are composited on white.
- Of 16 bits (PNG, PGM, TIFF, JPEG 2000), the upper 8 are kept.
- Floats are scaled from the range 0 to 1. A TIFF may declare another range, for floats and for
  integers of 32 bits, by its tags SMinSampleValue and SMaxSampleValue. Numbers outside the range,
  or without one, are an error.
- Pillow converts palettes, grey, CMYK, YCbCr, LAB and HSV; colour profiles are ignored.
"""

from typing import Any

from PIL import Image, ImageFile, TiffImagePlugin

WHITE = (255, 255, 255, 255)
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")  # of one channel with over 8 bits
SIGNED_FORMATS = ("FITS",)  # whose 16 bits may be negative
REDUCING_DECODERS = ("ppm", "ppm_plain", "SGI16")  # of files with any number of bits a channel
BITS_PER_SAMPLE, PHOTOMETRIC, LOWEST, HIGHEST = 258, 262, 340, 341  # tags of TIFF
BAND = 32  # rows that are composited at a time
WHITE_IS_ZERO = 0  # a value of the tag PHOTOMETRIC
GREY_STEPS = {"1": 255, "L;2": 85, "L;4": 17}  # by which Pillow brings PNGs of few bits to 8
REMEDY = "save it with 8 bits for each channel"


def is_plain_rgb(image: Image.Image) -> bool:
    """Return whether a file, opened but not decoded, is one picture of opaque 8-bit RGB.

    The pictures behind the first of an MPO do not count: every reader takes it for a JPEG.
    """
    if image.mode != "RGB" or image.has_transparency_data:
        return False
    if image.format != "MPO" and getattr(image, "is_animated", False):
        return False
    return not _is_reduced(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image in 8-bit RGB, composited on white; one that is in RGB is not copied.

    Raises:
        ValueError: nothing says which of its numbers is white
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode in DEEP_MODES:
        return _to_8_bits(image).convert("RGB")
    if image.has_transparency_data:
        return _composite_on_white(image)
    return image.convert("RGB")


def match_transparency(image: Image.Image) -> None:
    """Bring the transparent colour of a PNG to 8 bits, as Pillow does with the pixels.

    Args:
        image: opened but not decoded
    """
    color = image.info.get("transparency")
    if isinstance(color, tuple) and _is_reduced(image):
        image.info["transparency"] = tuple(value >> 8 for value in color)
    elif isinstance(color, int) and image.format == "PNG":
        image.info["transparency"] = color * GREY_STEPS.get(_raw_mode(image), 1)


def _is_reduced(image: Image.Image) -> bool:
    """Return whether a file has other than 8 bits a channel, though Pillow decodes it to 8."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return False
    return image.tile[0].codec_name in REDUCING_DECODERS or ";16" in _raw_mode(image)


def _raw_mode(image: Image.Image) -> str:
    """Return the layout of the pixels in the file, by the name that Pillow has for it."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return ""
    arguments = image.tile[0].args
    return arguments if isinstance(arguments, str) else str(arguments)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Return a channel of more than 8 bits as grey; what is transparent becomes white."""
    import numpy as np  # rarely needed; processes that fetch start faster without it

    numbers = np.asarray(image)
    n_bits = _count_bits(image)
    if n_bits:
        grey = numbers >> (n_bits - 8)
    else:
        lowest, highest = _declared_range(image)
        _check_range(numbers, lowest, highest)
        grey = np.rint((numbers - lowest) * (255 / (highest - lowest)))
    if _tiff_tag(image, PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    transparent = image.info.get("transparency")
    if transparent is not None:
        grey = np.where(numbers == transparent, 255, grey)
    return Image.fromarray(grey.astype(np.uint8))


def _count_bits(image: Image.Image) -> int | None:
    """Return how many bits the numbers of a file have; none unless they are natural numbers."""
    if image.mode.startswith("I;16") and image.format not in SIGNED_FORMATS:
        return int(_tiff_tag(image, BITS_PER_SAMPLE) or 16)
    if image.mode == "I" and image.format in ("PNG", "PPM"):
        return 16
    return None


def _declared_range(image: Image.Image) -> tuple[float, float]:
    """Return the numbers that are black and white.

    Raises:
        ValueError: the file does not say
    """
    lowest, highest = _tiff_tag(image, LOWEST), _tiff_tag(image, HIGHEST)
    if highest is not None and highest > (lowest or 0):
        return float(lowest or 0), float(highest)
    if image.mode == "F":
        return 0.0, 1.0
    raise ValueError(
        "its pixels are numbers of more than 8 bits, and the file does not say which number is "
        "white: "
        f"{REMEDY}"
    )


def _check_range(numbers: Any, lowest: float, highest: float) -> None:
    """Raise if a number is not in the range, or not finite."""
    smallest, largest = numbers.min(), numbers.max()
    if not (lowest <= smallest and largest <= highest):  # true of NaN, too
        raise ValueError(
            f"its pixels are numbers from {smallest:g} to {largest:g}, "
            f"not from {lowest:g} (black) to {highest:g} (white): {REMEDY}"
        )


def _tiff_tag(image: Image.Image, tag: int) -> Any:
    """Return the first number under a tag of a TIFF; none if there is none, or it is not a TIFF."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    value = image.tag_v2.get(tag)
    return value[0] if isinstance(value, tuple) else value


def _composite_on_white(image: Image.Image) -> Image.Image:
    """Composite an image, band by band: whole copies of a large one would fill the memory."""
    rgb = Image.new("RGB", image.size)
    for top in range(0, image.height, BAND):
        box = (0, top, image.width, min(top + BAND, image.height))
        rgb.paste(_composite_band(image.crop(box)), box)
    return rgb


def _composite_band(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")  # Pillow converts it to nothing else
    foreground = image.convert("RGBA")
    background = Image.new("RGBA", image.size, WHITE)
    return Image.alpha_composite(background, foreground).convert("RGB")
