"""The mirror of a folder of a storage: it is kept the same, and nothing is copied twice."""

import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from cnlw_tools.files.folders import list_names
from cnlw_tools.files.mirror import Mirror, local_copy, name_addresses

ADDRESS = "memory://bucket/folder"


@pytest.fixture
def mirror(memory) -> Mirror:
    """The mirror of a folder with two files."""
    memory.pipe_file("/bucket/folder/a", b"one")
    memory.pipe_file("/bucket/folder/deep/b", b"two")
    return Mirror(ADDRESS)


@pytest.fixture
def gets(memory, monkeypatch) -> list[str]:
    """The files that are copied from the storage, in this order."""
    copied: list[str] = []
    copy = type(memory).get_file

    def get_file(files, remote, local):
        copied.append(remote.removeprefix("/bucket/folder/"))
        copy(files, remote, local)

    monkeypatch.setattr(type(memory), "get_file", get_file)
    return copied


def read(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in list_names(folder)}


def test_a_path_of_this_machine_is_its_own_copy(tmp_path):
    """No mirror is made."""
    assert tmp_path / "x" == local_copy(tmp_path / "x")
    assert Path("x") == local_copy("x")
    assert [] == list(tmp_path.iterdir())


def test_the_mirror_becomes_the_same_as_the_storage(mirror, memory, gets):
    """Files that are new or others are copied, those that are gone are deleted, the rest stays."""
    told = []
    folder = mirror.read(progress=lambda *news: told.append(news))
    assert {"a": b"one", "deep/b": b"two"} == read(folder)
    assert [("download", 3, 6), ("download", 6, 6)] == told
    assert [] == list((mirror.home / "arriving").iterdir())
    memory.rm_file("/bucket/folder/deep/b")
    memory.pipe_file("/bucket/folder/a", b"six")
    memory.pipe_file("/bucket/folder/c", b"ten")
    gets.clear()

    assert {"a": b"six", "c": b"ten"} == read(local_copy(ADDRESS))
    assert ["a", "c"] == sorted(gets)
    assert {"a": b"six", "c": b"ten"} == read(local_copy(ADDRESS))
    assert ["a", "c"] == gets


def test_a_file_of_the_mirror_that_changed_is_copied_again(mirror, gets):
    """The storage is right, whatever happened to the mirror."""
    folder = mirror.read()
    (folder / "a").write_bytes(b"bad")
    os.utime(folder / "a", (1, 1))
    gets.clear()

    assert {"a": b"one", "deep/b": b"two"} == read(mirror.read())
    assert ["a"] == gets


def test_only_what_is_wanted_is_copied(mirror):
    """The other files come when they are wanted."""
    assert {"a": b"one"} == read(mirror.read({"a"}.__contains__))
    assert {"a": b"one", "deep/b": b"two"} == read(mirror.read())


def test_several_files_come_at_once(memory, monkeypatch):
    """Each waits until another is on its way too, so one after the other would never end."""
    for number in range(8):
        memory.pipe_file(f"/bucket/folder/{number}", b"x" * number)
    pair = threading.Barrier(2)
    copy = type(memory).get_file

    def get_file(files, remote, local):
        pair.wait(timeout=60)
        copy(files, remote, local)

    monkeypatch.setattr(type(memory), "get_file", get_file)

    assert {str(number): b"x" * number for number in range(8)} == read(local_copy(ADDRESS))


def test_no_file_is_begun_after_an_error(mirror, memory, gets, monkeypatch):
    """What follows in the queue is left alone."""
    monkeypatch.setattr("cnlw_tools.files.mirror.N_DOWNLOADS", 1)
    for number in range(20):
        memory.pipe_file(f"/bucket/folder/z{number:02}", b"x")
    there = mirror.remote.list_files()
    memory.rm_file("/bucket/folder/deep/b")

    with mirror.writing(), pytest.raises(OSError, match="cannot be read"):
        mirror.pull(there, mirror.folder)

    assert gets == ["a", "deep/b"]


def test_nothing_at_an_address_is_an_error(memory):
    """The error names the address."""
    with pytest.raises(
        FileNotFoundError, match=f"^{ADDRESS}: there is nothing at this address: check"
    ):
        local_copy(ADDRESS)


def test_only_files_that_are_new_or_others_are_put(mirror, memory):
    """Those that the storage has stay as they were put."""
    folder = mirror.read()
    before = memory.created("/bucket/folder/a")
    (folder / "c").write_bytes(b"new")

    mirror.push(["a", "c"], folder)

    assert before == memory.created("/bucket/folder/a")
    assert b"new" == memory.cat_file("/bucket/folder/c")
    (folder / "a").write_bytes(b"other")
    mirror.push(["a", "c"], folder)
    assert b"other" == memory.cat_file("/bucket/folder/a")


