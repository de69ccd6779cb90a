"""A source whose images must be those that its manifest was made from.

An id says where an image lies, not what it shows: `hf` counts rows, and another file may lie at the
same path. So images that are read by id are compared with the `sha256` of the manifest, if it
gives one.
"""

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cnlw_tools import prng
from cnlw_tools.dataset import hashing, tables
from cnlw_tools.dataset.table_io import read_table
from cnlw_tools.files.mapped import zeros
from cnlw_tools.images.pixels import Picture, has_digest
from cnlw_tools.noise.base import BLOCK_ROWS, all_rows, sort_by_key
from cnlw_tools.recipe.inputs import ImageSource

ID_AND_DIGEST = pa.schema([tables.MANIFEST.field("image_id"), tables.MANIFEST.field("sha256")])


class Digests:
    """The sha256 of the images of a manifest, as far as it gives them.

    Every worker process has its own, so nothing of them is in memory: the table lies on the disk,
    and so does the order of its rows by the random keys of their ids, in which an id is found.
    """

    def __init__(self, manifest: Path) -> None:
        """Read a manifest.

        Raises:
            OSError, ValueError: it is not a manifest
        """
        table = read_table(manifest, ID_AND_DIGEST)
        self.ids = table["image_id"]
        self.sha256 = table["sha256"]
        keys = hashing.random_keys(self.ids, seed=0)
        self.rows = sort_by_key(all_rows(len(keys), zeros), keys, zeros)
        self.keys = zeros(len(keys), keys.dtype)
        for start in range(0, len(keys), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            self.keys[block] = keys[self.rows[block]]

    def find(self, image_id: str) -> str | None:
        """Return the sha256 of an image in hex; none where the manifest does not give it."""
        key = np.uint64(prng.random_key(image_id))
        place = int(np.searchsorted(self.keys, key))
        while place < len(self.keys) and self.keys[place] == key:  # two ids may share a key
            row = int(self.rows[place])
            if self.ids[row].as_py() == image_id:
                digest: str | None = self.sha256[row].as_py()
                return digest.lower() if digest else None
            place += 1
        return None


class CheckedSource:
    """A source of images that compares each with the manifest of its dataset.

    It is pickled as the source and the path of the manifest.
    """

    def __init__(self, source: ImageSource, manifest: Path, prefix: str = "") -> None:
        """Wrap a source.

        Args:
            source: reads the images
            manifest: the file of the manifest; without one, nothing is compared
            prefix: what the manifest has before every id of the source
        """
        self.source = source
        self.manifest_path = manifest
        self.prefix = prefix

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, self.manifest_path, self.prefix)

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, in label order."""
        return self.source.classes()

    def manifest(self) -> pa.Table:
        """Return the base manifest of the images that are there now."""
        return self.source.manifest()

    def read(self, image_id: str) -> Picture:
        """Return one image.

        Raises:
            LookupError, OSError: there is no such image, or it cannot be read
            ValueError: it is not the image that the manifest was made from
        """
        place = getattr(self.source, "data_dir", "its source")
        return self.check(image_id, self.source.read(image_id), place)

    def check(self, image_id: str, picture: Picture, place: Path | str) -> Picture:
        """Return an image after comparing it with the manifest; ``place`` is where it comes from.

        Raises:
            ValueError: it is not the image that the manifest was made from
        """
        expected = self._digests.find(f"{self.prefix}{image_id}") if self._digests else None
        if expected is None or has_digest(picture, expected):
            return picture
        raise ValueError(
            f"image {image_id!r} of {place} differs from its sha256 in {self.manifest_path}: give "
            "the folder that was imported, or import this one under another name with `cnlw import`"
        )

    @cached_property
    def _digests(self) -> Digests | None:
        """What the manifest says, if there is one."""
        if not self.manifest_path.exists():
            return None
        return _read_digests(self.manifest_path, self.manifest_path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read_digests(manifest: Path, _modified: int) -> Digests:
    """Return the digests of a manifest; a file that was written again is read again."""
    return Digests(manifest)
