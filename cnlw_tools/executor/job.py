"""What the tasks of one piece of work have in common."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What the tasks of one piece of work have in common.

    Copies of a job in other processes are equal to it, and no other job is. So a worker that caches
    what it opens by job opens it once for a job, and again for the next: files may have been fixed
    since.
    """

    job_id: str = field(default_factory=lambda: uuid4().hex, kw_only=True)
    folders: tuple[Path, ...] = field(default=(), kw_only=True)  # that each machine must see

    def __eq__(self, value: object) -> bool:
        return isinstance(value, Job) and value.job_id == self.job_id

    def __hash__(self) -> int:
        return hash(self.job_id)


def find_folders(places: Iterable[object]) -> tuple[Path, ...]:
    """Return the folders among some places that this machine sees."""
    return tuple(place.resolve() for place in places if isinstance(place, Path) and place.exists())


def require_folders(folders: Iterable[Path]) -> None:
    """Raise if this machine lacks a folder that the machine of the command sees.

    Raises:
        OSError: with the folder and the name of the machine
    """
    for folder in folders:
        if not folder.exists():
            raise OSError(
                f"{folder}: the machine {os.uname().nodename} does not see this folder: put it "
                "on a disk that all machines see under the same path"
            )
