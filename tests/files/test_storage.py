"""Where files lie: paths of this machine, and addresses of storages."""

import sys
import time
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFile
from fsspec.registry import _registry

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


@pytest.fixture
def folder(address) -> RemoteFolder:
    """A folder of each storage that can be served here."""
    return RemoteFolder(f"{address}/folder/")


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
    times = [file.timestamp for file in listed.values()]
    assert all(put is None or abs(time.time() - put) < 60 for put in times)
    assert folder.address.startswith("hf:") == (times == [None, None])
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
    with pytest.raises(OSError, match=rf"^{folder.address} cannot be read \(.*\): check the addr"):
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

    with pytest.raises(OSError, match=r"^memory://bucket/folder cannot be written \(so busy\): c"):
        folder.put(write(tmp_path / "a", b"one"), "a")

    assert [*storage.WAITS] == waits


def test_a_bucket_that_is_not_there_is_an_error(s3, tmp_path):
    """No attempt is repeated, and nothing is made."""
    folder = RemoteFolder("s3://nothing/folder")
    for call in (folder.list_files, lambda: folder.put(write(tmp_path / "a", b"one"), "a")):
        with pytest.raises(
            OSError, match=r"^s3://nothing/folder cannot .*bucket does not exist.*: check"
        ):
            call()
    assert 1 == len(s3.requests("PUT"))


@pytest.mark.parametrize(
    ("name", "address"), [("s3", "s3://my bucket/x"), ("hf", "hf://datasets/x")]
)
def test_a_name_that_no_bucket_can_have_is_an_error(request, monkeypatch, name, address):
    """No attempt is repeated, and the error says what to check."""
    request.getfixturevalue(name)
    monkeypatch.setattr(storage, "WAITS", [99])
    with pytest.raises(OSError, match=rf"^{address} cannot be listed .*: check the address"):
        RemoteFolder(address).list_files()


def test_a_folder_that_appears_while_it_is_listed(folder, tmp_path, monkeypatch):
    """It is empty as yet; its first file is listed the next time."""
    monkeypatch.setattr(
        folder._files,
        "find",
        lambda path, detail: {path: {"name": path, "size": 0, "type": "directory"}},
    )
    assert {} == folder.list_files()


def test_a_bucket_that_may_not_be_written_is_an_error(s3, tmp_path):
    """The error says whose rights to check."""
    s3.fail({"method": "PUT", "status": 403, "times": 1})
    with pytest.raises(OSError, match=r"^s3://bucket/folder cannot be written .*check the rights"):
        RemoteFolder("s3://bucket/folder").put(write(tmp_path / "a", b"one"), "a")


