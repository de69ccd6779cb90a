"""What a folder holds: its images, its folders, and what was left out.

Every source that looks for images goes through here, so that the same files count for all of them.

- Clutter is passed over: hidden files and folders, and what systems and archives leave behind. Its
  images are counted as left out.
- A file is an image if it is called like one or begins like one (`images.formats`).
- A link to a file counts if that file lies in the folder. Other links are not followed: one that
  may lead to images is an error, since these images, or their class, would be missing. Links to
  folders that they lie in are passed over.
- Names are given in Unicode's composed form (NFC), whichever form they have on disk.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cnlw_tools.images.formats import is_image_file, is_image_name, suffix_of
from cnlw_tools.registry.counts import list_first

CLUTTER = frozenset(  # in small letters; names that begin with a dot are clutter, too
    {
        "@eadir",
        "@recycle",
        "#recycle",
        "$recycle.bin",
        "__macosx",
        "desktop.ini",
        "ehthumbs.db",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)
LONGEST_SUFFIX = 10  # characters; what is longer is not an extension
MAX_NAMES = 10  # that an error lists
MAX_KINDS = 10  # of files that were left out, in one line
APPLE_DOUBLE = "._"  # begins the name of a file that holds what macOS knows of another
LINKS = "links"
NO_SUFFIX = "without an extension"


class FolderListing(NamedTuple):
    """What lies below a folder, as paths relative to it, and what was left out."""

    images: list[str]
    folders: list[str]
    left_out: Counter[str]  # number of files by extension or by folder, and of links


class Entries(NamedTuple):
    """What lies below a folder: paths as on disk, in no order."""

    images: list[str]
    folders: list[str]
    left_out: Counter[str]
    lost_links: list[str]  # those that may lead to images


def list_folder(folder: Path, root: Path | None = None) -> FolderListing:
    """Return what lies below a folder, sorted, in NFC. The folder itself may be a link.

    Args:
        folder: where to look
        root: the folder that links to files must not leave; by default the same

    Raises:
        OSError: a folder or a file cannot be read
        ValueError: a name is not UTF-8 or holds a backslash, two names are equal in NFC, or a link
            that is not followed may lead to images
    """
    entries = _read_entries(folder, (root or folder).resolve())
    _check_names(folder, entries.images)
    remedy = "put the images themselves there, as `cp -rL` does, or remove the links"
    problem = "links to folders, out of the folder or to nowhere, which are not followed"
    _reject_names(folder, sorted(entries.lost_links), problem, remedy)
    images = sorted(map(normal_form, entries.images))
    folders = sorted(map(normal_form, entries.folders))
    return FolderListing(images, folders, entries.left_out)


def is_clutter(name: str) -> bool:
    """Return whether the name of a file or a folder is one that every source passes over."""
    return name.startswith(".") or name.lower() in CLUTTER


def is_clutter_path(path: str) -> bool:
    """Return whether a file, or a folder that it lies in, is one that every source passes over."""
    return any(is_clutter(name) for name in path.split("/") if name != ".")


def normal_form(text: str) -> str:
    """Return a text in NFC, the form in which names are compared and stored."""
    return unicodedata.normalize("NFC", text)


def path_on_disk(folder: Path, path: str) -> Path | None:
    """Return where a file lies whose path has another Unicode form on disk; none if nowhere."""
    if path.isascii():
        return None  # it has one form
    place = folder
    for name in path.split("/"):
        if not (place / name).exists():
            if not place.is_dir():
                return None
            name = _names_on_disk(place, place.stat().st_mtime_ns).get(normal_form(name), name)
        place /= name
    return place if place.is_file() else None


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """Return what was left out as a text, such as ``3 .txt, 1 .csv, 2 links``."""
    kinds = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    words = []
    for kind, count in kinds[:MAX_KINDS]:
        is_one_link = kind == LINKS and count == 1
        words.append(f"{count:,} {'link' if is_one_link else kind}")
    n_others = sum(count for _, count in kinds[MAX_KINDS:])
    if n_others:
        words.append(f"{n_others:,} others")
    return ", ".join(words)


def explain_left_out(left_out: Counter[str]) -> str:
    """Return what was left out in brackets, for an error; empty if nothing was."""
    if not left_out:
        return ""
    return f" (left out: {describe_left_out(left_out)})"


def printable(path: str) -> str:
    """Return a path for an error: bytes that are not UTF-8, and control characters, as escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else ascii(text)


