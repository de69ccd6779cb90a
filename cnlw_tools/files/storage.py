"""Where files lie: in a folder of this machine, or at an address such as ``s3://bucket/folder``.

At such an address is a storage of objects. It has no folders, no locks and no renames, but a put
makes a file appear as a whole or not at all. A storage that cannot promise this is not in STORAGES.
"""

import errno
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar
from uuid import uuid4

from cnlw_tools.files.drafts import HOST, TEMPORARY_PREFIX, scratch_folder
from cnlw_tools.files.machine_faults import find_causes
from cnlw_tools.files.untrusted import BadFile, describe_error, to_megabytes

STORAGES: Mapping[str, str] = {  # scheme -> the package that serves it
    "s3": "s3fs",
    "gs": "gcsfs",
    "hf": "huggingface_hub",
    "memory": "fsspec",  # the memory of this process: for tests
}
KNOWN = "s3:// (extra s3), gs:// (extra gs) or hf://"
# A path keeps one of the slashes. One letter would be a drive of Windows.
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
WAITS = (1, 2, 4, 8, 16)  # seconds before further attempts, if another may succeed
INVALID_NAMES = ("ParamValidationError", "HfUriError")  # of a bucket or a repository
# What another attempt does not change, by the names of errors: not all packages are installed.
LASTING = {
    *("FileNotFoundError", "PermissionError", "NotImplementedError"),
    *("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"),
    *("LocalTokenNotFoundError", "DefaultCredentialsError"),
    *("ReplacedFile", *INVALID_NAMES),
}
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
VERSIONS = ("generation", "ETag", "blob_id")  # what storages say of contents
FORBIDDEN = (401, 403)  # statuses
MAX_OBJECT = 5 << 30  # bytes that S3 takes in one request
GIT_FILE = ".gitattributes"  # the Hub puts it into every repository
TIMES = ("LastModified", "updated", "created")  # of a file

Result = TypeVar("Result")


def is_address(path: Path | str) -> bool:
    """Return whether a path is an address of a storage, such as ``s3://bucket/folder``."""
    return ADDRESS.fullmatch(str(path)) is not None


def below(place: Path | str, name: str) -> Path | str:
    """Return the path, or the address, of what has this name in a folder."""
    return f"{str(place).rstrip('/')}/{name}" if is_address(place) else Path(place) / name


def with_ending(place: Path | str, ending: str) -> Path | str:
    """Return a path, or an address, with another ending of its name, such as ``.xml``."""
    if not is_address(place):
        return Path(place).with_suffix(ending)
    folder, slash, name = str(place).rstrip("/").rpartition("/")
    return f"{folder}{slash}{PurePosixPath(name).with_suffix(ending)}"


def is_inside(place: Path | str, folder: Path | str) -> bool:
    """Return whether a path, or an address, is that of a folder, or of something in it."""
    if is_address(place) != is_address(folder):
        return False
    if not is_address(place):
        return Path(place).resolve().is_relative_to(Path(folder).resolve())
    address, parent = RemoteFolder(place).address, RemoteFolder(folder).address
    return f"{address}/".startswith(f"{parent}/")


def local_path(path: Path | str) -> Path:
    """Return a path of this machine.

    Raises:
        ValueError: it is an address of a storage, of which a folder would be made here
    """
    if is_address(path):
        raise ValueError(
            f"{path}: this is an address, but a folder or a file of this machine is needed: "
            "give a local path, and copy the files from or to the address with the tool of the "
            "storage service"
        )
    return Path(path)


class ReplacedFile(OSError):
    """A file of a storage was written anew between two looks at it."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What a storage says of a file."""

    size: int  # in bytes
    version: str  # another one if the contents are others
    timestamp: float | None  # of its last put, in seconds since 1970


