"""What a folder holds: images, folders, and what was left out."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnlw_tools.sources.formats.listing import (
    describe_left_out,
    enumerate_names,
    is_clutter_path,
    list_folder,
)

JPEG = b"\xff\xd8\xff\xe0"  # how one begins
CLUTTER = [".git", "._1.jpg", ".DS_Store", "@eaDir", "__MACOSX", "Thumbs.db", "desktop.ini"]
CLUTTER += [".ipynb_checkpoints", "$RECYCLE.BIN"]
FOLDERS = ["rose", "été", "a b", normalize("NFD", "naïve"), *CLUTTER]
FILES = {  # name -> its ending, where the file is left out
    "1.jpg": "",
    "2.JFIF": "",
    "3": "without an extension",
    "notes.txt": ".txt",
    "é.csv": ".csv",
    "x.tar.GZ": ".gz",
    "x.Ω": "without an extension",
    "x.a-b": "without an extension",
    **dict.fromkeys(CLUTTER, ""),
}
TARGETS = ["", "..", "/", "nowhere", "link", "1.jpg", "../1.jpg", "../../outside.jpg"]
ENTRIES = st.one_of(
    st.tuples(st.sampled_from(sorted(FILES)), st.sampled_from([JPEG, b"", b"words"])),
    st.tuples(st.sampled_from(["link", "link.png"]), st.sampled_from(TARGETS)),
)
TREES = st.lists(st.tuples(st.lists(st.sampled_from(FOLDERS), max_size=3), ENTRIES), max_size=25)


def write_tree(root: Path, tree) -> None:
    """Write the files and links of a tree; an entry whose place is taken is left out."""
    for folders, (name, content) in tree:
        folder = root.joinpath(*folders)
        if folder.is_dir() or not any(parent.is_file() for parent in (folder, *folder.parents)):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / name
            if path.is_symlink() or path.exists():
                continue
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.symlink_to(content or folder)


def is_clutter(name: str) -> bool:
    """Return whether a name is one of those above, or hidden."""
    return name.startswith(".") or name in CLUTTER


def visible_entries(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield everything below a folder that is no clutter, with its relative path in NFC."""
    for parent, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(parent, name)
            relative = path.relative_to(root)
            if not any(is_clutter(part) for part in relative.parts):
                yield normalize("NFC", relative.as_posix()), path


def kind(path: Path, root: Path) -> str:
    """Return whether an entry is a folder, an image or lost, or else what it is left out as."""
    target = Path(os.path.realpath(path))
    if path.is_dir() and path.is_symlink():
        return "links" if target in (path.parent, *path.parent.parents) else "lost"
    if path.is_symlink() and not path.exists():
        return "lost"
    if path.is_symlink() and root not in target.parents:
        return "lost"
    if path.is_dir():
        return "folder"
    if path.is_file() and (path.suffix in (".jpg", ".JFIF", ".png") or path.read_bytes() == JPEG):
        return "image"
    if path.is_symlink():
        return "lost" if path.suffix == ".png" else "links"
    return FILES[path.name]


def hidden_images(root: Path) -> Counter[str]:
    """Return the number of files that are called images, by the hidden folder that they lie in."""
    counts = Counter()
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        hidden = [part for part in parts[:-1] if is_clutter(part)]
        if hidden and Path(parts[-1]).suffix in (".jpg", ".JFIF", ".png") and not path.is_dir():
            counts[f"in {hidden[0]}"] += 1
    return counts


@settings(max_examples=150)
@given(TREES)
def test_random_trees(tree):
    """Of any tree, the images, the folders and what was left out are those of a plain walk."""
    with TemporaryDirectory() as outside:
        root = Path(os.path.realpath(outside), "root")
        root.mkdir()
        (root.parent / "outside.jpg").write_bytes(JPEG)
        write_tree(root, tree)
        kinds = {relative: kind(path, root) for relative, path in visible_entries(root)}
        if "lost" in kinds.values():
            with pytest.raises(ValueError, match="links to folders, out of the folder or to"):
                list_folder(root)
            return

        listing = list_folder(root)

        assert listing.images == sorted(path for path in kinds if kinds[path] == "image")
        assert listing.folders == sorted(path for path in kinds if kinds[path] == "folder")
        counts = Counter(kinds.values())
        del counts["image"], counts["folder"]
        assert listing.left_out == counts + hidden_images(root)


