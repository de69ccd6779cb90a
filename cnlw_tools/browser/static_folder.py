"""A page of pictures as a folder that needs no server: to keep, or to send to somebody.

    DIR/index.html        the page
    DIR/items.js          what it shows; its first line is the mark of such a folder
    DIR/static/           scripts and styles
    DIR/pictures/7.png    the pictures
    DIR/thumbnails/7.jpg  small copies of those that are large

The folder is written aside, and bears its name when it is whole. It replaces a folder of an earlier
page, and nothing else.
"""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnlw_tools.browser.items import Items, choose_texts, encode_items
from cnlw_tools.browser.numbered_pictures import (
    SHOWN_FORMATS,
    PictureFile,
    Pictures,
    make_thumbnail,
    name_errors,
)
from cnlw_tools.builds.staging import new_folder
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files import draft_path

STATIC = Path(__file__).parent / "static"  # without importing the server, which needs flask
PAGE = "gallery.html"
SCRIPTS = (
    "gallery.css",
    "gallery.js",
    "grid.css",
    "grid.js",
    "icon.svg",
    "page.css",
    "viewer.js",
)
ITEMS_FILE = "items.js"
MARK = "// A page of pictures, written by cnlw_tools\n"
FOLDERS = ("static", "pictures", "thumbnails")
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # what file managers leave in a folder
NAMES = frozenset({"index.html", ITEMS_FILE, *FOLDERS, *LITTER})  # what such a folder may hold
FORMATS = list(SHOWN_FORMATS)


def write_folder(
    out: Path, items: Items, pictures: Pictures, progress: Progress = no_progress
) -> None:
    """Write a page as a folder.

    Args:
        out: the folder
        items: what the page shows
        pictures: of the items
        progress: is told how many pictures are written

    Raises:
        FileExistsError: something other than such a folder is there
        ValueError, LookupError, OSError: a picture cannot be read, or nothing can be written
    """
    check_folder(out)
    try:
        _replace_folder(out.resolve(), items, pictures, progress)
    except OSError as error:
        if error.errno and error.filename is None:  # as where a disk is full
            error.filename = str(out)
        raise


def check_folder(out: Path) -> None:
    """Raise if a page cannot be written there, because something else is: before long work.

    Raises:
        FileExistsError: it is, or it is the current folder, which cannot be replaced
    """
    if out.resolve() == Path.cwd():
        raise FileExistsError(f"{out} is the current folder: name a folder below it")
    is_other_folder = out.is_dir() and any(out.iterdir()) and not is_page(out)
    if is_other_folder or (out.exists() and not out.is_dir()):
        raise FileExistsError(
            f"{out} is not an earlier gallery, so nothing was written: use another --out, or move "
            "it away"
        )


def is_page(folder: Path) -> bool:
    """Return whether a folder is one that `write_folder` wrote, and holds nothing else."""
    path = folder / ITEMS_FILE
    if not path.is_file() or not NAMES.issuperset(entry.name for entry in folder.iterdir()):
        return False
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK.encode()


def _replace_folder(out: Path, items: Items, pictures: Pictures, progress: Progress) -> None:
    """Write a page aside, and put it in the place of an earlier one, or of nothing."""
    if not out.exists() or not any(out.iterdir()):
        if out.exists():
            out.rmdir()
        with new_folder(out) as folder:
            _fill(folder, items, pictures, progress)
        return
    new, old = draft_path(out, "new"), draft_path(out, "old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    with new_folder(new) as folder:
        _fill(folder, items, pictures, progress)
    out.rename(old)
    new.rename(out)
    shutil.rmtree(old)


def _fill(folder: Path, items: Items, pictures: Pictures, progress: Progress) -> None:
    """Write all files into an empty folder."""
    for name in FOLDERS:
        (folder / name).mkdir()
    for name in SCRIPTS:
        shutil.copyfile(STATIC / name, folder / "static" / name)
    shutil.copyfile(STATIC / PAGE, folder / "index.html")
    formats = np.zeros(items.n_items, np.int64)
    has_thumbnail = np.zeros(items.n_items, bool)
    indices = _shown_items(items)
    for done, index in enumerate(indices.tolist(), 1):
        with name_errors(items.name_of(index)):
            picture = pictures.read(index)
            has_thumbnail[index] = _write_picture(folder, index, picture)
        formats[index] = FORMATS.index(picture.format)
        progress("pictures", done, len(indices))
    suffixes = choose_texts(formats, list(SHOWN_FORMATS.values()))
    script = encode_items(items, suffixes, has_thumbnail)
    (folder / ITEMS_FILE).write_text(MARK + script, encoding="utf-8")


def _shown_items(items: Items) -> NDArray[np.int64]:
    """Return the numbers of the items that have a picture."""
    if items.has_picture is None:
        return np.arange(items.n_items)
    return np.flatnonzero(items.has_picture)


def _write_picture(folder: Path, index: int, picture: PictureFile) -> bool:
    """Write a picture, and a small copy if it is large; return whether there is a copy."""
    name = f"{index}{SHOWN_FORMATS[picture.format]}"
    (folder / "pictures" / name).write_bytes(picture.data)
    thumbnail = make_thumbnail(picture)
    if thumbnail is picture:
        return False
    (folder / "thumbnails" / f"{index}.jpg").write_bytes(thumbnail.data)
    return True
