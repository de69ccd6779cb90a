"""MATLAB files, read by scipy, which comes with the extra ``sources`` and is imported only here."""

import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

READ_ERRORS = (  # what scipy raises on a damaged file
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    zlib.error,
    NotImplementedError,
    OSError,
    OverflowError,
)


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
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if data is None and not path.is_file():
        raise FileNotFoundError(f"{path}: the file is missing: complete your copy")
    file = BytesIO(data) if data else path
    try:
        variables = loadmat(file, variable_names=names, squeeze_me=squeeze)
    except (*READ_ERRORS, MatReadError) as error:
        raise ValueError(
            f"{path}: cannot be read as a MATLAB file ({error}): copy it again"
        ) from error
    missing = [name for name in names if name not in variables]
    if missing:
        raise ValueError(f"{path}: it has no variable {missing[0]!r}: use the official file")
    return [variables[name] for name in names]
