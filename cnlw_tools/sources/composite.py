"""Several readers as one: a dataset's source, its donors' sources, and a store of web images.

An image of a donor has an id that begins with the donor's name and a slash.
"""

from collections.abc import Mapping
from typing import Protocol

from PIL import Image

from cnlw_tools.images.pixels import Picture, decode_picture
from cnlw_tools.sources.checked import CheckedSource


class Reader(Protocol):
    """Reads images."""

    def read(self, image_id: str) -> Picture:
        """Return one image."""
        ...


def read_pixels(reader: Reader, image_id: str) -> Image.Image:
    """Return an image in 8-bit RGB.

    Raises:
        LookupError, OSError: there is no such image, or it cannot be read
        ValueError: it is not an image, or a part of it is missing; the message names it
    """
    picture = reader.read(image_id)
    try:
        return decode_picture(picture)
    except ValueError as error:
        raise ValueError(
            f"image {image_id!r} cannot be read ({error}): replace the file"
        ) from error


class StoreReader(Protocol):
    """Reads some images, and knows which."""

    def read_picture(self, image_id: str) -> Picture:
        """Return one image."""
        ...

    def has_image(self, image_id: str) -> bool:
        """Return whether this is one of them."""
        ...


class CompositeReader:
    """Reads each image from where it lies.

    This is the donor that its id names, or else the store if it has the image, or else the source
    of the dataset.
    """

    def __init__(
        self,
        source: Reader | None,
        donors: Mapping[str, Reader],
        store: StoreReader | None = None,
    ) -> None:
        self.source = source
        self.donors = donors
        self.store = store

    def read(self, image_id: str) -> Picture:
        """Return one image.

        Raises:
            LookupError: there is no such image, or no reader that could have it
            OSError: it is missing or cannot be read
            ValueError: it is not the image that the manifest of the dataset was made from
        """
        donor, _, donor_id = image_id.partition("/")
        if donor_id and donor in self.donors:
            return self.donors[donor].read(donor_id)
        if self.store is not None and self.store.has_image(image_id):
            picture = self.store.read_picture(image_id)
            if isinstance(self.source, CheckedSource):  # another dataset's store has ids of ours
                self.source.check(image_id, picture, "the store of web images")
            return picture
        if self.source is None:
            raise LookupError(
                f"image {image_id!r}: the images of the dataset are not given: use --data-dir"
            )
        return self.source.read(image_id)

    def can_read(self, image_id: str, donors: frozenset[str]) -> bool:
        """Return whether there is a reader that could have this image.

        Args:
            donors: the names of all donors, whether their images are here or not
        """
        donor, _, donor_id = image_id.partition("/")
        if donor_id and donor in donors:
            return donor in self.donors
        in_store = self.store is not None and self.store.has_image(image_id)
        return in_store or self.source is not None