def enumerate_names(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are, for an error."""
    return list_first([printable(name) for name in names], MAX_NAMES)


def _read_entries(folder: Path, root: Path) -> Entries:
    """Return what lies below a folder."""
    entries = Entries([], [], Counter(), [])
    pending = [""]
    while pending:
        parent = pending.pop()
        with os.scandir(folder / parent) as children:
            for entry in children:
                path = f"{parent}{entry.name}"
                if is_clutter(entry.name):
                    entries.left_out.update(_images_of_clutter(entry))
                elif entry.is_dir(follow_symlinks=False):
                    entries.folders.append(path)
                    pending.append(f"{path}/")
                elif _is_file_inside(entry, root) and is_image_file(entry.path):
                    entries.images.append(path)
                elif entry.is_symlink() and _may_lead_to_images(Path(entry.path)):
                    entries.lost_links.append(path)
                else:
                    entries.left_out[_kind(entry)] += 1
    return entries


def _images_of_clutter(entry: os.DirEntry[str]) -> Counter[str]:
    """Return the number of files in a hidden folder, or of one hidden, that are called images."""
    if entry.is_dir(follow_symlinks=False):
        names = [name for _, _, files in os.walk(entry.path) for name in files]
        return +Counter({f"in {printable(entry.name)}": sum(map(is_image_name, names))})
    is_hidden = entry.name.startswith(".") and not entry.name.startswith(APPLE_DOUBLE)
    is_image = is_hidden and is_image_name(entry.name)
    return Counter([f"hidden {suffix_of(entry.name)}"] if is_image else [])


def _may_lead_to_images(link: Path) -> bool:
    """Return whether a link leads to a folder that it does not lie in, an image, or nowhere."""
    if link.is_dir():
        return not link.parent.resolve().is_relative_to(link.resolve())
    return not link.exists() or (link.is_file() and is_image_file(str(link)))


def _is_file_inside(entry: os.DirEntry[str], root: Path) -> bool:
    """Return whether an entry is a file, or a link to one that lies below the root."""
    if not entry.is_symlink():
        return entry.is_file()
    path = Path(entry.path)
    return path.is_file() and path.resolve().is_relative_to(root)


def _kind(entry: os.DirEntry[str]) -> str:
    """Return what an entry that was left out counts as: a link, or its extension."""
    if entry.is_symlink():
        return LINKS
    suffix = suffix_of(entry.name)
    is_suffix = suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= LONGEST_SUFFIX
    return suffix if is_suffix else NO_SUFFIX


def _check_names(folder: Path, paths: Iterable[str]) -> None:
    """Check the names of images and of the folders that they lie in.

    Raises:
        ValueError: a name holds a backslash or is not UTF-8, or two names are equal in NFC
    """
    with_backslash = sorted(path for path in paths if "\\" in path)
    remedy = "an archive of Windows was unpacked as it is: unpack it with 7z, or rename them"
    _reject_names(folder, with_backslash, "names with a backslash", remedy)

    special_paths = _special_paths(paths)
    not_utf8 = [path for path in special_paths if not is_utf8(path)]
    remedy = "rename them, for example with `convmv -f latin1 -t utf8 -r --notest`"
    _reject_names(folder, not_utf8, "names that are not UTF-8", remedy)

    paths_of_form: dict[str, list[str]] = {}
    for path in special_paths:
        paths_of_form.setdefault(normal_form(path), []).append(ascii(path))
    twins = [" and ".join(twins) for twins in paths_of_form.values() if len(twins) > 1]
    remedy = "rename one of each, or put both into one folder"
    _reject_names(folder, twins, "names that differ only in their Unicode form", remedy)


def _reject_names(folder: Path, names: Sequence[str], problem: str, remedy: str) -> None:
    """Raise an error that lists bad names, if there are any."""
    if names:
        raise ValueError(f"{folder}: {problem}: {enumerate_names(names)}: {remedy}")


def _special_paths(paths: Iterable[str]) -> list[str]:
    """Return the paths of files and of their folders whose last name is not ASCII, sorted."""
    special_paths = set()
    for path in paths:
        while path and not path.isascii():
            parent, _, name = path.rpartition("/")
            if not name.isascii():
                special_paths.add(path)
            path = parent
    return sorted(special_paths)


def is_utf8(path: str) -> bool:
    """Return whether the last name of a path was UTF-8; Python marks other bytes by surrogates."""
    name = path.rpartition("/")[2]
    return not any("\udc80" <= char <= "\udcff" for char in name)


@lru_cache(maxsize=1024)
def _names_on_disk(folder: Path, _modified: int) -> Mapping[str, str]:
    """Return the names in a folder that are not ASCII, by their NFC."""
    names = {}
    for path in folder.iterdir():
        if not path.name.isascii():
            names[normal_form(path.name)] = path.name
    return names