def test_hidden_images(tmp_path):
    """Images in hidden folders, and hidden ones, are counted as left out; not those of macOS."""
    for name in (".dog/1.jpg", ".dog/2.png", ".dog/x.txt", "a/.3.jpg", "a/._3.jpg", "a/4.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(JPEG)

    listing = list_folder(tmp_path)

    assert listing.images == ["a/4.jpg"]
    assert listing.left_out == {"in .dog": 2, "hidden .jpg": 1}
    assert describe_left_out(listing.left_out) == "2 in .dog, 1 hidden .jpg"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("bird", "../outside"),
        ("bird", "a"),
        ("a/more", "../../outside"),
        ("a/2.jpg", "../../outside/2.jpg"),
        ("a/2", "../../outside/2.jpg"),
        ("a/2.jpg", "nowhere"),
        ("bird", "/not/mounted"),
        ("bird", "bird"),
    ],
)
def test_a_link_that_would_lose_images(tmp_path, name, target):
    """A link that is not followed is an error if it may lead to images: it is named."""
    for folder in ("root/a", "outside"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.jpg").write_bytes(JPEG)
    (tmp_path / "outside/2.jpg").write_bytes(JPEG)
    (tmp_path / "root" / name).symlink_to(target)

    with pytest.raises(ValueError, match=rf"not followed: {name}: put the images themselves"):
        list_folder(tmp_path / "root")


def test_links(tmp_path):
    """Links that go round are passed over; one to a file counts if the file lies in the folder."""
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "b").mkdir()
    (tmp_path / "secret.txt").write_bytes(b"words")
    (root / "a/1.jpg").write_bytes(JPEG)
    (root / "a/again").symlink_to(root / "a")
    (root / "a/up").symlink_to("..")
    (root / "b/inside.jpg").symlink_to("../a/1.jpg")
    (root / "b/outside").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "link").symlink_to(root)

    listing = list_folder(root)

    assert listing.images == ["a/1.jpg", "b/inside.jpg"]
    assert listing.left_out == {"links": 3}
    assert list_folder(tmp_path / "link") == listing
    assert list_folder(root / "b", root).images == ["inside.jpg"]


def test_pipes_are_not_opened(tmp_path):
    """What is not a file is left out, and not opened: a pipe would wait forever."""
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.jpg")

    assert list_folder(tmp_path).left_out == {"without an extension": 1, ".jpg": 1}


def test_names_that_are_not_utf8(tmp_path):
    """All names that are not UTF-8 are refused at once, with their bytes; others may be left out."""
    folder = os.fsencode(tmp_path)
    os.mkdir(folder + b"/caf\xe9")  # noqa: PTH102
    for name in (b"/caf\xe9/1.jpg", b"/caf\xe9/2.jpg", b"/r\xf6se.jpg", b"/\xe9.txt"):
        with open(folder + name, "wb"):  # noqa: PTH123, such a name is no text
            pass

    with pytest.raises(
        ValueError, match=r"names that are not UTF-8: caf\\xe9, r\\xf6se.jpg: rename them"
    ):
        list_folder(tmp_path)


def test_names_with_a_backslash(tmp_path):
    """An archive of Windows that was unpacked without its folders is refused."""
    for i in range(12):
        (tmp_path / rf"rose\{i:02d}.jpg").touch()

    with pytest.raises(
        ValueError, match=r"names with a backslash: rose\\00.jpg, .*\\09.jpg and 2 more: .*7z"
    ):
        list_folder(tmp_path)


def test_two_unicode_forms(tmp_path):
    """Two names of one folder that are equal in NFC are refused; both are shown."""
    for form in ("NFC", "NFD"):
        (tmp_path / "train" / normalize(form, "café")).mkdir(parents=True)
        (tmp_path / "train" / normalize(form, "café") / f"{form}.jpg").touch()

    with pytest.raises(
        ValueError, match=r"names .*: 'train/cafe\\u0301' and 'train/caf\\xe9': rename one"
    ):
        list_folder(tmp_path)


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    """A folder without permission is an error: its images would vanish."""
    (tmp_path / "rose").mkdir()
    scandir = os.scandir

    def refuse(path):  # the administrator may read every folder
        if Path(path).name == "rose":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(PermissionError, match="rose"):
        list_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("caf\udce9", r"caf\xe9"),
        ("a\nb", r"'a\nb'"),
        ("\x1b[31m", r"'\x1b[31m'"),
        ("été", "été"),
    ],
)
def test_names_in_errors(name, text):
    """An error is one line that can be printed, whatever a file is called."""
    assert enumerate_names([name]) == text


def test_descriptions():
    """What was left out is said by number; of many kinds, the rarest are added up."""
    assert describe_left_out({".csv": 1, ".txt": 3000, "links": 1}) == "3,000 .txt, 1 .csv, 1 link"
    many_kinds = {f".{i}": 20 - i for i in range(12)}
    assert describe_left_out(many_kinds).endswith("11 .9, 19 others")
    assert describe_left_out({}) == ""


@pytest.mark.parametrize(
    ("path", "is_clutter"),
    [
        ("./n01440764/a.JPEG", False),
        ("a/._a.JPEG", True),
        ("__MACOSX/a.JPEG", True),
        (".", False),
        ("lost.and.found", False),
        ("a/THUMBS.DB", True),
    ],
)
def test_clutter(path, is_clutter):
    """Clutter is known by any name in a path."""
    assert is_clutter_path(path) is is_clutter
