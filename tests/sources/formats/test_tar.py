"""Tar archives, read by offset."""

import tarfile

import pytest

from cnlw_tools.sources.formats.tar import ByteRange, TarArchive, list_members


@pytest.fixture
def path(tmp_path, make):
    """Return an archive of a file, a file in a folder, and an archive of two files."""
    inner = make.pack({"c_1.JPEG": b"one", "c_2.JPEG": b"x" * 1000})
    (tmp_path / "a.tar").write_bytes(
        make.pack({"a.JPEG": b"first", "deep/b.JPEG": b"second", "c.tar": inner, "z": b"last"})
    )
    return tmp_path / "a.tar"


def test_offsets(path):
    """Members lie where tarfile says; those of a nested archive lie there in the whole file."""
    tar = TarArchive(path)
    expected = {}
    with tarfile.open(path) as reader:
        for member in reader:
            name = member.name.split("/")[-1]
            expected[name] = (member.offset_data, member.size)
    nested = {}
    for name, member in tar.nested_members("c.tar").items():
        nested[name] = tar.read(member)

    assert tar.members == expected
    assert tar.read(tar.members["b.JPEG"]) == b"second"
    assert nested == {"c_1.JPEG": b"one", "c_2.JPEG": b"x" * 1000}


def test_truncated(path):
    """An archive that is cut off anywhere before its end mark is refused."""
    data = path.read_bytes()
    end = TarArchive(path).members["z"].offset + 512  # where the end mark begins

    for size in range(0, end + 512, 128):
        path.write_bytes(data[:size])
        with pytest.raises(
            ValueError,
            match=r"a.tar(: the file is| cannot be read as a tar archive)",
        ):
            list_members(path, ByteRange(0, size))


def test_a_nested_archive_without_its_end(path, make):
    """Reading its headers does not go on in the archive around it."""
    inner = make.pack({"c_1.JPEG": b"one"})[:1024]  # header and block, no end mark
    path.write_bytes(make.pack({"c.tar": inner, "z": b"last"}))

    with pytest.raises(ValueError, match=r"a.tar: the file is (damaged or cut off|cut off)"):
        TarArchive(path).nested_members("c.tar")


def test_clutter_is_passed_over(path, make):
    """What systems leave in archives is no member, even if its name is there twice."""
    path.write_bytes(
        make.pack({"./a.JPEG": b"a", "./._a.JPEG": b"", "__MACOSX/a.JPEG": b"", ".DS_Store": b""})
    )

    assert list(TarArchive(path).members) == ["a.JPEG"]


def test_two_members_of_one_name(path, make):
    """Names are ids, so they must be unique."""
    path.write_bytes(make.pack({"a/x.JPEG": b"1", "b/x.JPEG": b"2"}))

    with pytest.raises(ValueError, match=r"two members are called x.JPEG"):
        TarArchive(path).members  # noqa: B018


def test_no_member(path):
    """The error for a nested archive that is missing names both archives."""
    with pytest.raises(LookupError, match=r"a.tar: the archive has no member 'd.tar'"):
        TarArchive(path).nested_members("d.tar")
