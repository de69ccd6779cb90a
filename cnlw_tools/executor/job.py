"""What the tasks of one piece of work have in common."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class NeededFolder:
    """A folder, or a file, that each machine of a cluster must see."""

    path: Path
    has_contents: bool = True  # on the machine of the command


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What the tasks of one piece of work have in common.

    Copies of a job in other processes are equal to it, and no other job is. So a worker that caches
    what it opens by job opens it once for a job, and again for the next: files may have been fixed
    since.
    """

    job_id: str = field(default_factory=lambda: uuid4().hex, kw_only=True)
    folders: tuple[NeededFolder, ...] = field(default=(), kw_only=True)

    def __eq__(self, value: object) -> bool:
        return isinstance(value, Job) and value.job_id == self.job_id

    def __hash__(self) -> int:
        return hash(self.job_id)


def find_folders(places: Iterable[object]) -> tuple[NeededFolder, ...]:
    """Return the folders among some places that this machine sees."""
    folders = []
    for place in places:
        if isinstance(place, Path) and place.exists():
            path = place.resolve()
            folders.append(NeededFolder(path, _has_contents(path)))
    return tuple(folders)


def require_folders(folders: Iterable[NeededFolder]) -> None:
    """Raise if this machine lacks a folder that the machine of the command sees.

    An empty folder counts as missing if the command sees files in it: a disk that is not mounted
    leaves the folder for its files empty.

    Raises:
        OSError: with the folder and the name of the machine
    """
    for folder in folders:
        reason = ""
        if not folder.path.exists():
            reason = "does not see this folder"
        elif folder.has_contents and not _has_contents(folder.path):
            reason = "sees no files in this folder"
        if reason:
            raise OSError(
                f"{folder.path}: the machine {os.uname().nodename} {reason}: put it "
                "on a disk that all machines see under the same path"
            )


def _has_contents(path: Path) -> bool:
    """Return whether a path is a file, or a folder that holds something."""
    if not path.is_dir():
        return True
    with os.scandir(path) as entries:
        return next(entries, None) is not None
