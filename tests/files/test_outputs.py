"""Files that commands write: at a path or an address, whole, checked before the work."""

import pytest

from cnlw_tools.files.outputs import (
    changed_folder,
    check_output,
    check_output_folder,
    output_file,
)
from cnlw_tools.files.storage import RemoteFolder, is_inside, with_ending

PLACES = ["s3://bucket/deep/a.csv", "memory://bucket/deep/a.csv", "a.csv"]


@pytest.fixture(params=PLACES)
def place(request, tmp_path):
    """The address of a file, or its path."""
    if "://" not in request.param:
        return tmp_path / "deep" / request.param
    request.getfixturevalue(request.param.partition(":")[0])
    return request.param


def read(place) -> bytes | None:
    """Return what is at a path or an address; none if nothing is there."""
    if "://" not in str(place):
        return place.read_bytes() if place.exists() else None
    folder, _, name = place.rpartition("/")
    remote = RemoteFolder(folder)
    assert set(remote.list_files()) <= {name}  # nothing remains of the check
    return remote.read(name, lambda file: file.read()) if remote.list_files() else None


def write(place, content: str) -> None:
    with output_file(place) as path:
        path.write_text(content)


def test_a_file_is_there_after_the_block(place):
    """A second one replaces it."""
    write(place, "one")
    assert b"one" == read(place)
    write(place, "two")
    assert b"two" == read(place)


def test_after_an_error_nothing_is_put(s3):
    """What was there before remains."""
    place = "s3://bucket/deep/a.csv"

    def fail():
        with output_file(place) as path:
            path.write_text("half")
            raise ValueError("wrong")

    for before in (None, b"one"):
        with pytest.raises(ValueError, match="wrong"):
            fail()
        assert before == read(place)
        write(place, "one")


def test_a_file_of_another_kind_is_not_replaced(place):
    """The error names the place, not the copy that was looked at."""

    def reject(path):
        raise ValueError(f"{path}: {path.read_text()} is no plan")

    check_output(place, reject)
    write(place, "thesis")
    with pytest.raises(ValueError, match=f"^{place}: thesis is no plan"):
        check_output(place, reject)
    with pytest.raises(ValueError, match="is no plan"), output_file(place, reject):
        pytest.fail("the work begins")
    assert b"thesis" == read(place)


def test_a_folder_is_not_replaced_by_a_file(s3):
    """Objects below an address make it a folder."""
    write("s3://bucket/deep/a.csv", "one")
    with pytest.raises(OSError, match=r"^s3://bucket/deep: there is a folder at this address: "):
        check_output("s3://bucket/deep")


def test_what_cannot_be_written_is_an_error_before_the_work(s3, tmp_path):
    """A bucket that is not there, one that we may not write, an address without a file name."""
    with pytest.raises(OSError, match=r"^s3://nothing/deep cannot be written .*: check the addr"):
        check_output("s3://nothing/deep/a.csv")
    with pytest.raises(ValueError, match=r"^s3://bucket names no file: give s3://BUCKET/NAME"):
        check_output("s3://bucket/")
    (tmp_path / "file").touch()
    for check in (check_output, check_output_folder):
        s3.fail({"method": "PUT", "status": 403, "times": 1})
        with pytest.raises(OSError, match=r" cannot be written .*: check the rights"):
            check("s3://bucket/deep/a.csv")
        with pytest.raises(OSError, match=r"file cannot be written"):
            check(tmp_path / "file" / "a.csv")


def test_changed_files_are_put_in_order(s3):
    """Files that are there can be read, those that did not change are not put again."""
    remote = RemoteFolder("s3://bucket/deep")
    remote.write("b", lambda path: path.write_text("old b"))
    remote.write("other", lambda path: path.write_text("not needed"))
    with changed_folder("s3://bucket/deep", "test", lambda name: name in "abc", order) as folder:
        assert ["b"] == [path.name for path in folder.iterdir()]
        for name in "ac":
            (folder / name).write_text(name)

    puts = [line.rpartition("/")[2] for line in s3.requests("PUT") if ".aside" not in line]
    assert ["c", "a"] == [name.split()[0] for name in puts][-2:]
    assert 1 == sum(name.startswith("b") for name in puts)
    assert {"a", "b", "c", "other"} == set(remote.list_files())


def order(name: str) -> int:
    return -ord(name)


def test_what_another_command_has_changed_is_not_replaced(s3):
    """The storage itself refuses it, and the same command then sees the change."""
    remote = RemoteFolder("s3://bucket/deep")

    def change_both():
        with changed_folder("s3://bucket/deep", "test") as folder:
            folder.mkdir()
            (folder / "a").write_text("ours")
            remote.write("a", lambda path: path.write_text("theirs"))

    with pytest.raises(FileExistsError, match=r"^s3://bucket/deep/a: another command has just"):
        change_both()
    with changed_folder("s3://bucket/deep", "test") as folder:
        assert "theirs" == (folder / "a").read_text()


def test_places_are_compared_and_named_alike(tmp_path):
    """Addresses are compared by their parts, and their endings change as those of paths do."""
    assert is_inside("s3://b/x/y", "S3:/b/x/")
    assert is_inside(tmp_path / "x", tmp_path)
    assert not is_inside("s3://b/xy", "s3://b/x")
    assert not is_inside(tmp_path, "s3://b/x")
    assert "s3://b/a.xml" == with_ending("s3://b/a.json", ".xml")
    assert tmp_path / "a.xml" == with_ending(tmp_path / "a.json", ".xml")
