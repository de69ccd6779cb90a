"""Files: where the package's tables are, and how to write a file completely or not at all."""

from hashlib import sha256
from pathlib import Path

from cnlw_tools.files.drafts import (
    TEMPORARY_PREFIX,
    atomic_write,
    draft_path,
    remove_drafts,
    remove_drafts_below,
    scratch_folder,
)
from cnlw_tools.files.untrusted import check_regular

__all__ = [
    "TEMPORARY_PREFIX",
    "atomic_write",
    "default_root",
    "digest",
    "draft_path",
    "remove_drafts",
    "remove_drafts_below",
    "scratch_folder",
]

CHUNK = 1 << 20  # bytes read at a time


def default_root() -> Path:
    """Return the folder of manifests/, annotations/ and pipelines/, in a wheel or a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "data"
    return installed if installed.is_dir() else package.parent


def digest(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    check_regular(path)
    hasher = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()
