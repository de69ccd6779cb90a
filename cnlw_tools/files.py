"""Files: where the project's own tables lie, and writing that is whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

TEMPORARY_PREFIX = ".aside-"  # how the name of a file begins until the file is whole


def default_root() -> Path:
    """Return the folder that holds manifests/, annotations/ and pipelines/: in the wheel, or in a checkout."""
    package = Path(__file__).parent
    return package / "data" if (package / "data").is_dir() else package.parent


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; what lies there becomes ``path`` when the block ends well.

    A killed process leaves the file aside, never a half-written ``path``; an error leaves nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}")
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        why = str(error).splitlines()[0]
        raise OSError(
            f"{path}: cannot be written ({why}): make room or give another place"
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed processes left aside in a folder and below it; only where no other process writes."""
    for draft in folder.rglob(f"{TEMPORARY_PREFIX}*"):
        draft.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        h = sha256()
        while chunk := file.read(1 << 20):
            h.update(chunk)
    return h.hexdigest()
