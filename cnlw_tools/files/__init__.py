"""Files: where the package's tables are, and how to write a file completely or not at all."""

from hashlib import sha256
from pathlib import Path

from cnlw_tools.files.drafts import (
    TEMPORARY_PREFIX,
    atomic_write,
    check_writable,
    draft_path,
    link_or_copy,
    remove_drafts,
    remove_drafts_below,
    scratch_folder,
)
from cnlw_tools.files.roots import default_root
from cnlw_tools.files.untrusted import check_regular

__all__ = [
    "TEMPORARY_PREFIX",
    "atomic_write",
    "check_writable",
    "default_root",
    "digest",
    "draft_path",
    "link_or_copy",
    "remove_drafts",
    "remove_drafts_below",
    "scratch_folder",
]

CHUNK = 1 << 20  # bytes read at a time


def digest(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    check_regular(path)
    hasher = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()
