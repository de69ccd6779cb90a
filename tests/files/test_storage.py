"""Where files lie: paths of this machine, and addresses of storages."""

import sys
import time
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFile

from cnlw_tools.files import storage
from cnlw_tools.files.storage import RemoteFolder, is_address, local_path
from cnlw_tools.registry.extras import EXTRAS

ADDRESSES = ["s3://bucket/b", "gs://bucket", "hf://datasets/me/b", "memory://b", "S3://b", "s3:/b"]
PATHS = ["builds/shapes", "/data/b", "~/b", "C:/b", "a:b/c", "./s3:b"]


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_no_path_of_this_machine(text):
    """An address is one as a text and as a path, and the error says what to do."""
    assert is_address(text)
    assert is_address(Path(text))
    with pytest.raises(ValueError, match=f"^{text}: this is an address, .*: give a local path"):
        local_path(text)


@pytest.mark.parametrize("text", PATHS)
def test_a_path_is_no_address(text):
    """Every other text is a path, a drive letter and a colon within a name, too."""
    assert not is_address(text)
    assert Path(text) == local_path(text)


def too_busy(*_: object) -> None:
    raise OSError("so busy")


@pytest.fixture(params=["memory", "s3"])
def folder(request) -> RemoteFolder:
    """A folder of each storage that can be served here."""
    request.getfixturevalue(request.param)
    return RemoteFolder(f"{request.param}://bucket/folder/")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_what_is_put_is_listed_and_read(folder, tmp_path):
    """The bytes come back, and a version tells other contents from the same ones."""
    one = folder.put(write(tmp_path / "a", b"one"), "a")
    folder.put(write(tmp_path / "b", b"two"), "deep/b c.txt")
    listed = folder.list_files()
    other = folder.put(write(tmp_path / "a", b"six"), "a")
    folder.get("deep/b c.txt", tmp_path / "copy", 3)

    assert ["a", "deep/b c.txt"] == list(listed)
    assert (3, one.version) == (listed["a"].size, listed["a"].version)
    assert abs(time.time() - listed["a"].timestamp) < 60
    assert one.version != other.version
    assert b"two" == (tmp_path / "copy").read_bytes()
    assert b"ix" == folder.read("a", lambda file: file.read()[1:])


def test_a_neighbour_is_not_listed(folder, tmp_path):
    """A folder whose name only begins alike is another folder, and a deleted file is gone."""
    neighbour = RemoteFolder(f"{folder.address}2")
    neighbour.put(write(tmp_path / "a", b"one"), "a")
    assert {} == folder.list_files()
    neighbour.delete("a")
    assert {} == neighbour.list_files()


def test_what_is_not_there_cannot_be_read(folder, tmp_path):
    """The error names the address and the remedy, and no file is made."""
    with pytest.raises(OSError, match=rf"^{folder.address}: cannot be read \(.*\): check the addr"):
        folder.get("a", tmp_path / "a")
    assert [] == list(tmp_path.glob("a"))


@pytest.mark.parametrize("status", [500, 503])
def test_a_busy_server_is_asked_again(s3, tmp_path, status):
    """Errors of the server, a few at a time, change nothing but the time."""
    folder = RemoteFolder("s3://bucket/folder")
    for method in ("PUT", "GET", "HEAD"):
        s3.fail({"method": method, "status": status, "times": 2})
        folder.put(write(tmp_path / "a", b"one"), "a")
        assert ["a"] == list(folder.list_files())
        folder.get("a", tmp_path / "b")
        assert b"one" == (tmp_path / "b").read_bytes()


def test_a_body_that_breaks_off_is_requested_again(s3, tmp_path):
    """A file comes as a whole, though the first answer ends a byte too early."""
    folder = RemoteFolder("s3://bucket/folder")
    folder.put(write(tmp_path / "a", bytes(100_000)), "a")
    s3.fail({"method": "GET", "status": 0, "times": 1})

    folder.get("a", tmp_path / "b", 100_000)

    assert bytes(100_000) == (tmp_path / "b").read_bytes()


def test_a_storage_that_does_not_recover_is_an_error(memory, tmp_path, monkeypatch):
    """After the last attempt the error names the address, what is wrong and the remedy."""
    waits = []
    monkeypatch.setattr(storage.time, "sleep", waits.append)
    monkeypatch.setattr(type(memory), "put_file", too_busy)
    folder = RemoteFolder("memory://bucket/folder")

    with pytest.raises(OSError, match=r"^memory://bucket/folder: cannot be written \(so busy\): c"):
        folder.put(write(tmp_path / "a", b"one"), "a")

    assert [*storage.WAITS] == waits


