"""Several readers of images as one: the source of a dataset, the sources of its donors, and a store of web images.

An image of a donor has an id that begins with the donor's name and a slash.
"""

from collections.abc import Mapping
from typing import Protocol

from cnlw_tools.images.pixels import Picture


class Reader(Protocol):
    """Reads images."""

    def read(self, image_id: str) -> Picture:
        """Return one image."""
        ...


class StoreReader(Reader, Protocol):
    """Reads some images, and knows which."""

    def has_image(self, image_id: str) -> bool:
        """Is this one of them?"""
        ...


class CompositeReader:
    """Reads an image from the donor that its id names, else from the store, else from the source of the dataset."""

    def __init__(
        self,
        source: Reader | None,
        donors: Mapping[str, Reader],
        store: StoreReader | None = None,
    ) -> None:
        self.source, self.donors, self.store = source, donors, store

    def read(self, image_id: str) -> Picture:
        """Return one image.

        Raises:
            LookupError: there is no such image, or no reader that could have it
            OSError: it is missing or cannot be read
        """
        donor, _, donor_id = image_id.partition("/")
        if donor_id and donor in self.donors:
            return self.donors[donor].read(donor_id)
        if self.store is not None and self.store.has_image(image_id):
            return self.store.read(image_id)
        if self.source is None:
            raise LookupError(f"no source is there for image {image_id!r}")
        return self.source.read(image_id)

    def can_read(self, image_id: str, donors: frozenset[str]) -> bool:
        """Is there a reader that could have this image?

        Args:
            image_id: of the image
            donors: the names of all donors, whether their images are here or not
        """
        donor, _, donor_id = image_id.partition("/")
        if donor_id and donor in donors:
            return donor in self.donors
        in_store = self.store is not None and self.store.has_image(image_id)
        return in_store or self.source is not None
