"""Arrow files: streams, as `datasets` writes them, and the file format, as Feather has it.

Arrays of Python values are made here without `pa.array`, which would import pandas: that takes
longer than everything else that a worker process imports.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools.files.untrusted import COPY_AGAIN, BadFile, check_regular, translate_errors

ARROW = "an Arrow file"
FILE_FORMAT = b"ARROW1"  # how an Arrow file begins that is not a stream
FEATHER_1 = b"FEA1"
BYTES_COLUMN = "bytes"  # of the files that `write_bytes` writes

Reader = Any  # a reader of the file format, or one of streams


class _NoPandas(MetaPathFinder):
    """Says that pandas is not installed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Find nothing, and raise for pandas."""
        if name == "pandas":
            raise ModuleNotFoundError("pandas is hidden", name=name)


def keep_pandas_out() -> None:
    """Let Arrow look for pandas now and miss it, unless this process has imported it already.

    Arrow imports pandas with the first value that it makes or compares, only to recognise columns
    of pandas. That takes as long as all other imports of a command. Arrow looks once for this;
    `to_pandas` looks again, and then finds it.
    """
    if "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.scalar(0)
    finally:
        sys.meta_path.remove(finder)


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
            raise BadFile(
                f"{path}: this is a Feather file of version 1, which is not read: write it as "
                "version 2"
            )
        if magic == FILE_FORMAT:
            return pa.ipc.open_file(file, options=options)
        return pa.ipc.open_stream(file, options=options)


def write_bytes(path: Path, values: pa.Array) -> None:
    """Write an array of bytes as an Arrow file of one column."""
    batch = pa.record_batch([values], names=[BYTES_COLUMN])
    with pa.ipc.new_file(str(path), batch.schema) as writer:
        writer.write_batch(batch)


def read_bytes(path: Path) -> pa.Array:
    """Return the array that `write_bytes` wrote; it stays on the disk until it is used.

    Raises:
        BadFile, OSError: there is no such file, or it cannot be read
    """
    reader = open_arrow(path)
    with translate_errors(path, ARROW, COPY_AGAIN):
        return reader.get_batch(0).column(BYTES_COLUMN)


def binary_array(values: Sequence[bytes]) -> pa.Array:
    """Return n values as an array of bytes."""
    return pa.Array.from_buffers(
        pa.large_binary(), len(values), [None, *binary_buffers(values, np.int64)]
    )


def integer_array(values: NDArray[np.integer]) -> pa.Array:
    """Return (n,) integers as an array."""
    buffer = pa.py_buffer(values.astype(np.int64))
    return pa.Array.from_buffers(pa.int64(), len(values), [None, buffer])


def binary_buffers(
    values: Sequence[bytes], offset_type: type[np.integer] = np.int32
) -> list[pa.Buffer]:
    """Return the buffers of offsets and of data that Arrow needs for bytes, and for UTF-8.

    Raises:
        OverflowError: the values take more bytes than an offset can count
    """
    lengths = map(len, values)
    offsets = np.fromiter(accumulate(lengths, initial=0), offset_type)
    return [pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
