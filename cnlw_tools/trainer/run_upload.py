"""A run at an address such as ``s3://bucket/run``: it is trained in the mirror of the address.

A command first makes the mirror the same as the address. It puts the files of the run whenever it
has written a checkpoint: that of the checkpoint after those that it relies on, and the result last.
So another machine goes on from the last checkpoint that is there, as if the folder were its own.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cnlw_tools.files.mirror import Mirror
from cnlw_tools.files.storage import RemoteFile, is_address
from cnlw_tools.recipe.run_files import CHECKPOINT, CONFIG, RESULT, find_run_files, is_run_file

ORDER = (CHECKPOINT, RESULT)  # of what is put last


class RunUpload:
    """The files of a run at an address, and their copies."""

    def __init__(self, address: Path | str) -> None:
        """Open the mirror of an address; nothing is requested yet.

        Raises:
            ValueError, ModuleNotFoundError: no storage is served under this address
        """
        self.mirror = Mirror(address)
        self.address = self.mirror.remote.address
        self.folder = self.mirror.folder
        self._lock = ExitStack()

    def begin(self) -> None:
        """Lock the mirror until `close`, and make it the same as the address.

        Raises:
            BlockingIOError: another command of this machine is at work there
            OSError: the address cannot be read or written
        """
        with ExitStack() as stack:
            stack.enter_context(self.mirror.writing())
            self.mirror.remote.check_writable()
            self.mirror.update(self.list_files())
            self._lock = stack.pop_all()

    def close(self) -> None:
        """Unlock the mirror."""
        self._lock.close()

    def delete_missing(self) -> None:
        """Delete what the address has of the run and the mirror has not, config.json last.

        Raises:
            OSError: a file cannot be deleted
        """
        names = self._local_names()
        extra = [name for name in self.list_files() if name not in names]
        for name in sorted(extra, key=lambda name: name == CONFIG):
            self.mirror.remote.delete(name)

    def publish(self) -> None:
        """Put the files of the run that are not at the address as they are.

        Raises:
            BlockingIOError: another machine has put a checkpoint there meanwhile
            OSError: a file cannot be written
        """
        checkpoint = self.list_files().get(CHECKPOINT)
        version = None if checkpoint is None else checkpoint.version
        if version is not None and version != self.mirror.known_version(CHECKPOINT):
            raise BlockingIOError(
                f"{self.address}: another machine is training the same run: end one of the two "
                "commands, and run the other one again"
            )
        self.mirror.push(sorted(self._local_names(), key=_order), self.folder)

    def _local_names(self) -> list[str]:
        paths = find_run_files(self.folder)
        return [path.relative_to(self.folder).as_posix() for path in paths]

    def list_files(self) -> dict[str, RemoteFile]:
        """Return the files of the run at the address.

        Raises:
            OSError: the address cannot be read
        """
        files = self.mirror.remote.list_files()
        return {name: file for name, file in files.items() if is_run_file(name)}


def _order(name: str) -> int:
    return ORDER.index(name) if name in ORDER else -1


@contextmanager
def open_run(place: Path | str) -> Iterator[Path]:
    """Yield the folder of a run for writing; of one at an address, its files are put at the end.

    Raises:
        OSError: the address cannot be written, or others are at work there
    """
    if not is_address(place):
        folder = Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    upload = RunUpload(place)
    upload.begin()
    try:
        upload.folder.mkdir(parents=True, exist_ok=True)
        yield upload.folder
        upload.publish()
    finally:
        upload.close()


def copy_run(place: Path | str) -> Path:
    """Return the folder of a run; of one at an address, the files are copied.

    It is empty where no run is at the address.

    Raises:
        OSError: the address cannot be read, or another command of this machine is at work there
    """
    if not is_address(place):
        return Path(place)
    upload = RunUpload(place)
    with upload.mirror.writing():
        upload.mirror.update(upload.list_files())
    return upload.folder
