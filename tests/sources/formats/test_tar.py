"""Tar archives, read by offset."""

import tarfile

import pytest

from cnlw_tools.sources.formats.tar import ByteRange, TarArchive, list_members


@pytest.fixture
def path(tmp_path, make):
    """An archive that holds a file, a file in a folder, and an archive of two files."""
    inner = make.pack({"c_1.JPEG": b"one", "c_2.JPEG": b"x" * 1000})
    (tmp_path / "a.tar").write_bytes(
        make.pack({"a.JPEG": b"first", "deep/b.JPEG": b"second", "c.tar": inner, "z": b"last"})
    )
    return tmp_path / "a.tar"


def test_offsets(path):
    """Members are where tarfile says; those of an archive within are where they lie in the whole file."""
    found = TarArchive(path)
    with tarfile.open(path) as archive:
        expected = {m.name.split("/")[-1]: (m.offset_data, m.size) for m in archive}

    assert found.members == expected
    assert found.read(found.members["b.JPEG"]) == b"second"
    assert {name: found.read(span) for name, span in found.nested_members("c.tar").items()} == {
        "c_1.JPEG": b"one",
        "c_2.JPEG": b"x" * 1000,
    }


def test_truncated(path):
    """An archive that was cut off anywhere before its end mark is refused."""
    data = path.read_bytes()
    end = TarArchive(path).members["z"].offset + 512  # here the end mark begins

    for keep in range(0, end + 512, 128):
        path.write_bytes(data[:keep])
        with pytest.raises(
            ValueError, match=r"a.tar: (not a tar archive|damaged or cut off|cut off in)"
        ):
            list_members(path, ByteRange(0, keep))


def test_an_archive_within_that_lost_its_end(path, make):
    """Its heads do not run on into the archive around it."""
    inner = make.pack({"c_1.JPEG": b"one"})[:1024]  # head and block, no end mark
    path.write_bytes(make.pack({"c.tar": inner, "z": b"last"}))

    with pytest.raises(ValueError, match=r"a.tar: (damaged or cut off|cut off)"):
        TarArchive(path).nested_members("c.tar")


def test_two_members_of_one_name(path, make):
    """A name stands for one image."""
    path.write_bytes(make.pack({"a/x.JPEG": b"1", "b/x.JPEG": b"2"}))

    with pytest.raises(ValueError, match=r"two members are called x.JPEG"):
        TarArchive(path).members  # noqa: B018


def test_no_member(path):
    """An archive that is not in it is an error that names both."""
    with pytest.raises(LookupError, match=r"a.tar: the archive has no member 'd.tar'"):
        TarArchive(path).nested_members("d.tar")
