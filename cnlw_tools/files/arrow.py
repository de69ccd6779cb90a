"""Arrow files: streams, as `datasets` writes them, and the file format, as Feather has it."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from cnlw_tools.files.untrusted import COPY_AGAIN, BadFile, check_regular, translate_errors

ARROW = "an Arrow file"
FILE_FORMAT = b"ARROW1"  # how an Arrow file begins that is not a stream
FEATHER_1 = b"FEA1"

Reader = Any  # a reader of the file format, or one of streams


def open_arrow(path: Path, column: int | None = None) -> Reader:
    """Open an Arrow file, which stays on the disk; call its methods inside `translate_errors`.

    Args:
        path: the file
        column: the number of the only column that is read; all if not given

    Raises:
        BadFile, OSError: it is none, or cannot be read
    """
    check_regular(path)
    options = pa.ipc.IpcReadOptions(included_fields=None if column is None else [column])
    with translate_errors(path, ARROW, COPY_AGAIN):
        file = pa.memory_map(str(path))
        magic = file.read(len(FILE_FORMAT))
        file.seek(0)
        if magic.startswith(FEATHER_1):
            raise BadFile(f"{path}: Feather of version 1: write it again as version 2")
        if magic == FILE_FORMAT:
            return pa.ipc.open_file(file, options=options)
        return pa.ipc.open_stream(file, options=options)
