"""A folder of this machine, or of a storage: what can be done in both of them alike."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from cnlw_tools.files.drafts import TEMPORARY_PREFIX, atomic_write
from cnlw_tools.files.locks import LOCK_FILE
from cnlw_tools.files.storage import RemoteFile, RemoteFolder, is_address

Result = TypeVar("Result")


class Folder(Protocol):
    """Files by name; one that is written appears when it is complete."""

    address: str  # or the path

    def list_files(self) -> Mapping[str, RemoteFile]:
        """Return all files by their names below the folder, sorted; none where nothing is."""
        ...

    def write(self, name: str, write: Callable[[Path], None]) -> None:
        """Make the file that a function writes to the path it is given."""
        ...

    def write_instead(self, name: str, write: Callable[[Path], None], version: str | None) -> None:
        """Make the file that a function writes, unless another command has written this name.

        Args:
            name: of the file
            write: writes it to the path that it is given
            version: of what may be replaced; none: nothing may be there
        """
        ...

    def read(self, name: str, read: Callable[[BinaryIO], Result]) -> Result:
        """Return what a function reads of a file."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file."""
        ...


def open_folder(place: Path | str) -> Folder:
    """Return the folder at a path or an address, whether or not anything is there.

    Raises:
        ValueError, ModuleNotFoundError: no storage is served under this address
    """
    return RemoteFolder(place) if is_address(place) else LocalFolder(Path(place))


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = str(path)

    def list_files(self) -> dict[str, RemoteFile]:
        """Return all files by their names below the folder, sorted; none where nothing is."""
        descriptions = {}
        for name in list_names(self.path):
            status = (self.path / name).stat()
            descriptions[name] = RemoteFile(
                status.st_size, str(status.st_mtime_ns), status.st_mtime
            )
        return descriptions

    def write(self, name: str, write: Callable[[Path], None]) -> None:
        """Make the file that a function writes to the path it is given.

        Raises:
            OSError: it cannot be written
        """
        with atomic_write(self.path / name) as draft:
            write(draft)

    def write_instead(self, name: str, write: Callable[[Path], None], version: str | None) -> None:
        """Make the file that a function writes, unless another command has written this name.

        Raises:
            FileExistsError: another one has
            OSError: it cannot be written
        """
        file = self.list_files().get(name)
        if (file.version if file else None) != version:
            raise FileExistsError(
                f"{self.path / name}: another command has just written this file: run this command "
                "again"
            )
        self.write(name, write)

    def read(self, name: str, read: Callable[[BinaryIO], Result]) -> Result:
        """Return what a function reads of a file.

        Raises:
            OSError: the file cannot be read
        """
        with (self.path / name).open("rb") as file:
            return read(file)

    def delete(self, name: str) -> None:
        """Delete a file.

        Raises:
            OSError: it cannot be deleted
        """
        (self.path / name).unlink()


def list_names(folder: Path) -> list[str]:
    """Return the names of all files below a folder, sorted, but not of drafts and locks."""
    names = []
    for path in sorted(folder.rglob("*")):
        is_aside = path.name.startswith(TEMPORARY_PREFIX) or path.name == LOCK_FILE
        if path.is_file() and not is_aside:
            names.append(path.relative_to(folder).as_posix())
    return names
