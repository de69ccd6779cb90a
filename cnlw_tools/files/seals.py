"""Files that carry their own sha256, so that damage of a single bit is seen.

The last 71 bytes are "sha256:" and the digest, in hex, of all bytes before them. File and digest
are one file and replaced together. In a zip file they are its comment, and other programs read it
as before: `torch.save` writes such archives, and `torch.load` looks at no checksum.
"""

import hashlib
import os
import struct
from pathlib import Path
from zipfile import ZipFile

from cnlw_tools.files.untrusted import BadFile, check_regular, translate_errors

PREFIX = b"sha256:"
LENGTH = len(PREFIX) + 2 * hashlib.sha256().digest_size
END = b"PK\x05\x06"  # begins the last record of a zip file, of 22 bytes without the comment
END_LENGTH = 22
CHUNK = 1 << 20  # bytes read at a time


def seal(path: Path) -> None:
    """Add the digest to a zip file that has no comment."""
    with path.open("rb+") as file:
        file.seek(-2, os.SEEK_END)
        file.write(struct.pack("<H", LENGTH))
        file.flush()
        file.write(PREFIX + _digest(path, file.tell()))


def append_digest(path: Path) -> None:
    """Add the digest to a file whose reader knows where its content ends."""
    digest = _digest(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(PREFIX + digest)


def check_digest(path: Path, remedy: str) -> int:
    """Check the bytes of a file by the digest at its end; return how many come before it.

    Raises:
        BadFile: a byte has changed, or there is no digest
        OSError: the file cannot be read
    """
    n_bytes = check_regular(path, remedy) - LENGTH
    if n_bytes < 0 or _read_end(path, LENGTH) != PREFIX + _digest(path, n_bytes):
        raise BadFile(f"{path}: the file is damaged, because its sha256 differs: {remedy}")
    return n_bytes


def is_sealed(path: Path) -> bool:
    """Tell whether a file carries its digest."""
    return _read_end(path, LENGTH).startswith(PREFIX)


def check_seal(path: Path) -> None:
    """Check the bytes of a zip file by its digest, or, if it never had one, by its checksums.

    Raises:
        BadFile: a byte has changed, or it is not a zip file
    """
    comment = _read_end(path, LENGTH)
    if comment == PREFIX + _digest(path, path.stat().st_size - LENGTH):
        return
    end = _read_end(path, END_LENGTH)
    if not end.startswith(END) or not end.endswith(b"\0\0"):
        raise BadFile(
            f"{path}: the file is damaged, because its sha256 differs: restore it from a copy"
        )
    with translate_errors(path, "a zip archive", ""), ZipFile(path) as archive:
        damaged_member = archive.testzip()
    if damaged_member is not None:
        raise BadFile(
            f"{path}: the file is damaged, because the checksum of {damaged_member} differs: "
            "restore it from a copy"
        )


def _digest(path: Path, n_bytes: int) -> bytes:
    """Return the sha256 of the first bytes of a file, in hex."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while n_bytes > 0 and (chunk := file.read(min(CHUNK, n_bytes))):
            hasher.update(chunk)
            n_bytes -= len(chunk)
    return hasher.hexdigest().encode()


def _read_end(path: Path, n_bytes: int) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - n_bytes))
        return file.read()
