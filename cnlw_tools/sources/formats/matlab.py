"""Files of MATLAB, by scipy, which comes with the extra ``sources`` and is imported nowhere else."""

import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    zlib.error,
    NotImplementedError,
    OSError,
    OverflowError,
)


def load(
    path: Path, names: Sequence[str], data: bytes | None = None, squeeze: bool = True
) -> list[Any]:
    """Return variables of a file, or of its bytes where they came out of an archive.

    Raises:
        OSError: the file is missing
        ValueError: the file is damaged, or has no such variable
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if data is None and not path.is_file():
        raise FileNotFoundError(f"{path}: the file is missing: complete your copy")
    try:
        found = loadmat(BytesIO(data) if data else path, variable_names=names, squeeze_me=squeeze)
    except (*UNREADABLE, MatReadError) as error:
        raise ValueError(
            f"{path}: cannot be read as a file of MATLAB ({error}): copy it again"
        ) from error
    if missing := [name for name in names if name not in found]:
        raise ValueError(
            f"{path}: it has no variable {missing[0]!r}: this is another file; take the official one"
        )
    return [found[name] for name in names]
