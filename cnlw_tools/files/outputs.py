"""Where commands write: at a path of this machine, or at an address such as ``s3://bucket/a.csv``.

At an address, a command first writes here. What it wrote is put when its work has ended without an
error, so after an error, or if the command is killed, nothing at the address has changed. A kill
while several files are put leaves the first ones there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cnlw_tools.files.drafts import check_writable, scratch_folder
from cnlw_tools.files.folders import list_names
from cnlw_tools.files.mirror import Mirror, every_file
from cnlw_tools.files.storage import RemoteFolder, is_address

Check = Callable[[Path], object]  # raises ValueError if a file is not what it should be


def no_check(path: Path) -> None:
    """Accept any file."""


def check_output(place: Path | str, check_existing: Check = no_check) -> None:
    """Raise if a command may not write a file: before long work, not after it.

    Args:
        place: the path, or the address, of the file
        check_existing: is called with the path of the file that would be replaced, if there is one

    Raises:
        ValueError: the address names no file, or the check raises it
        OSError: no file can be written there
    """
    if is_address(place):
        folder, name = _open_parent(place)
        if folder.find_file(name) is not None:
            _check_remote(folder, name, check_existing)
        folder.check_writable()
        return
    path = Path(place)
    if path.exists():
        check_existing(path)
    check_writable(path.parent)


def check_output_folder(place: Path | str) -> None:
    """Raise if a command may not write a folder: before long work, not after it.

    Raises:
        ValueError, OSError: no folder can be written there
    """
    if is_address(place):
        RemoteFolder(place).check_writable()
    else:
        check_writable(Path(place).parent)


@contextmanager
def output_file(place: Path | str, check_existing: Check = no_check) -> Iterator[Path]:
    """Yield the path to write a file to; at an address, the file is put after the block.

    Args:
        place, check_existing: as for `check_output`

    Raises:
        ValueError, OSError: as for `check_output`, before the block
    """
    check_output(place, check_existing)
    if not is_address(place):
        yield Path(place)
        return
    remote, name = _open_parent(place)
    with scratch_folder() as folder:
        yield folder / name
        remote.put(folder / name, name)


@contextmanager
def changed_folder(
    place: Path | str,
    purpose: str,
    is_needed: Callable[[str], bool] = every_file,
    order: Callable[[str], Any] = str,
) -> Iterator[Path]:
    """Yield a folder to read and to change; of an address, what changed is put after the block.

    Args:
        place: the folder, or the address
        purpose: of a mirror of its own; commands with other purposes need not wait
        is_needed: says of a name at the address whether the block reads or writes this file
        order: the key by which the changed files are sorted before they are put

    Raises:
        BlockingIOError: another command of this machine is at work there
        FileExistsError: another command has changed a file of the address meanwhile
        OSError: the address cannot be read or written
    """
    if not is_address(place):
        yield Path(place)
        return
    mirror = Mirror(place, purpose)
    mirror.home.mkdir(0o700, parents=True, exist_ok=True)  # some files are readable by one only
    with mirror.writing():
        mirror.remote.check_writable()
        remote_files = mirror.update_to_newest(is_needed)
        yield mirror.folder
        names = filter(is_needed, list_names(mirror.folder))
        mirror.push_changes(sorted(names, key=order), remote_files)


def _open_parent(place: Path | str) -> tuple[RemoteFolder, str]:
    """Return the folder of a file at an address, and the name of the file.

    Raises:
        ValueError: the address names no file
    """
    address = RemoteFolder(place).address
    scheme, _, path = address.partition("://")
    folder, slash, name = path.rpartition("/")
    if not slash:
        raise ValueError(f"{address} names no file: give {scheme}://BUCKET/NAME")
    return RemoteFolder(f"{scheme}://{folder}"), name


def _check_remote(remote: RemoteFolder, name: str, check_existing: Check) -> None:
    """Check a file of a storage.

    Raises:
        ValueError: the check raises it; the message names the address
    """
    if check_existing is no_check:
        return
    with scratch_folder() as folder:
        path = folder / name
        remote.get(name, path)
        try:
            check_existing(path)
        except ValueError as error:
            message = str(error).replace(str(path), f"{remote.address}/{name}")
            raise ValueError(message) from error