def test_what_another_machine_changed_is_put_again(mirror, memory):
    """Files that the storage lost, or has otherwise, are no longer taken for the same."""
    folder = mirror.read()
    memory.pipe_file("/bucket/folder/a", b"six")
    memory.rm_file("/bucket/folder/deep/b")

    mirror.forget_others(mirror.remote.list_files())
    mirror.push(["a", "deep/b"], folder)

    assert b"one" == memory.cat_file("/bucket/folder/a")
    assert b"two" == memory.cat_file("/bucket/folder/deep/b")


def hold(mirror: Mirror, ready, done) -> None:
    with mirror.writing():
        ready.set()
        done.wait()


def test_a_command_waits_for_nobody_who_writes(mirror):
    """While one command writes to an address, others of this machine are refused."""
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(mirror, ready, done))
    other.start()
    ready.wait()
    try:
        with pytest.raises(BlockingIOError, match=f"^{ADDRESS}: another command .*: wait for it"):
            mirror.read()
    finally:
        done.set()
        other.join()
    assert {"a": b"one", "deep/b": b"two"} == read(mirror.read())


def test_the_check_for_rights_leaves_nothing(mirror, memory):
    """What is put to find out is deleted again."""
    with mirror.writing():
        mirror.remote.check_writable()
    assert ["/bucket/folder/a", "/bucket/folder/deep/b"] == memory.find("/bucket/folder")


def test_the_check_for_rights_disturbs_nobody(mirror, memory, monkeypatch):
    """What another command puts to find out, or left when it was killed, is not listed or copied."""
    monkeypatch.setattr(mirror.remote, "delete", lambda name: None)
    with mirror.writing():
        mirror.remote.check_writable()

    assert 3 == len(memory.find("/bucket/folder"))
    assert ["a", "deep/b"] == list(mirror.remote.list_files())
    assert ["a", "deep/b"] == list_names(mirror.read())


@pytest.mark.parametrize("seconds", [5.0, -1.0])
def test_a_copy_that_breaks_off_goes_on(mirror, memory, gets, monkeypatch, seconds):
    """What has come is not copied again, whether its state is written at times or at the end."""
    monkeypatch.setattr("cnlw_tools.files.mirror.SECONDS_BETWEEN_SAVES", seconds)
    there = mirror.remote.list_files()
    memory.rm_file("/bucket/folder/deep/b")
    with mirror.writing(), pytest.raises(OSError, match=f"^{ADDRESS} cannot be read"):
        mirror.pull(there, mirror.folder)
    memory.pipe_file("/bucket/folder/deep/b", b"two")

    assert {"a": b"one", "deep/b": b"two"} == read(mirror.read())
    assert ["a", "deep/b", "deep/b"] == sorted(gets)


@pytest.mark.parametrize("state", ["[1", "", "[]", "null", '{"a": 3}', '{"a": [1, 2, 3]}'])
def test_a_damaged_state_is_an_error(mirror, state):
    """It names the file, which may be deleted."""
    mirror.read()
    path = mirror.home / "state.json"
    path.write_text(state)

    with pytest.raises(ValueError, match=r"state\.json:? .*: delete it, and the files are copied"):
        mirror.read()
    path.unlink()
    assert {"a": b"one", "deep/b": b"two"} == read(mirror.read())


def test_paths_of_a_mirror_are_named_by_their_address(memory):
    """In a text for users; other paths stay as they are."""
    mirror = Mirror(ADDRESS)
    with mirror.writing():
        pass
    unknown = mirror.home.with_name("0" * 16) / "x"
    text = f"{mirror.folder}/data/a.parquet: damaged, and so are {mirror.folder} and {unknown}/y"

    assert name_addresses(text) == (
        f"{ADDRESS}/data/a.parquet: damaged, and so are {ADDRESS} and {unknown}/y"
    )


def test_caches_of_a_machine_may_try_an_address_at_once(memory, tmp_path, monkeypatch):
    """Each puts and deletes a file of its own name."""
    names = []
    for cache in ("one", "two"):
        monkeypatch.setenv("CNLW_CACHE", str(tmp_path / cache))
        mirror = Mirror(ADDRESS)
        monkeypatch.setattr(mirror.remote, "delete", names.append)
        with mirror.writing():
            mirror.remote.check_writable()

    assert 2 == len(set(names))
    assert set(names) == {name.rpartition("/")[2] for name in memory.find("/bucket/folder")}
