"""Tar archives, read by offset: nothing is unpacked, and archives may be nested."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cnlw_tools.files.archives import open_tar
from cnlw_tools.files.untrusted import BadFile, check_regular
from cnlw_tools.sources.formats.listing import is_clutter_path

BLOCK_SIZE = 512  # bytes


class ByteRange(NamedTuple):
    """Where a member lies in the file."""

    offset: int  # bytes
    size: int  # bytes

    @property
    def end(self) -> int:
        """The first byte behind the member."""
        return self.offset + self.size


class TarArchive:
    """An uncompressed tar file. Its headers are read on first use and stay in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._nested: dict[str, Mapping[str, ByteRange]] = {}

    @cached_property
    def members(self) -> Mapping[str, ByteRange]:
        """Where each file of the archive lies, by its name without folders."""
        return list_members(self.path, ByteRange(0, self.path.stat().st_size))

    def nested_members(self, name: str) -> Mapping[str, ByteRange]:
        """Return where each file of a nested archive lies, by its name without folders.

        Raises:
            LookupError: this archive has no member of that name
        """
        if name not in self._nested:
            if name not in self.members:
                raise LookupError(
                    f"{self.path}: the archive has no member {name!r}: use the official archive"
                )
            self._nested[name] = list_members(self.path, self.members[name])
        return self._nested[name]

    def read(self, member: ByteRange) -> bytes:
        """Return the bytes of a member."""
        with self.path.open("rb") as file:
            file.seek(member.offset)
            return file.read(member.size)


def list_members(path: Path, archive: ByteRange) -> dict[str, ByteRange]:
    """Return where the files of an archive lie, by their names without folders.

    Args:
        path: a file
        archive: which bytes of it are the archive

    Raises:
        ValueError: it is not a tar archive, it is cut off, or two members have the same name
    """
    check_regular(path)
    with path.open("rb") as file:
        file.seek(archive.offset)
        return _read_headers(file, path, archive)


def _read_headers(file: BinaryIO, path: Path, archive: ByteRange) -> dict[str, ByteRange]:
    members: dict[str, ByteRange] = {}
    with open_tar(file, path) as reader:
        while header := reader.next():
            reader.members = []  # type: ignore[attr-defined]  # do not keep a million headers
            name = header.name.rpartition("/")[2]
            member = ByteRange(header.offset_data, header.size)
            if member.end > archive.end:
                raise BadFile(f"{path}: the file is cut off in {name}: copy it again")
            if is_clutter_path(header.name) or not header.isfile():
                continue
            if members.setdefault(name, member) != member:
                raise BadFile(
                    f"{path}: two members are called {name}: use the original archive, "
                    "where names are unique"
                )
        _check_end_mark(file, path, reader.offset, archive.end)
    return members


def _check_end_mark(file: BinaryIO, path: Path, offset: int, end: int) -> None:
    """Check that a block of zeros follows the last member, as in every whole archive."""
    file.seek(offset)
    block = file.read(min(BLOCK_SIZE, end - offset))
    if block != bytes(BLOCK_SIZE):
        raise BadFile(f"{path}: the file is damaged or cut off at byte {offset}: copy it again")
