"""Image files below a folder."""

import pytest

from cnlw_tools.sources.formats.image_files import find_images, read_image_file, stays_inside


@pytest.mark.parametrize(
    ("path", "stays"),
    [
        ("a.jpg", True),
        ("a/b c/..d/é.jpg", True),
        ("", False),
        ("/a", False),
        ("..", False),
        ("a/../../b", False),
        ("a/..", False),
        ("a\\b", False),
        ("a\0b", False),
    ],
)
def test_stays_inside(path, stays):
    """A path that could leave its folder, here or on Windows, is recognised by its characters."""
    assert stays_inside(path) is stays


def test_read_image_file(tmp_path):
    """A file is read unchanged; a missing file, and one outside the folder, is an error."""
    (tmp_path / "a.jpg").write_bytes(b"a")

    assert read_image_file(tmp_path, "a.jpg") == b"a"
    with pytest.raises(FileNotFoundError, match=r"b.jpg: the image is missing: complete your copy"):
        read_image_file(tmp_path, "b.jpg")
    with pytest.raises(LookupError, match=r"no image '../a.jpg'; ids are paths below this folder"):
        read_image_file(tmp_path, "../a.jpg")


def test_find_images(tmp_path, make):
    """Images are found by the ending of their names; hidden files are left out."""
    for path in ("b/2.PNG", "b/1.jpeg", "a.txt", ".git/x.png", "b/.x.png", "c.webp"):
        make.put(tmp_path / "real" / path, b"")
    (tmp_path / "link").mkdir()
    (tmp_path / "link/to").symlink_to(tmp_path / "real")

    assert find_images(tmp_path / "real") == ["b/1.jpeg", "b/2.PNG", "c.webp"]
    assert find_images(tmp_path / "link") == ["to/b/1.jpeg", "to/b/2.PNG", "to/c.webp"]
