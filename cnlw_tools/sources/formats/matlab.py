"""MATLAB files, read by scipy, which comes with the extra ``sources``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnlw_tools.files.arrays import read_mat


def read_variables(
    path: Path,
    names: Sequence[str],
    data: bytes | None = None,
    squeeze: bool = True,
) -> list[Any]:
    """Return variables of a file, in the order of their names.

    Args:
        path: the file
        names: which variables
        data: the bytes of the file, where it is inside an archive; ``path`` is the archive
        squeeze: drop axes of length 1

    Raises:
        OSError: the file is missing
        ValueError: the file is damaged, or a variable is missing
    """
    if data is None and not path.is_file():
        raise FileNotFoundError(f"{path}: the file is missing: complete your copy")
    variables = read_mat(path, names, data, squeeze)
    missing = [name for name in names if name not in variables]
    if missing:
        raise ValueError(f"{path}: it has no variable {missing[0]!r}: use the official file")
    return [variables[name] for name in names]
