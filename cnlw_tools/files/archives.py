"""Zip, tar and gzip: members are read one by one into memory, never unpacked to a disk.

An archive of a few kilobytes may announce, or expand to, any number of bytes. So a caller
says how many bytes it allows, and no more are decompressed.
"""

import gzip
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast
from zipfile import Path as ZipPath
from zipfile import ZipFile

from cnlw_tools.files.untrusted import (
    COPY_AGAIN,
    BadFile,
    BoundedReader,
    check_regular,
    check_size,
    read_bytes,
    translate_errors,
)

MAX_MEMBERS = 1_000_000  # of a zip archive
LARGEST_HEADER = 1 << 20  # bytes of one header of a tar archive: long names, pax records
ZIP, TAR = "a zip archive", "a tar archive"

ArchivePath = Path | ZipPath  # of a file, or of a member of a zip


def open_zip(file: Path | BinaryIO, place: Path) -> ZipFile:
    """Open a zip archive; ``place`` is what errors call it.

    It stays open until its ``close``, or until the end of a ``with`` block.

    Raises:
        BadFile, OSError: it is none, has too many members, or cannot be read
    """
    if isinstance(file, Path):
        check_regular(file)
    with translate_errors(place, ZIP):
        archive = ZipFile(file)
    n_members = len(archive.infolist())
    if n_members > MAX_MEMBERS:
        raise BadFile(
            f"{place}: it has {n_members:,} members, but at most {MAX_MEMBERS:,} are read: "
            "use the official archive"
        )
    return archive


def read_member(
    archive: ZipFile,
    name: str,
    limit: int,
    place: Path,
) -> bytes:
    """Return the bytes of a member of a zip archive, of which there may be at most ``limit``.

    Raises:
        BadFile: there is no such member, it is too long, encrypted or damaged
        OSError: the archive cannot be read
    """
    with translate_errors(place, ZIP):
        member = archive.getinfo(name)
        check_size(f"{place}: {name}", member.file_size, limit)
        if member.flag_bits & 1:
            raise ValueError(f"{name} is encrypted")
        return archive.read(member)


def read_path(path: ArchivePath, limit: int) -> bytes:
    """Return the bytes of a file, or of a member of a zip archive, at most ``limit``.

    Raises:
        BadFile: there are more, or they cannot be read
        OSError: the file cannot be read
    """
    if isinstance(path, Path):
        return read_bytes(path, limit)
    archive = cast("ZipFile", path.root)
    return read_member(archive, path.at, limit, Path(str(archive.filename)))


@contextmanager
def open_gzip(
    path: Path,
    kind: str,
    total: int,
) -> Iterator[BoundedReader]:
    """Open a file, compressed by gzip if its name ends so, of which ``total`` bytes may be read.

    Args:
        path: the file
        kind: what it should be, for errors
        total: bytes, decompressed

    Raises:
        BadFile, OSError: it is damaged, no regular file, or cannot be read
    """
    check_regular(path)
    open_file: Any = gzip.open if path.suffix == ".gz" else open
    with translate_errors(path, kind), open_file(path, "rb") as file:
        yield BoundedReader(file, path, total, total)


@contextmanager
def open_tar(
    file: BinaryIO,
    place: Path,
    remedy: str = COPY_AGAIN,
) -> Iterator[tarfile.TarFile]:
    """Open a tar archive that is not compressed, for its headers; ``place`` is for errors.

    Raises:
        BadFile: it is none, or a header is too long
    """
    with translate_errors(place, TAR, remedy):
        reader: Any = BoundedReader(file, place, LARGEST_HEADER)
        with tarfile.TarFile(fileobj=reader) as archive:
            yield archive


def read_tar_members(
    path: Path,
    names: Sequence[str],
    limit: int,
) -> list[bytes]:
    """Return the bytes of some members of a tar archive, compressed by gzip or not.

    Args:
        path: the archive
        names: of the members
        limit: how many bytes the archive may have, decompressed, up to the last of them

    Raises:
        BadFile, OSError: it is damaged or too long, has no such member, or cannot be read
    """
    contents: dict[str, bytes] = {}
    with open_gzip(path, TAR, limit) as reader:
        file: Any = reader
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                if member.name in names and (content := archive.extractfile(member)):
                    contents[member.name] = content.read()
                if len(contents) == len(set(names)):
                    break
        missing = [name for name in names if name not in contents]
        if missing:
            raise ValueError(f"it has no {missing[0]}")
    return [contents[name] for name in names]
