"""Pictures for a page: scaled to fit, as JPEG; the last ones that were made stay in memory."""

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO

from PIL import Image

from cnlw_tools.images.pixels import KeptPicture, Picture, decode, decode_picture

LARGE = 1024  # pixels of the longer side
THUMBNAIL = 240
QUALITY = 88
N_IN_MEMORY = {LARGE: 200, THUMBNAIL: 2000}  # 40 MB and 20 MB


def scaled_jpeg(picture: Picture, side: int) -> bytes:
    """Return a picture as JPEG whose longer side has at most so many pixels.

    Raises:
        ValueError: it is not an image that can be decoded
    """
    if isinstance(picture, KeptPicture):
        picture = picture.data
    if isinstance(picture, bytes):
        image = decode(picture, side)
    else:
        image = decode_picture(picture).copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def remember(read: Callable[[int], Picture], side: int) -> Callable[[int], bytes]:
    """Return a function from the number of a picture to its JPEG of one size.

    Args:
        read: returns a picture by its number
        side: LARGE or THUMBNAIL
    """

    @lru_cache(N_IN_MEMORY[side])
    def scaled(number: int) -> bytes:
        return scaled_jpeg(read(number), side)

    return scaled