class RemoteFolder:
    """All files of a storage whose names begin alike."""

    def __init__(self, address: Path | str) -> None:
        """Open the storage; nothing is requested yet.

        Raises:
            ValueError: no storage is served under such an address
            ModuleNotFoundError: the package that serves it is not installed
        """
        scheme, path = _split_address(str(address))
        self.address = f"{scheme}://{path}"
        self.name = PurePosixPath(path).name
        self._scheme = scheme
        self._files = _open_storage(self.address, scheme)
        self._path: str = self._files._strip_protocol(self.address).rstrip("/")

    def list_files(self) -> dict[str, RemoteFile]:
        """Return all files by their names below the folder, sorted; none where nothing is.

        Files that commands put to find out whether they may are not of the folder.

        Raises:
            OSError: the storage does not answer, or there is no such bucket
        """
        answer = self.attempt("listed", self._find_files)
        listed = {}
        for path, info in sorted(answer.items()):
            name = path.removeprefix(self._path).lstrip("/")
            if not name or ".." in PurePosixPath(name).parts:
                raise BadFile(
                    f"{self.address} contains {path!r}, which is not a valid name of a file here: "
                    "give the address of a folder, or move this file away"
                )
            is_aside = PurePosixPath(name).name.startswith(TEMPORARY_PREFIX)
            if not path.endswith("/") and name != GIT_FILE and not is_aside:
                listed[name] = _describe_file(info)
        self._reject_files_in_files(listed)
        return listed

    def _find_files(self) -> dict[str, Any]:
        """Return what the storage says now of each file by its path."""
        self._files.invalidate_cache()  # huggingface_hub has one although we want none
        found: dict[str, Any] = self._files.find(self._path, detail=True)
        # A folder that appears while it is listed is found itself, in place of its files.
        return {path: info for path, info in found.items() if info["type"] != "directory"}

    def _reject_files_in_files(self, names: Iterable[str]) -> None:
        """Raise if a name is that of a file and of a folder, which a disk cannot have.

        Raises:
            BadFile: with both names
        """
        files = set(names)
        for name in files:
            folder = name.rpartition("/")[0]
            while folder:
                if folder in files:
                    raise BadFile(
                        f"{self.address} contains {folder!r} and {name!r}, which no folder of "
                        "this machine can hold together: move one of them away"
                    )
                folder = folder.rpartition("/")[0]

    def find_file(self, name: str) -> RemoteFile | None:
        """Return what the storage says of a file; none if it is not there.

        Raises:
            IsADirectoryError: it is a folder
            OSError: the storage does not answer
        """

        def look() -> dict[str, Any] | None:
            self._files.invalidate_cache()
            try:
                info: dict[str, Any] = self._files.info(self._join(name))
            except FileNotFoundError:
                return None
            return info

        info = self.attempt("read", look)
        if info is not None and info["type"] == "directory":
            raise IsADirectoryError(
                f"{self.address}/{name}: there is a folder at this address: give the address of a "
                "file"
            )
        return None if info is None else _describe_file(info)

    def check_writable(self) -> None:
        """Put a small file and delete it: before long work, not after it.

        Raises:
            OSError: the storage takes no files from us
        """
        name = f"{TEMPORARY_PREFIX}{HOST}-{uuid4().hex}"  # others may be doing the same
        self.write(name, lambda path: path.write_text(self.address, encoding="utf-8"))
        self.delete(name)

    def get(self, name: str, path: Path, size: int | None = None) -> None:
        """Copy a file of the storage to a path; after an error, a part of it may be there.

        Raises:
            ReplacedFile: it has another size now
            OSError: it cannot be read
        """

        def copy() -> None:
            self._files.get_file(self._join(name), str(path))
            n_bytes = path.stat().st_size
            if size is not None and n_bytes != size:
                if self._files.info(self._join(name))["size"] == n_bytes:
                    raise self._replaced(name)
                raise OSError(f"{name} came with {n_bytes} bytes in place of {size}")

        self.attempt("read", copy)

    def put(self, path: Path, name: str) -> RemoteFile:
        """Copy a file into the storage, and return what that says of it.

        Raises:
            OSError: it cannot be written
        """
        size = path.stat().st_size

        def copy() -> RemoteFile:
            self._files.put_file(str(path), self._join(name))
            self._files.invalidate_cache()
            file = _describe_file(self._files.info(self._join(name)))
            if file.size != size:
                raise OSError(f"{name} arrived with {file.size} bytes in place of {size}")
            return file

        return self.attempt("written", copy)

    def replace(self, path: Path, name: str, version: str | None) -> RemoteFile:
        """Do what `put` does, but only if what is there is still of a version.

        The storage itself makes sure of it.

        Args:
            path: of the file
            name: below the folder
            version: of what may be replaced; None: nothing may be there

        Raises:
            FileExistsError: something else is there
            OSError: it cannot be written
        """

        def copy() -> bool:
            try:
                self._put_if(path, name, version)
            except Exception as error:
                if not _is_refused(error):
                    raise
                # An attempt before this one may have come through, and its answer been lost.
                content: bytes = self._files.cat_file(self._join(name))
                return content == path.read_bytes()
            return True

        stored_file = self.list_files().get(name)
        if (stored_file.version if stored_file else None) != version or not self.attempt(
            "written", copy
        ):
            raise FileExistsError(str(self._replaced(name)))
        return self.list_files()[name]

    def _replaced(self, name: str) -> ReplacedFile:
        return ReplacedFile(
            f"{self.address}/{name}: another command has just written this file: run this command "
            "again"
        )

    def _put_if(self, path: Path, name: str, version: str | None) -> None:
        """Copy a file into the storage, on the condition that what is there is of a version."""
        target = self._join(name)
        if self._scheme == "s3":
            self._put_object(path, target, version)
        elif self._scheme == "gs":
            self._put_generation(path, target, version)
        elif self._scheme == "hf" and not self._path.startswith("buckets/"):  # without commits
            self._put_commit(path, name, version)
        else:
            self._files.put_file(str(path), target)

    def _put_object(self, path: Path, target: str, version: str | None) -> None:
        """Do so on S3, in one request: s3fs forgets the condition of a file that it puts in parts.

        Raises:
            BadFile: S3 takes no file of this size in one request
        """
        size = path.stat().st_size
        if size >= MAX_OBJECT:
            raise BadFile(
                f"{self.address}: {path.name} has {to_megabytes(size)}, but S3 takes at most "
                f"{to_megabytes(MAX_OBJECT)} in one request: divide the work among several "
                "addresses"
            )
        condition = {"mode": "create"} if version is None else {"IfMatch": version}
        self._files.put_file(str(path), target, chunksize=size + 1, **condition)

    def _put_generation(self, path: Path, target: str, version: str | None) -> None:
        """Do so on Google Cloud Storage, which counts the generations of a file."""
        bucket, _, key = target.partition("/")
        self._files.call(
            "POST",
            f"{self._files._location}/upload/storage/v1/b/{bucket}/o",
            uploadType="media",
            name=key,
            ifGenerationMatch=version or "0",
            data=path.read_bytes(),
            headers={"Content-Type": "application/octet-stream"},
        )

    def _put_commit(self, path: Path, name: str, version: str | None) -> None:
        """Do so on the Hugging Face Hub, where a commit may ask for the one that comes before it.

        Raises:
            FileExistsError: something else is there
        """
        repository = self._files.resolve_path(self._join(name))
        place = {
            "repo_id": repository.repo_id,
            "repo_type": repository.repo_type,
            "revision": repository.revision,
        }
        parent = self._files._api.repo_info(**place).sha
        there = self.list_files().get(name)
        if (there.version if there else None) != version:
            raise FileExistsError(name)
        self._files._api.upload_file(
            path_or_fileobj=str(path),
            path_in_repo=repository.path_in_repo,
            parent_commit=parent,  # a commit since then is a fault, after which this is repeated
            **place,
        )

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        """Put the file that a function writes to the path it is given.

        Raises:
            OSError: it cannot be written
        """
        with scratch_folder() as folder:
            draft = folder / "draft"
            write(draft)
            self.put(draft, name)

    def write_instead(self, name: str, write: Callable[[Path], None], version: str | None) -> None:
        """Put the file that a function writes, but only if what is there is still of a version.

        Raises:
            FileExistsError: something else is there
            OSError: it cannot be written
        """
        with scratch_folder() as folder:
            draft = folder / "draft"
            write(draft)
            self.replace(draft, name, version)

    def delete(self, name: str) -> None:
        """Delete a file.

        Raises:
            OSError: it cannot be deleted
        """
        self.attempt("written", lambda: self._files.rm_file(self._join(name)))

    def read(self, name: str, read: Callable[[BinaryIO], Result]) -> Result:
        """Return what a function reads of a file, of which no more is requested than it reads.

        Raises:
            OSError: the file cannot be read
        """

        def open_and_read() -> Result:
            with self._files.open(self._join(name), "rb", cache_type="none") as file:
                return read(file)

        return self.attempt("read", open_and_read)

    def _join(self, name: str) -> str:
        return f"{self._path}/{name}"

    def attempt(self, work: str, call: Callable[[], Result]) -> Result:
        """Return the result of a call, which is repeated where another attempt may succeed.

        Args:
            work: what the call does, as a participle
            call: requests something of the storage

        Raises:
            OSError: the last attempt failed
        """
        waits = iter(WAITS)
        while True:
            try:
                return call()
            except Exception as error:  # each package raises errors of its own
                wait = next(waits, None)
                if wait is None or _is_lasting(error):
                    # one about the bytes has no other cause that a library hides
                    if isinstance(error, BadFile | ReplacedFile):
                        raise
                    raise self._explain(work, error) from error
                time.sleep(wait)

    def _explain(self, work: str, error: Exception) -> OSError:
        """Return an error that names the address, what is wrong and the remedy."""
        reason = describe_error(error).rstrip(".")
        remedy = "check the network, and run the same command again"
        if isinstance(error, FileNotFoundError) or type(error).__name__ in INVALID_NAMES:
            remedy = "check the address; its bucket or repository must be there"
        elif _is_forbidden(error):
            remedy = "check the rights of these credentials"
        elif type(error).__name__ in LASTING:
            remedy = "set up the credentials as the programs of this storage do"
        return OSError(f"{self.address} cannot be {work} ({reason}): {remedy}")


