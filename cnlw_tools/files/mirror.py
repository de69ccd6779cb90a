"""The mirror of a folder of a storage: its copy on this machine, in which commands work.

    CACHE/storage/HASH/NAME          the copy of the address with this hash
    CACHE/storage/HASH/state.json    what each file was when it was last the same on both sides
    CACHE/storage/HASH/arriving/     files that are on their way
    CACHE/storage/HASH/writing       is locked by the command that writes to the address; it holds
                                     the address

A command that reads makes the mirror the same as the storage, and then reads the mirror. A command
that writes does so in the mirror, and puts each file when it is complete. So all other code reads
and writes folders of this machine, and what is there already is not copied again.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from threading import Event

from cnlw_tools.files.cache import default_cache
from cnlw_tools.files.drafts import atomic_write
from cnlw_tools.files.folders import list_names
from cnlw_tools.files.locks import lock, wait_for_lock
from cnlw_tools.files.storage import RemoteFile, RemoteFolder, ReplacedFile, is_address
from cnlw_tools.files.texts import read_json

STATE = "state.json"
WRITING = "writing"
ARRIVING = "arriving"
N_DOWNLOADS = 8  # at once: most of the time of one passes with waiting
REMEDY = "delete it, and the files are copied again"
SECONDS_BETWEEN_SAVES = 5.0  # of the state: what a kill makes the next command copy again

Progress = Callable[[str, int, int], None]  # stage, done, total
State = dict[str, list[str | int]]  # file -> its version, and size and time of its copy


def no_progress(stage: str, done: int, total: int) -> None:
    """Show nothing."""


def every_file(name: str) -> bool:
    """Return that a file is needed."""
    return True


class Mirror:
    """The copy of a folder of a storage."""

    def __init__(self, address: Path | str, purpose: str = "") -> None:
        """Open the mirror of an address; nothing is requested yet.

        Args:
            address: of the folder
            purpose: of a mirror of its own, beside those of the same address for other purposes

        Raises:
            ValueError, ModuleNotFoundError: no storage is served under this address
        """
        self.remote = RemoteFolder(address)
        key = sha256(f"{self.remote.address}{purpose}".encode()).hexdigest()[:16]
        self.home = default_cache() / "storage" / key
        self.folder = self.home / self.remote.name

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let no other command of this machine write to this address, or read from it.

        Raises:
            BlockingIOError: another one does
        """
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / WRITING).write_text(self.remote.address, encoding="utf-8")
        handle = lock(
            self.home / WRITING,
            f"{self.remote.address}: another command of this machine is at work there: wait for it",
        )
        try:
            yield
        finally:
            os.close(handle)

    def read(
        self, is_needed: Callable[[str], bool] = every_file, progress: Progress = no_progress
    ) -> Path:
        """Make the mirror the same as the storage, and return its folder.

        Args:
            is_needed: says of a name whether the file is needed
            progress: is told how many bytes came

        Raises:
            OSError: there is nothing at the address, or it cannot be read
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with wait_for_lock(self.home), self.writing():
            if not self.update_to_newest(is_needed, progress):
                raise FileNotFoundError(
                    f"{self.remote.address}: there is nothing at this address: check it"
                )
        return self.folder

    def update_to_newest(
        self, is_needed: Callable[[str], bool] = every_file, progress: Progress = no_progress
    ) -> dict[str, RemoteFile]:
        """Make the mirror the same as the storage is now, within `writing`; return its files.

        Args:
            is_needed: says of a name whether the file is needed
            progress: is told how many bytes came

        Raises:
            OSError: a file cannot be read
        """
        while True:
            remote_files = self.remote.list_files()
            with suppress(ReplacedFile):  # by another command since they were listed
                self.update(remote_files, is_needed, progress)
                return remote_files

    def update(
        self,
        remote_files: Mapping[str, RemoteFile],
        is_needed: Callable[[str], bool] = every_file,
        progress: Progress = no_progress,
    ) -> None:
        """Make the mirror the same as the storage, within `writing`.

        Args:
            remote_files: the files of the storage
            is_needed: says of a name whether the file is needed
            progress: is told how many bytes came

        Raises:
            OSError: a file cannot be read
        """
        for name in list_names(self.folder):
            if name not in remote_files:
                (self.folder / name).unlink()
        self.pull(remote_files, self.folder, is_needed, progress)

    def pull(
        self,
        remote_files: Mapping[str, RemoteFile],
        folder: Path,
        is_needed: Callable[[str], bool] = every_file,
        progress: Progress = no_progress,
    ) -> None:
        """Copy files of the storage that a folder does not have as they are.

        Args:
            remote_files: the files of the storage
            folder: the mirror, or the draft of what it will be
            is_needed: says of a name whether the file is needed
            progress: is told how many bytes came

        Raises:
            OSError: a file cannot be read
        """
        state = self._read_state()
        missing = {}
        for name, file in remote_files.items():
            if is_needed(name) and state.get(name) != _state_of(file, folder / name):
                missing[name] = file
        total = sum(file.size for file in missing.values())
        done = 0
        with self._saved(state) as save_at_times:
            for name in self._fetch_files(missing, folder):
                state[name] = _state_of(missing[name], folder / name)
                save_at_times()
                done += missing[name].size
                progress("download", done, total)

    def _fetch_files(self, remote_files: Mapping[str, RemoteFile], folder: Path) -> Iterator[str]:
        """Copy files of the storage, several at once, and yield the name of each that is there.

        Raises:
            OSError: a file cannot be read; those that came before it have been yielded
        """
        drafts = self.home / ARRIVING
        remove_folder(drafts)  # a killed command may have left some
        drafts.mkdir()
        must_stop = Event()

        def fetch(number: int, name: str) -> str | None:
            """Copy a file, which appears when it is complete, unless the copying must stop."""
            if must_stop.is_set():
                return None
            draft, path = drafts / str(number), folder / name
            try:
                self.remote.get(name, draft, remote_files[name].size)
                path.parent.mkdir(parents=True, exist_ok=True)
                draft.replace(path)
            except BaseException:
                must_stop.set()
                raise
            return name

        errors = []
        with ThreadPoolExecutor(N_DOWNLOADS) as threads:
            futures = [threads.submit(fetch, *item) for item in enumerate(remote_files)]
            try:
                for future in as_completed(futures):
                    if error := future.exception():
                        errors.append(error)
                    elif name := future.result():
                        yield name
            finally:
                must_stop.set()
        if errors:
            raise errors[0]

    def push(self, names: Iterable[str], folder: Path, progress: Progress = no_progress) -> None:
        """Put the files of a folder, in this order, that are not in the storage as they are.

        Args:
            names: of the files, as they are in the storage
            folder: the mirror, or the draft of what it will be
            progress: is told how many files are there

        Raises:
            OSError: a file cannot be written
        """
        names = list(names)
        state = self._read_state()
        with self._saved(state) as save_at_times:
            for done, name in enumerate(names, 1):
                path = folder / name
                entry = state.get(name)
                if entry is None or entry[1:] != _local_state(path):
                    state[name] = _state_of(self.remote.put(path, name), path)
                    save_at_times()
                progress("upload", done, len(names))

    def push_instead(self, name: str, folder: Path, version: str | None) -> None:
        """Put a file, but only if what is in the storage is still of a version.

        Args:
            name: of the file
            folder: the mirror
            version: of what may be replaced; None: nothing may be there

        Raises:
            FileExistsError: something else is there
            OSError: the file cannot be written
        """
        state = self._read_state()
        with self._saved(state):
            path = folder / name
            state[name] = _state_of(self.remote.replace(path, name, version), path)

    def push_changes(self, names: Iterable[str], remote_files: Mapping[str, RemoteFile]) -> None:
        """Put the files of the mirror, in this order, that are not in the storage as they are.

        Args:
            names: of the files, as they are in the storage
            remote_files: the files of the storage when the mirror was the same

        Raises:
            FileExistsError: another command has written one of these files since then
            OSError: a file cannot be written
        """
        state = self._read_state()
        for name in names:
            entry = state.get(name)
            if entry is None or entry[1:] != _local_state(self.folder / name):
                file = remote_files.get(name)
                self.push_instead(name, self.folder, None if file is None else file.version)

    def known_version(self, name: str) -> str | None:
        """Return the version of a file when it was last the same on both sides, if it ever was."""
        entry = self._read_state().get(name)
        return None if entry is None else str(entry[0])

    def forget_others(self, remote_files: Mapping[str, RemoteFile]) -> None:
        """Forget files that the storage has no more, or has otherwise."""
        state = self._read_state()
        unchanged = {}
        for name, entry in state.items():
            if name in remote_files and remote_files[name].version == entry[0]:
                unchanged[name] = entry
        self._write_state(unchanged)

    @contextmanager
    def _saved(self, state: State) -> Iterator[Callable[[], None]]:
        """Write the state after the block, and after an error in it.

        Yields:
            a function that also writes it, if a few seconds have passed since it was written
        """
        saved_state = dict(state)
        saved_at = time.monotonic()

        def save_at_times() -> None:
            nonlocal saved_at
            if time.monotonic() - saved_at > SECONDS_BETWEEN_SAVES:
                self._write_state(state)
                saved_at = time.monotonic()

        try:
            yield save_at_times
        finally:
            if state != saved_state:
                self._write_state(state)

    def _read_state(self) -> State:
        """Return version, size and time of each file when it was last the same on both sides.

        Raises:
            ValueError: the file of them is damaged
        """
        path = self.home / STATE
        if not path.exists():
            return {}
        state: State = read_json(path, REMEDY)
        if not isinstance(state, dict) or not all(map(_is_file_state, state.values())):
            raise ValueError(f"{path}: it does not list the files of a local copy: {REMEDY}")
        return state

    def _write_state(self, state: State) -> None:
        with atomic_write(self.home / STATE) as draft:
            draft.write_text(json.dumps(state), encoding="utf-8")


def local_copy(
    path: Path | str,
    is_needed: Callable[[str], bool] = every_file,
    progress: Progress = no_progress,
) -> Path:
    """Return a path of this machine: the path given, or the mirror of an address, made current.

    Args:
        path: a folder or a file, or the address of a folder
        is_needed: says of a name below the address whether the file is needed
        progress: is told how many bytes came

    Raises:
        ValueError, OSError: the address cannot be read
    """
    return Mirror(path).read(is_needed, progress) if is_address(path) else Path(path)


def name_addresses(text: str) -> str:
    """Return a text with the address in place of each path below its mirror."""
    storage = default_cache() / "storage"

    def name_address(match: re.Match[str]) -> str:
        record = storage / match[1] / WRITING
        if not record.is_file():
            return match[0]
        address = record.read_text(encoding="utf-8")
        name = PurePosixPath(address).name
        first, slash, rest = match[2].partition("/")
        is_copy = first == name or first.startswith(f"{name}.")  # or a draft of one
        return f"{address}{slash}{rest}" if is_copy else match[0]

    return re.sub(rf"{re.escape(str(storage))}/([0-9a-f]{{16}})/([^\s:,;()']+)", name_address, text)


def remove_folder(folder: Path) -> None:
    """Delete a folder of a mirror, if it is there."""
    if folder.is_dir():
        shutil.rmtree(folder)


def _state_of(file: RemoteFile, path: Path) -> list[str | int]:
    """Return the state of a file of the storage and of its copy."""
    return [file.version, *_local_state(path)]


def _is_file_state(value: object) -> bool:
    """Return whether a value is what `_state_of` returns of a file that is there."""
    if not isinstance(value, list):
        return False
    return [type(part) for part in value] == [str, int, int]


def _local_state(path: Path) -> list[str | int]:
    """Return the size and the time of a file; nothing where there is none."""
    if not path.is_file():
        return []
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
