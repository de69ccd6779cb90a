"""Files: where the package's tables are, and how to write a file completely or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

TEMPORARY_PREFIX = ".aside-"  # the name of a file starts with it until the file is complete
CHUNK = 1 << 20  # bytes read at a time


def default_root() -> Path:
    """Return the folder of manifests/, annotations/ and pipelines/, in a wheel or a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "data"
    return installed if installed.is_dir() else package.parent


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path; the file written there is renamed to ``path`` when the block ends.

    If the block raises an error, the temporary file is deleted and ``path`` is not changed. If the
    process is killed, the temporary file remains, and ``path`` is not changed either.

    Raises:
        OSError: the file cannot be written
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}")
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise OSError(
            f"{path}: cannot be written ({reason}): make room or give another place"
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of killed processes in a folder and below it.

    Call it only where no other process is writing.
    """
    for draft in folder.rglob(f"{TEMPORARY_PREFIX}*"):
        draft.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    hasher = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()