def test_a_bucket_that_is_not_there_is_an_error(s3, tmp_path):
    """No attempt is repeated, and nothing is made."""
    folder = RemoteFolder("s3://nothing/folder")
    for call in (folder.list_files, lambda: folder.put(write(tmp_path / "a", b"one"), "a")):
        with pytest.raises(
            OSError, match=r"^s3://nothing/folder: .*bucket does not exist.*: check"
        ):
            call()
    assert 1 == len(s3.requests("PUT"))


def test_a_bucket_that_may_not_be_written_is_an_error(s3, tmp_path):
    """The error says whose rights to check."""
    s3.fail({"method": "PUT", "status": 403, "times": 1})
    with pytest.raises(OSError, match=r"^s3://bucket/folder: cannot be written .*check the rights"):
        RemoteFolder("s3://bucket/folder").put(write(tmp_path / "a", b"one"), "a")


def test_missing_credentials_are_an_error(s3, monkeypatch):
    """The error says to set them up, and no attempt is repeated."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(OSError, match=r"^s3://bucket/folder: .*: set up the credentials"):
        RemoteFolder("s3://bucket/folder").list_files()


def test_an_unknown_storage_is_an_error():
    """The error lists the storages, with the extras to install."""
    with pytest.raises(ValueError, match=r"known as ftp://: give s3:// \(extra s3\), gs:// \(e"):
        RemoteFolder("ftp://host/folder")
    for address in ("s3://", "s3:///", "s3://bucket/../x"):
        with pytest.raises(ValueError, match="names no folder: give s3://BUCKET/FOLDER"):
            RemoteFolder(address)


def test_a_package_that_is_missing_is_named(monkeypatch):
    """The command line then says which extra brings it."""
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ModuleNotFoundError, match="gs://bucket/x: needs the package gcsfs") as info:
        RemoteFolder("gs://bucket/x")
    assert "gs" == EXTRAS[info.value.name]


def test_a_name_that_leads_elsewhere_is_an_error(memory):
    """A file of a hostile storage lands nowhere but in its folder."""
    memory.store["/bucket/folder/../../x"] = MemoryFile(memory, "/bucket/folder/../../x", b"x")
    with pytest.raises(ValueError, match="not a valid name of a file here"):
        RemoteFolder("memory://bucket/folder").list_files()


def test_a_file_below_a_file_is_an_error(memory):
    """A storage has no folders, so it can hold both; a disk cannot."""
    for name in ("sub", "sub/deep/x"):
        path = f"/bucket/folder/{name}"
        memory.store[path] = MemoryFile(memory, path, b"x")
    with pytest.raises(ValueError, match=r"contains 'sub' and 'sub/deep/x', .*: move one of them"):
        RemoteFolder("memory://bucket/folder").list_files()


def test_a_file_replaces_only_the_version_that_is_expected(s3, tmp_path, monkeypatch):
    """S3 itself refuses what came meanwhile; the same bytes are those of an earlier attempt."""
    folder = RemoteFolder("s3://bucket/folder")
    path = tmp_path / "x"
    path.write_bytes(b"one")
    first = folder.replace(path, "x", None)
    path.write_bytes(b"two")
    with pytest.raises(FileExistsError, match=r"^s3://bucket/folder/x: another command has just"):
        folder.replace(path, "x", None)
    second = folder.replace(path, "x", first.version)
    assert {"x": second} == folder.list_files()

    for stale in ({}, {"x": first}):
        version = stale["x"].version if stale else None
        with monkeypatch.context() as patch:
            patch.setattr(folder, "list_files", lambda stale=stale: stale)
            path.write_bytes(b"three")
            with pytest.raises(FileExistsError):
                folder.replace(path, "x", version)
        assert {"folder/x": b"two"}.items() == s3.contents("bucket").items()


def test_an_attempt_whose_answer_was_lost_counts(s3, tmp_path, monkeypatch):
    """The file is there, with the same bytes."""
    folder = RemoteFolder("s3://bucket/folder")
    path = tmp_path / "x"
    path.write_bytes(b"one")
    folder.put(path, "x")
    there = folder.list_files()
    answers = iter([{}, there])
    monkeypatch.setattr(folder, "list_files", lambda: next(answers))

    assert there["x"] == folder.replace(path, "x", None)
