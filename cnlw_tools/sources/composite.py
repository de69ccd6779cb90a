"""Several sources as one: an image of a donor has an id that begins with the donor's name and a slash.

What a store of web images holds comes from there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cnlw_tools.images.pixels import Picture

WEB = "web"  # in the place of a donor's name: the store of web images
Places = tuple[
    tuple[str, Path | None], ...
]  # donors, and where their images lie; none: nowhere, or with the package


class Reader(Protocol):
    """What reads images."""

    def read(self, image_id: str) -> Picture:
        """Return one image."""
        ...


class Stock(Reader, Protocol):
    """What reads some images, and knows which."""

    def has_image(self, image_id: str) -> bool:
        """Is this one of them?"""
        ...


class Routed:
    """A dataset's own source, if it is there, those of its donors, and a store of web images."""

    def __init__(
        self, own: Reader | None, donors: Mapping[str, Reader], web: Stock | None = None
    ) -> None:
        self.own, self.donors, self.web = own, donors, web

    def read(self, image_id: str) -> Picture:
        """Return one image.

        Raises:
            LookupError: there is no such image, or no source that would have it
            OSError: it is missing or cannot be read
        """
        name, _, rest = image_id.partition("/")
        if rest and name in self.donors:
            return self.donors[name].read(rest)
        if self.web is not None and self.web.has_image(image_id):
            return self.web.read(image_id)
        if self.own is None:
            raise LookupError(f"no source is there for image {image_id!r}")
        return self.own.read(image_id)

    def has(self, image_id: str, donors: frozenset[str]) -> bool:
        """Is the source of this image here? ``donors``: all that there are, here or not."""
        name, _, rest = image_id.partition("/")
        if rest and name in donors:
            return name in self.donors
        return self.own is not None or (self.web is not None and self.web.has_image(image_id))
