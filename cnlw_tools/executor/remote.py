"""What the engines share that run tasks in processes which they did not start, on other machines.

Such a process may have other programs, and so make other bytes; it may not see the folder that the
files lie in; and it works in a folder of its own. So workers are compared before the work begins:

    versions    of the package, of Pillow and of Arrow are those of this process
    folder      the working folder is on a disk that the worker sees, too: it holds the same mark
    threads     one for each worker process, since readers of archives are not shared by threads

A task runs in the working folder of the process that sent it, so relative paths mean the same.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar
from uuid import uuid4

from cnlw_tools import __version__
from cnlw_tools.registry.counts import list_first

Item = TypeVar("Item")
Result = TypeVar("Result")

SAME_VERSIONS = "install the same versions everywhere, because the bytes of builds depend on them"
DEAD_WORKER = (
    "worker processes died again and again over one task: give them more memory, or start fewer "
    "on each machine, and run the same command again"
)
NO_WORKER_SECONDS = 120  # without any worker, after which work ends; one that died comes back


def program_versions() -> dict[str, str]:
    """Return the versions of this package, and of those that decide the bytes of a build."""
    import PIL
    import pyarrow as pa

    return {"cnlw_tools": __version__, "pillow": PIL.__version__, "pyarrow": pa.__version__}


@dataclass(frozen=True, slots=True)
class RemoteTask(Generic[Item, Result]):
    """A task that runs as it would in the process that sends it."""

    task: Callable[[Item], Result]
    folder: Path = field(default_factory=Path.cwd)  # the working folder
    versions: Mapping[str, str] = field(default_factory=program_versions)

    def __call__(self, item: Item) -> Result:
        """Run the task; a worker that joined late may have other versions.

        Raises:
            OSError: this worker may not run it
        """
        difference = describe_difference(self.versions, program_versions())
        if difference:
            raise OSError(
                f"a worker that joined the cluster late has {difference}: {SAME_VERSIONS}"
            )
        with chdir(self.folder):
            return self.task(item)


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What a worker says of itself."""

    versions: Mapping[str, str]
    sees_folder: bool


def describe_worker(mark: Path) -> WorkerState:
    """Return the state of the worker that this runs in.

    Args:
        mark: a file in a folder of the process that asks
    """
    return WorkerState(program_versions(), mark.exists())


@contextmanager
def marked_folder(folder: Path) -> Iterator[Path]:
    """Yield a file in a folder by which workers recognise it; it is deleted at the end.

    Raises:
        OSError: the folder may not be written
    """
    mark = folder / f".cnlw-mark-{uuid4().hex}"
    try:
        mark.touch(exist_ok=False)
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written ({error.strerror}), so the command cannot check which "
            f"workers see it: {_remedy(folder, 'that you may write')}"
        ) from error
    try:
        yield mark
    finally:
        mark.unlink()


def _remedy(folder: Path, kind: str) -> str:
    """Return what to do if a folder is not of a kind."""
    if folder == Path.cwd():
        return f"start the command in a folder {kind}"
    return f"use a folder {kind}"


def check_workers(
    engine: str, workers: Mapping[str, WorkerState | BaseException], folder: Path
) -> None:
    """Compare the workers of an engine with this process.

    Args:
        engine: as the user gave it
        workers: what each said of itself, or why it could say nothing, by its name
        folder: that was marked

    Raises:
        OSError: a worker cannot do the work of this process
    """
    by_reason: dict[str, list[str]] = {}
    for name, state in workers.items():
        reason = _find_obstacle(state, folder)
        if reason:
            by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        raise OSError(f"{engine}: worker {list_first(names)} {reason}")


def _find_obstacle(state: WorkerState | BaseException, folder: Path) -> str:
    """Return why a worker cannot do the work, with a remedy; nothing if it can."""
    if isinstance(state, BaseException):
        return f"cannot run cnlw_tools ({state}): {SAME_VERSIONS}"
    difference = describe_difference(program_versions(), state.versions)
    if difference:
        return f"has {difference}: {SAME_VERSIONS}"
    if not state.sees_folder:
        remedy = _remedy(folder, "that all machines share under the same path")
        return f"does not see the files in {folder}: {remedy}"
    return ""


def describe_difference(expected: Mapping[str, str], versions: Mapping[str, str]) -> str:
    """Return which versions differ, and from what; nothing if none does."""
    differences = []
    for name, version in expected.items():
        if versions.get(name) != version:
            differences.append(f"{name} {versions.get(name, 'missing')} instead of {version}")
    return ", ".join(differences)


class Absence:
    """Ends a run for which there has been no worker for a while.

    Args:
        engine: as the user gave it
        count_workers: returns how many there are
        remedy: how to start some
    """

    def __init__(self, engine: str, count_workers: Callable[[], int], remedy: str) -> None:
        self.engine, self.count_workers, self.remedy = engine, count_workers, remedy
        self.began: float | None = None  # in monotonic time; none: there are workers

    def check(self) -> None:
        """Look whether there are workers.

        Raises:
            OSError: there has been none for too long
        """
        now = time.monotonic()
        if self.count_workers():
            self.began = None
        elif self.began is None:
            self.began = now
        elif now - self.began > NO_WORKER_SECONDS:
            raise OSError(
                f"{self.engine}: the cluster had no worker for {NO_WORKER_SECONDS} seconds: "
                f"{self.remedy}, and run "
                "the same command again"
            )
