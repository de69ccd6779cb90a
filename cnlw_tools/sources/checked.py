"""A source whose images must be those that its manifest was made from.

An id says where an image lies, not what it shows: `hf` counts rows, and another file may lie at the
same path. So images that are read by id are compared with the `sha256` of the manifest, if it
gives one.
"""

from bisect import bisect_left
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.dataset import tables
from cnlw_tools.dataset.table_io import read_table
from cnlw_tools.images.pixels import Picture, has_digest
from cnlw_tools.recipe.inputs import ImageSource

ID_AND_DIGEST = pa.schema([tables.MANIFEST.field("image_id"), tables.MANIFEST.field("sha256")])


class Digests:
    """The sha256 of the images of a manifest, as far as it gives them.

    They are kept as two sorted Arrow columns, which take a third of the memory of a dict: each
    worker process has its own.
    """

    def __init__(self, manifest: Path) -> None:
        """Read a manifest.

        Raises:
            OSError, ValueError: it is not a manifest
        """
        table = read_table(manifest, ID_AND_DIGEST).select(ID_AND_DIGEST.names)
        digests = table.filter(pc.is_valid(table["sha256"])).sort_by("image_id")
        self.ids = digests["image_id"].combine_chunks()
        self.sha256 = digests["sha256"].combine_chunks()

    def find(self, image_id: str) -> str | None:
        """Return the sha256 of an image in hex; none where the manifest does not give it."""
        row = bisect_left(range(len(self.ids)), image_id, key=self._id)
        if row == len(self.ids) or self._id(row) != image_id:
            return None
        digest: str = self.sha256[row].as_py()
        return digest.lower()

    def _id(self, row: int) -> str:
        return str(self.ids[row])


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