def test_missing_credentials_are_an_error(s3, monkeypatch):
    """The error says to set them up, and no attempt is repeated."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(OSError, match=r"^s3://bucket/folder cannot .*: set up the credentials"):
        RemoteFolder("s3://bucket/folder").list_files()


def test_an_unknown_storage_is_an_error():
    """The error lists the storages, with the extras to install."""
    with pytest.raises(ValueError, match=r"known as ftp://: give s3:// \(extra s3\), gs:// \(e"):
        RemoteFolder("ftp://host/folder")
    for address in ("s3://", "s3:///", "s3://bucket/../x"):
        with pytest.raises(ValueError, match="names no folder: give s3://BUCKET/FOLDER"):
            RemoteFolder(address)
    assert is_address("s3://bucket/a\nb")
    with pytest.raises(
        ValueError,
        match=r"^'s3://bucket/a\\nb': it contains characters that no address may contain",
    ):
        RemoteFolder("s3://bucket/a\nb")


def test_a_package_that_is_missing_is_named(monkeypatch):
    """The command line then says which extra brings it."""
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    monkeypatch.delitem(_registry, "gs", raising=False)
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


def test_a_file_replaces_only_the_version_that_is_expected(folder, tmp_path, monkeypatch):
    """The storage itself refuses what came meanwhile; only the memory of a process cannot."""
    path = write(tmp_path / "x", b"one")
    first = folder.replace(path, "x", None)
    path.write_bytes(b"two")
    with pytest.raises(FileExistsError, match=f"^{folder.address}/x: another command has just"):
        folder.replace(path, "x", None)
    second = folder.replace(path, "x", first.version)
    assert {"x": second} == folder.list_files()
    if folder.address.startswith("memory:"):
        return

    path.write_bytes(b"three")
    for stale in ({}, {"x": first}):
        version = stale["x"].version if stale else None
        answers = iter([stale])
        with monkeypatch.context() as patch:
            listed = folder.list_files()
            patch.setattr(folder, "list_files", lambda: next(answers, listed))  # noqa: B023
            with pytest.raises(FileExistsError):
                folder.replace(path, "x", version)
        assert b"two" == folder.read("x", lambda file: file.read())


def test_a_large_file_replaces_only_the_version_that_is_expected(s3, tmp_path, monkeypatch):
    """S3fs would put it in parts, and without the condition."""
    monkeypatch.setattr(
        "s3fs.core.calculate_chunksize", lambda size, chunksize=None: chunksize or 5 << 20
    )
    folder = RemoteFolder("s3://bucket/folder")
    path = write(tmp_path / "x", bytes(11 << 20))
    first = folder.replace(path, "x", None)
    write(path, b"two")
    there = {"x": folder.replace(path, "x", first.version)}

    write(path, bytes(12 << 20))
    answers = iter([{"x": first}])
    monkeypatch.setattr(folder, "list_files", lambda: next(answers, there))
    with pytest.raises(FileExistsError):
        folder.replace(path, "x", first.version)

    assert b"two" == folder.read("x", lambda file: file.read())
    monkeypatch.setattr(storage, "MAX_OBJECT", 1000)
    with pytest.raises(ValueError, match=r"x has 13 MB, but S3 takes at most 0 MB in one request"):
        folder._put_if(path, "x", None)


def test_a_commit_of_somebody_else_does_not_stop_ours(hf, tmp_path):
    """The Hub refuses a commit that does not follow the newest one; then it is made again."""
    hf.fail("POST .*/commit/", 412)
    folder = RemoteFolder("hf://datasets/lab/noise/folder")

    folder.replace(write(tmp_path / "x", b"one"), "x", None)

    assert b"one" == hf.files["folder/x"]


def test_a_repository_is_a_folder(hf, tmp_path):
    """Without the file that the Hub has put there."""
    folder = RemoteFolder("hf://datasets/lab/noise")
    assert {} == folder.list_files()
    folder.put(write(tmp_path / "x", b"one"), "x")
    assert ["x"] == list(folder.list_files())


def test_a_large_file_is_put_in_parts(gs, tmp_path):
    """As gcsfs does from 5 MB on; the bytes are the same."""
    data = bytes(range(256)) * (6 << 12)
    RemoteFolder("gs://bucket/folder").put(write(tmp_path / "x", data), "x")
    assert {"folder/x": data} == gs.objects
    assert 2 == gs.requests.count("POST /upload/storage/v1/b/bucket/o")


@pytest.mark.parametrize("method", ["list_files", "put"])
@pytest.mark.parametrize(
    ("storage_name", "address"), [("gs", "gs://nothing/x"), ("hf", "hf://datasets/lab/other/x")]
)
def test_a_place_that_is_not_there_is_an_error(request, tmp_path, method, storage_name, address):
    """No attempt is repeated, and the error says what to check."""
    server = request.getfixturevalue(storage_name)
    arguments = [write(tmp_path / "a", b"one"), "a"] if method == "put" else []
    with pytest.raises(OSError, match=rf"^{address} cannot be .*its bucket or repository must be"):
        getattr(RemoteFolder(address), method)(*arguments)
    assert 2 >= len(server.requests)


@pytest.mark.parametrize("storage_name", ["gs", "hf"])
def test_a_place_that_may_not_be_written_is_an_error(request, tmp_path, storage_name):
    """The error says whose rights to check, and no attempt is repeated."""
    server = request.getfixturevalue(storage_name)
    server.fail("POST .*(upload|commit)", 403, 9)
    address = {"gs": "gs://bucket/x", "hf": "hf://datasets/lab/noise/x"}[storage_name]
    with pytest.raises(OSError, match=rf"^{address} cannot be written .*: check the rights"):
        RemoteFolder(address).put(write(tmp_path / "a", b"one"), "a")
    assert 1 == len([line for line in server.requests if line.startswith("POST")][1:] or [1])


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