def _is_lasting(error: Exception) -> bool:
    """Return whether another attempt would fail, too."""
    if type(error).__name__ in LASTING or _is_forbidden(error):
        return True
    causes = find_causes(error)
    return any(isinstance(cause, OSError) and cause.errno in FULL_DISK for cause in causes)


def _is_forbidden(error: Exception) -> bool:
    """Return whether a storage says that we may not do this, each in its own way."""
    response = getattr(error, "response", None)
    statuses = (getattr(error, "code", None), getattr(response, "status_code", None))
    is_status = any(status in FORBIDDEN for status in statuses)
    return isinstance(error, PermissionError) or is_status or str(error).startswith("Forbidden")


def _is_refused(error: Exception) -> bool:
    """Return whether a storage has not put a file because of what is there."""
    for cause in find_causes(error):
        response = getattr(cause, "response", None)
        code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
        is_refusal = code == "PreconditionFailed"
        if is_refusal or isinstance(cause, FileExistsError):
            return True
    return False


def _split_address(address: str) -> tuple[str, str]:
    """Return the scheme and the path of an address.

    Raises:
        ValueError: no such storage, or no folder in it
    """
    match = ADDRESS.fullmatch(address)
    scheme = match[1].lower() if match else ""
    path = match[2].strip("/") if match else ""
    if scheme not in STORAGES:
        raise ValueError(
            f"{address}: no storage is known as {scheme}://: "
            f"give {KNOWN}, or a path of this machine"
        )
    if not path or ".." in path.split("/"):
        raise ValueError(f"{address} names no folder: give {scheme}://BUCKET/FOLDER")
    if not path.isprintable():
        raise ValueError(
            f"{address!r}: it contains characters that no address may contain: remove them"
        )
    return scheme, path


