"""A page as a folder: whole or not at all, and nothing else is overwritten."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cnlw_tools.browser.app import STATIC
from cnlw_tools.browser.items import Items, text_column
from cnlw_tools.browser.numbered_pictures import PictureFile
from cnlw_tools.browser.static_folder import check_folder, write_folder
from cnlw_tools.cli.errors import format_error
from tests.browser.scripts import read_codes, read_column, read_script
from tests.browser.test_numbered_pictures import encode


class Pictures:
    """Five pictures; the second is large, and some cannot be read."""

    def __init__(self, broken: int = -1) -> None:
        self.broken = broken

    def read(self, index: int) -> PictureFile:
        if index == self.broken:
            raise ValueError(f"picture {index} is broken")
        format_name = "JPEG" if index % 2 else "PNG"
        return PictureFile(
            encode(index, 400 if index == 1 else 4, format_name), format_name.lower()
        )


def make_items() -> Items:
    items = Items("title", "about", 5, "id", ["id"], "id")
    items.columns["id"] = text_column(pa.array(list("abcde")))
    return items


def test_the_folder_holds_all_that_the_page_asks_for(tmp_path: Path) -> None:
    """Its scripts and styles, each picture under its ending, and a copy of the large one."""
    out = tmp_path / "new" / "page"
    items = make_items()
    items.has_picture = np.array([1, 1, 1, 0, 1], bool)
    write_folder(out, items, Pictures(broken=3))

    script = read_script((out / "items.js").read_text())
    suffixes = read_column(script["suffixes"])
    assert read_codes(script["hasPicture"]) == [1, 1, 1, 0, 1]
    assert read_codes(script["hasThumbnail"]) == [0, 1, 0, 0, 0]
    for index in (0, 1, 2, 4):
        data = (out / "pictures" / f"{index}{suffixes[index]}").read_bytes()
        assert data == Pictures().read(index).data
    assert sorted(path.name for path in (out / "pictures").iterdir()) == [
        "0.png",
        "1.jpg",
        "2.png",
        "4.png",
    ]
    assert [path.name for path in (out / "thumbnails").iterdir()] == ["1.jpg"]
    page = (out / "index.html").read_text()
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert (out / address).is_file(), address
    assert sorted(path.name for path in (out / "static").iterdir()) == sorted(
        address.removeprefix("static/")
        for address in re.findall(r'(?:src|href)="(static/[^"]+)"', page)
    )


def test_an_earlier_page_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """What only the earlier one had is gone, and nothing is left beside it."""
    out = tmp_path / "page"
    write_folder(out, make_items(), Pictures())
    (out / "pictures" / "99.png").write_bytes(b"old")
    write_folder(out, make_items(), Pictures())

    assert not (out / "pictures" / "99.png").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


@pytest.mark.parametrize("has_page", [False, True])
def test_after_an_error_everything_is_as_it_was(tmp_path: Path, has_page: bool) -> None:
    """No half of a page, and the earlier one stays."""
    out = tmp_path / "page"
    if has_page:
        write_folder(out, make_items(), Pictures())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="image 'e': picture 4 is broken"):
        write_folder(out, make_items(), Pictures(broken=4))

    assert sorted(tmp_path.rglob("*")) == before


BLOCKED = """
import sys
from pathlib import Path
from cnlw_tools.browser.static_folder import write_folder
from tests.browser.test_static_folder import Pictures, make_items

class Blocked(Pictures):
    def read(self, index):
        if index == 3:
            print("reading", flush=True)
            sys.stdin.read()
        return super().read(index)

write_folder(Path(sys.argv[1]), make_items(), Blocked())
"""


@pytest.mark.parametrize("has_page", [False, True])
def test_a_kill_leaves_no_half_of_a_page(tmp_path: Path, has_page: bool) -> None:
    """The earlier page stays, and the next command deletes what the killed one wrote."""
    out = tmp_path / "page"
    if has_page:
        write_folder(out, make_items(), Pictures())
    before = [path.read_bytes() for path in sorted(out.rglob("*.*"))]
    command = [sys.executable, "-c", BLOCKED, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"reading\n"
        process.kill()

    assert [path.read_bytes() for path in sorted(out.rglob("*.*"))] == before
    assert len([*tmp_path.iterdir()]) == (2 if has_page else 1)
    write_folder(out, make_items(), Pictures())
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


@pytest.mark.parametrize("name", ["notes.txt", "items.js", "index.html"])
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, name: str) -> None:
    """Even if a file in it is called like one of a page; so is a file."""
    out = tmp_path / "mine"
    out.mkdir()
    (out / name).write_text("const ITEMS = 1;")
    for path in (out, out / name):
        with pytest.raises(FileExistsError, match="another --out"):
            write_folder(path, make_items(), Pictures())
    assert [path.name for path in out.iterdir()] == [name]


def test_the_current_folder_is_not_replaced(tmp_path: Path, monkeypatch) -> None:
    """Even if it is empty: the shell of the user is in it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileExistsError, match="a folder below it"):
        write_folder(Path(), make_items(), Pictures())


def test_an_empty_folder_may_be_named(tmp_path: Path) -> None:
    """There is nothing to lose in it."""
    out = tmp_path / "page"
    out.mkdir()
    check_folder(out)
    write_folder(out, make_items(), Pictures())
    assert (out / "index.html").read_bytes() == (STATIC / "gallery.html").read_bytes()


def test_what_somebody_added_to_a_page_is_not_deleted(tmp_path: Path) -> None:
    """A page with notes beside it, or under version control, is not replaced."""
    out = tmp_path / "page"
    write_folder(out, make_items(), Pictures())
    (out / ".DS_Store").touch()
    write_folder(out, make_items(), Pictures())
    assert not (out / ".DS_Store").exists()
    for name in ("notes.txt", ".git"):
        (out / name).mkdir()
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(FileExistsError, match="another --out"):
            write_folder(out, make_items(), Pictures())
        assert sorted(tmp_path.rglob("*")) == before
        (out / name).rmdir()


def test_a_full_disk_is_named_with_its_place(tmp_path: Path, monkeypatch) -> None:
    """The system does not say which file it could not write."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OSError, match="No space left") as failure:
        write_folder(tmp_path / "page", make_items(), Pictures())

    assert format_error(failure.value).startswith(f"{tmp_path / 'page'}: No space left")
    assert not any(tmp_path.iterdir())
