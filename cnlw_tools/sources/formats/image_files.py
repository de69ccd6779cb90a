"""Images that are files below a folder; ids that are their paths."""

import os
from collections.abc import Sequence
from pathlib import Path

from cnlw_tools.images.pixels import SUFFIXES, Picture
from cnlw_tools.sources.base import Local


class Files(Local):
    """Images that are files: an id is a path below the folder."""

    def read(self, image_id: str) -> Picture:
        """Return one file as it is."""
        return below(self.data_dir, image_id)


def below(folder: Path, path: str) -> bytes:
    """Return the bytes of an image below a folder.

    Raises:
        LookupError: the path leaves the folder
        OSError: the file is missing
    """
    if not inside(path):
        raise LookupError(f"{folder}: no image {path!r}; ids are paths below this folder")
    try:
        return (folder / path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{folder / path}: the image is missing: complete your copy"
        ) from None


def inside(path: str) -> bool:
    """Does the path stay below whatever folder it is joined to?"""
    return (
        bool(path)
        and path[0] != "/"
        and ".." not in path.split("/")
        and "\\" not in path
        and "\0" not in path
    )


def present(folder: Path, paths: Sequence[str], where: Path | str) -> None:
    """Insist that every image of a list is there.

    Raises:
        ValueError: a path leaves the folder
        FileNotFoundError: files are missing
    """
    for row, path in enumerate(paths):
        if not inside(path):
            raise ValueError(f"{where}: image {row}: {path!r} leaves {folder}: give paths below it")
    gone = [path for path in paths if not os.path.isfile(f"{folder}/{path}")]  # noqa: PTH113, a million of them
    if gone:
        raise FileNotFoundError(
            f"{folder}: {len(gone):,} of the {len(paths):,} images of {where} are missing, such as {gone[0]}: "
            "complete your copy"
        )


def pictures(folder: Path) -> list[str]:
    """Return the images below a folder, as sorted paths; a file whose name does not end as an image's is none."""
    found = []
    for at, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name[0] != "."]
        inner = Path(at).relative_to(folder)
        found += [
            (inner / n).as_posix()
            for n in names
            if Path(n).suffix.lower() in SUFFIXES and n[0] != "."
        ]
    return sorted(found)