def _open_storage(address: str, scheme: str) -> Any:
    """Return the file system of fsspec that serves a scheme.

    Raises:
        ModuleNotFoundError: its package is not installed
    """
    import fsspec

    try:
        _silence(scheme)
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as error:
        package = STORAGES[scheme]
        raise ModuleNotFoundError(
            f"{address}: needs the package {package}", name=package
        ) from error


def _silence(scheme: str) -> None:
    """Let the package of a storage print nothing: our bars are shown, and our errors."""
    if scheme == "hf":
        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

        disable_progress_bars()
    elif scheme == "gs":
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)


def _describe_file(info: Mapping[str, Any]) -> RemoteFile:
    timestamp = _read_time(info)
    version = next((str(info[key]) for key in VERSIONS if info.get(key)), str(timestamp))
    return RemoteFile(int(info["size"]), version, timestamp)


def _read_time(info: Mapping[str, Any]) -> float | None:
    """Return the time of the last put, which storages write in several ways."""
    time_of_put = next((info[key] for key in TIMES if info.get(key)), None)
    if isinstance(time_of_put, str):
        time_of_put = datetime.fromisoformat(time_of_put)
    if isinstance(time_of_put, datetime):
        return time_of_put.timestamp()
    return time_of_put if isinstance(time_of_put, float) else None
