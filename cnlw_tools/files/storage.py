"""Where files lie: in a folder of this machine, or at an address such as ``s3://bucket/folder``."""

import re
from pathlib import Path

# A path keeps one of the slashes. One letter would be a drive of Windows.
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")


def is_address(path: Path | str) -> bool:
    """Return whether a path is an address of a storage, such as ``s3://bucket/folder``."""
    return ADDRESS.match(str(path)) is not None


def local_path(path: Path | str) -> Path:
    """Return a path of this machine.

    Raises:
        ValueError: it is an address of a storage, of which a folder would be made here
    """
    if is_address(path):
        raise ValueError(
            f"{path}: an address, and this needs a folder or a file of this machine: give its "
            "path, and copy it from or to that address with the program of the storage"
        )
    return Path(path)
