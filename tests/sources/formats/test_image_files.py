"""Image files below a folder."""

from unicodedata import normalize

import pytest

from cnlw_tools.sources.formats.image_files import read_image_file, require_images, stays_inside


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


@pytest.mark.parametrize(("on_disk", "wanted"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_either_unicode_form_is_read(tmp_path, on_disk, wanted):
    """A file is found whichever Unicode form its name has on disk, and the folders above it."""
    path = "fleurs d'été/café/é.jpg"
    place = tmp_path / normalize(on_disk, path)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"a")
    wanted_path = normalize(wanted, path)

    require_images(tmp_path, [wanted_path], "my list")
    assert read_image_file(tmp_path, wanted_path) == b"a"
    with pytest.raises(FileNotFoundError, match="1 of the 2 images of my list are missing"):
        require_images(tmp_path, [wanted_path, wanted_path.replace("caf", "caff")], "my list")
    with pytest.raises(FileNotFoundError, match="complete your copy"):
        read_image_file(tmp_path, f"{wanted_path}/é.jpg")
