"""What a source of images offers: the table of what there is, and the images one by one."""

from typing import Protocol

import pyarrow as pa

from cnlw_tools.images import Picture


class Source(Protocol):
    """The images of one dataset, wherever they lie."""

    def manifest(self) -> pa.Table:
        """Return the base manifest (tables.MANIFEST), as made from the files themselves."""
        ...

    def read(self, image_id: str) -> Picture:
        """Return one image.

        Raises:
            OSError: the image is missing or cannot be read; the message says where it was looked for
        """
        ...
