"""Files that a user or the web brought: opened with limits, and read with one kind of error.

Each other module of this package reads one format by a library. Whatever such a library raises on a
damaged or hostile file is about its bytes, so all of it becomes a `BadFile`, which names the file,
what is wrong and a remedy. Only what the disk says (no such file, no permission) stays an OSError.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cnlw_tools.files.machine_faults import find_fault

COPY_AGAIN = "copy this file again"
LONGEST_REASON = 200  # characters of what a library says
ADDRESSES_AND_COLOURS = re.compile(r" at 0x[0-9a-f]+|\x1b\[\d*m")  # of objects; of a terminal


class BadFile(ValueError):
    """A file that cannot be read: its message names the file, what is wrong and a remedy."""


@contextmanager
def translate_errors(
    place: Path | str,
    kind: str,
    remedy: str = COPY_AGAIN,
) -> Iterator[None]:
    """Raise a BadFile where the block, the call of a library, raises anything but a disk's error.

    Args:
        place: what the error calls the file
        kind: what it should be: "JSON", "a zip archive"
        remedy: ends the error

    Raises:
        BadFile: the library cannot read the bytes
        OSError: the disk cannot
    """
    try:
        yield
    except (BadFile, FileNotFoundError, IsADirectoryError):
        raise
    except Exception as error:  # whatever a parser raises is about the bytes
        # A library seeks to where a damaged file points, and the disk calls that invalid.
        is_of_disk = isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
        if is_of_disk:
            raise
        if not isinstance(error, MemoryError) and (fault := find_fault(error)):
            raise fault from error
        reason = describe_error(error)
        tail = f": {remedy}" if remedy else ""
        raise BadFile(f"{place} cannot be read as {kind} ({reason}){tail}") from error


def describe_error(error: Exception) -> str:
    """Return in one short line what a library's error says."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = ADDRESSES_AND_COLOURS.sub("", error_line(error))
    name = type(error).__name__
    if not isinstance(error, ValueError | OSError) and text != name:
        text = f"{name}: {text}"
    return f"{text[:LONGEST_REASON]} ..." if len(text) > LONGEST_REASON else text


def error_line(error: Exception) -> str:
    """Return all that an error says in one line; its kind if it says nothing."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return " ".join(str(text).split()) or type(error).__name__


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, as of torch and Arrow; its kind if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def check_regular(path: Path, remedy: str = "check the path") -> int:
    """Return the size of a file in bytes, without opening it: reading a pipe would never end.

    Raises:
        BadFile: it is a pipe, a socket or a device
        OSError: there is no such file (the message ends with the remedy), or it is a folder
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: there is no such file: {remedy}") from error
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{path}: this is a folder, not a file: name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise BadFile(
            f"{path}: this is a pipe, a socket or a device, not a file: save its contents to a file"
        )
    return status.st_size


def read_bytes(path: Path, limit: int, remedy: str = COPY_AGAIN) -> bytes:
    """Return all bytes of a file, of which there may be at most ``limit``.

    Raises:
        BadFile: there are more, or it is not a regular file
        OSError: the file cannot be read
    """
    check_size(path, check_regular(path, remedy), limit, remedy)
    return path.read_bytes()


def check_size(
    place: Path | str,
    n_bytes: int,
    limit: int,
    remedy: str = COPY_AGAIN,
) -> None:
    """Check that what is to be read whole is at most ``limit`` bytes long.

    Raises:
        BadFile: it is longer
    """
    if n_bytes > limit:
        raise BadFile(
            f"{place}: it has {to_megabytes(n_bytes)}, but at most {to_megabytes(limit)} are read: "
            f"{remedy}"
        )


def to_megabytes(n_bytes: float) -> str:
    """Return a size as an error shows it."""
    return f"{n_bytes / 1e6:,.0f} MB"


class BoundedReader:
    """A file of which a single read returns at most ``per_read`` bytes and all at most ``total``.

    It stands between a library and a file whose headers may announce any size.
    """

    def __init__(
        self,
        file: BinaryIO,
        place: Path | str,
        per_read: int,
        total: int | None = None,
    ) -> None:
        self.file = file
        self.place = place
        self.per_read = per_read
        self.total = total
        self.n_read = 0

    def read(self, n_bytes: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            BadFile: more bytes are asked for than may be read
        """
        if n_bytes < 0:
            n_bytes = self.per_read + 1
            data = self.file.read(n_bytes)
            n_bytes = len(data)
            check_size(self.place, n_bytes, self.per_read)
        else:
            check_size(self.place, n_bytes, self.per_read)
            data = self.file.read(n_bytes)
        self.n_read += len(data)
        if self.total is not None:
            check_size(self.place, self.n_read, self.total)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place of the file."""
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the file."""
        return self.file.tell()
