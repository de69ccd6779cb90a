"""Several sources as one: an image of a donor has an id that begins with the donor's name and a slash."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cnlw_tools.images import Picture

Places = tuple[tuple[str, Path | None], ...]  # donors, and where their images lie; none: nowhere, or with the package


class Reader(Protocol):
    """What reads images."""

    def read(self, image_id: str) -> Picture:
        """Return one image."""
        ...


class Routed:
    """A dataset's own source, if it is there, and those of its donors."""

    def __init__(self, own: Reader | None, donors: Mapping[str, Reader]) -> None:
        self.own, self.donors = own, donors

    def read(self, image_id: str) -> Picture:
        """Return one image.

        Raises:
            LookupError: there is no such image, or no source that would have it
            OSError: it is missing or cannot be read
        """
        name, _, rest = image_id.partition("/")
        if rest and name in self.donors:
            return self.donors[name].read(rest)
        if self.own is None:
            raise LookupError(f"no source is there for image {image_id!r}")
        return self.own.read(image_id)

    def has(self, image_id: str, donors: frozenset[str]) -> bool:
        """Is the source of this image here? ``donors``: all that there are, here or not."""
        name, _, rest = image_id.partition("/")
        return name in self.donors if rest and name in donors else self.own is not None
