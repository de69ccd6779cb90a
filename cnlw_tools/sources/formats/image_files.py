"""Sources whose images are files below a folder; an image id is the path of its file."""

import os
from collections.abc import Sequence
from pathlib import Path

from cnlw_tools.images.pixels import Picture
from cnlw_tools.sources.base import LocalSource
from cnlw_tools.sources.formats.listing import enumerate_names, path_on_disk


class ImageFiles(LocalSource):
    """A source of image files: an id is a path below the folder."""

    def read(self, image_id: str) -> Picture:
        """Return the bytes of one file, unchanged."""
        return read_image_file(self.data_dir, image_id)


def read_image_file(folder: Path, path: str) -> bytes:
    """Return the bytes of an image file below a folder, in whichever Unicode form it is named.

    Raises:
        LookupError: the path leaves the folder
        OSError: the file is missing
    """
    if not stays_inside(path):
        raise LookupError(f"{folder}: there is no image {path!r}; ids are paths below this folder")
    try:
        return (folder / path).read_bytes()
    except FileNotFoundError:
        place = path_on_disk(folder, path)
    if place is None:
        raise FileNotFoundError(f"{folder / path}: the image is missing: complete your copy")
    return place.read_bytes()


def stays_inside(path: str) -> bool:
    """Return whether a path stays below the folder that it is joined to, on any system."""
    if not path or path.startswith("/"):
        return False
    if "\\" in path or "\0" in path:
        return False
    return ".." not in path.split("/")


def require_images(folder: Path, paths: Sequence[str], list_name: Path | str) -> None:
    """Check that every image of a list exists.

    Args:
        folder: where the images lie
        paths: the images, relative to the folder
        list_name: what the error messages call the list

    Raises:
        ValueError: a path leaves the folder
        FileNotFoundError: files are missing
    """
    for row, path in enumerate(paths):
        if not stays_inside(path):
            raise ValueError(
                f"{list_name}: image {row}: {path!r} is outside of {folder}: give paths below it"
            )
    # Millions of paths: os.path.isfile, since a Path object for each takes much longer.
    absent = [path for path in paths if not os.path.isfile(f"{folder}/{path}")]  # noqa: PTH113
    missing = [path for path in absent if path_on_disk(folder, path) is None]
    if missing:
        raise FileNotFoundError(
            f"{folder}: {len(missing):,} of the {len(paths):,} images of {list_name} are missing, "
            f"such as {enumerate_names(missing)}: complete your copy"
        )
