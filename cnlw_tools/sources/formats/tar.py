"""Tar archives, read by offset: nothing is unpacked, and an archive in an archive is read in its place."""

import tarfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple


class Span(NamedTuple):
    """Where a member lies in the file."""

    offset: int  # bytes
    size: int  # bytes


class Tar:
    """A plain tar file; heads are read when somebody asks, and kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inner: dict[str, Mapping[str, Span]] = {}

    @cached_property
    def members(self) -> Mapping[str, Span]:
        """Where each file of the archive lies, by its name without folders."""
        return spans(self.path, Span(0, self.path.stat().st_size))

    def inner(self, name: str) -> Mapping[str, Span]:
        """Return the same of an archive in the archive.

        Raises:
            LookupError: there is no such member
        """
        if name not in self._inner:
            if name not in self.members:
                raise LookupError(f"{self.path}: it has no member {name!r}")
            self._inner[name] = spans(self.path, self.members[name])
        return self._inner[name]

    def read(self, span: Span) -> bytes:
        """Return the bytes of a member."""
        with self.path.open("rb") as file:
            file.seek(span.offset)
            return file.read(span.size)


def spans(path: Path, part: Span) -> dict[str, Span]:
    """Read the heads of an archive that is a part of a file.

    Raises:
        ValueError: it is no tar archive, it is cut off, or two members have one name
    """
    found: dict[str, Span] = {}
    end = part.offset + part.size
    try:
        with path.open("rb") as file:
            file.seek(part.offset)
            with tarfile.TarFile(fileobj=file) as archive:
                while member := archive.next():
                    archive.members = []  # type: ignore[attr-defined]  # a million heads need not stay
                    name, span = (
                        member.name.rpartition("/")[2],
                        Span(member.offset_data, member.size),
                    )
                    if sum(span) > end:
                        raise ValueError(f"{path}: cut off in {name}: copy it again")
                    if member.isfile() and found.setdefault(name, span) != span:
                        raise ValueError(
                            f"{path}: two members are called {name}: this is another archive"
                        )
                file.seek(archive.offset)
                if file.read(min(tarfile.BLOCKSIZE, end - file.tell())) != bytes(tarfile.BLOCKSIZE):
                    raise ValueError(
                        f"{path}: damaged or cut off at byte {archive.offset}: copy it again"
                    )
    except tarfile.TarError as error:
        raise ValueError(
            f"{path}: no tar archive, or a damaged one ({error}): copy it again"
        ) from error
    return found
