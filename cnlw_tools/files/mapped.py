"""Arrays that lie on the disk: temporary files, and arrays in them that look as if in memory.

A file has no name and lies in the folder of temporary files (TMPDIR). The system reads a page of it
when somebody looks at it, and keeps the page as long as memory is free. It deletes the file with
the last array, and also if the process is killed.
"""

import mmap
import os
import tempfile
from typing import Any
from weakref import WeakSet, finalize

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from cnlw_tools.files.drafts import TEMPORARY_PREFIX
from cnlw_tools.files.machine_faults import raise_machine_fault

FIRST_BLOCK = 1 << 20  # bytes; each further block is as large as all before it
ALIGNMENT = 64  # bytes, as Arrow recommends
IN_MEMORY = 1 << 18  # bytes for which no file is made: small tables may be many
BLOCK_NUMBERS = 1 << 18  # that are copied at a time
RELEASE_BYTES = 1 << 26  # after so many new ones, pages are given back
TEMPORARY = ", or set TMPDIR to another folder"

_blocks: "WeakSet[mmap.mmap]" = WeakSet()  # of all files of this process that are only read
_written_blocks: "WeakSet[mmap.mmap]" = WeakSet()  # of the others


class MappedFile:
    """A temporary file that grows, and is deleted with the last array in it.

    It is made as soon as there is more than a little to keep.
    """

    def __init__(self) -> None:
        self._file: Any = None
        self._size = 0  # of all blocks
        self._next = 0  # where the next array begins
        self._block_start = 0
        self._block: pa.Buffer | None = None
        self._n_new = 0  # bytes since pages were given back; at first, bytes in memory

    def add(self, array: pa.Array) -> pa.Array:
        """Write an array to the disk; return it as it lies there, for reading only.

        Raises:
            OSError: the folder of temporary files is full, or the disk has another fault
        """
        batch = pa.record_batch([array], ["values"])
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, batch.schema) as writer:
            writer.write_batch(batch)
        view = self._write(stream.getvalue())
        return pa.ipc.open_stream(view).read_next_batch().column(0)

    def _write(self, data: pa.Buffer) -> pa.Buffer:
        """Write data to the disk, unless there is little so far; return a view of them."""
        if self._file is None and self._n_new + data.size <= IN_MEMORY:
            self._n_new += data.size
            return data
        try:
            if self._block is None or self._next + data.size > self._size:
                self._block = self._add_block(data.size)
            write_all(self._file.fileno(), data, self._next)
        except OSError as error:
            raise_machine_fault(error, tempfile.gettempdir(), TEMPORARY)
            raise
        view = self._block.slice(self._next - self._block_start, data.size)
        self._next += round_up(data.size, ALIGNMENT)
        self._n_new += data.size
        if self._n_new >= RELEASE_BYTES:
            self._n_new = 0
            release_pages()
        return view

    def _add_block(self, n_bytes: int) -> pa.Buffer:
        """Make the file longer, by at least so many bytes; return the view of the new part."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix=TEMPORARY_PREFIX)  # noqa: SIM115, see below
            finalize(self, self._file.close)  # the views keep what they need
        size = max(FIRST_BLOCK, self._size, round_up(n_bytes, mmap.ALLOCATIONGRANULARITY))
        self._file.truncate(self._size + size)  # takes no room on the disk yet
        handle = self._file.fileno()
        block = mmap.mmap(handle, size, access=mmap.ACCESS_READ, offset=self._size)
        _blocks.add(block)
        self._block_start = self._next = self._size
        self._size += size
        return pa.py_buffer(block)


def zeros(n: int, kind: DTypeLike) -> NDArray[Any]:
    """Return (n,) zeros that lie on the disk, to be written to; few of them are in memory.

    Their room on the disk is taken at once: later, a full disk would end the process.

    Raises:
        OSError: the folder of temporary files is full, or the disk has another fault
    """
    n_bytes = n * np.dtype(kind).itemsize
    if n_bytes <= IN_MEMORY:
        return np.zeros(n, kind)
    empty = pa.py_buffer(bytes(min(n_bytes, FIRST_BLOCK)))
    try:
        with tempfile.TemporaryFile(prefix=TEMPORARY_PREFIX) as file:
            for start in range(0, n_bytes, FIRST_BLOCK):
                length = min(FIRST_BLOCK, n_bytes - start)
                write_all(file.fileno(), empty.slice(0, length), start)
            block = mmap.mmap(file.fileno(), n_bytes)
    except OSError as error:
        raise_machine_fault(error, tempfile.gettempdir(), TEMPORARY)
        raise
    _written_blocks.add(block)
    return np.frombuffer(block, kind)


def store_numbers(values: NDArray[Any], kind: DTypeLike | None = None) -> NDArray[Any]:
    """Return (n,) numbers as they lie on the disk, as numbers of another type if one is given.

    Raises:
        OSError: the folder of temporary files is full, or the disk has another fault
    """
    stored = zeros(len(values), values.dtype if kind is None else kind)
    for start in range(0, len(values), BLOCK_NUMBERS):
        block = slice(start, start + BLOCK_NUMBERS)
        stored[block] = values[block]
    return stored


def write_all(handle: int, data: pa.Buffer, start: int) -> None:
    """Write data into a file, not through a view of it: there, a full disk ends the process."""
    rest = memoryview(data)
    while rest:
        n_written = os.pwrite(handle, rest, start)
        start += n_written
        rest = rest[n_written:]


def round_up(n: int, unit: int) -> int:
    """Return the smallest multiple of a unit that is not below n."""
    return -(-n // unit) * unit


def release_pages(written: bool = True) -> None:
    """Let the system take back the memory of what was read; another look reads it again.

    Args:
        written: also that of arrays that are written to, which is slower to get back
    """
    blocks = [*_blocks, *_written_blocks] if written else [*_blocks]
    for block in blocks:
        block.madvise(mmap.MADV_DONTNEED)
