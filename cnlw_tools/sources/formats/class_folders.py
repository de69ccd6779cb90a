"""Which folders are classes, and which are splits.

Where the images lie decides, together with the words for splits (`split_names`):

    bus/1.jpg  car/2.jpg  train/3.jpg            all hold images: each is a class, `train` too
    Train/bus/1.jpg  Test/bus/2.jpg              all are called like splits: they hold classes
    fold1/bus/1.jpg  fold2/bus/2.jpg             folders with folders of one name: ask
    flowers/rose/1.jpg  flowers/tulip/2.jpg      the only folder holds folders: ask

A class folder may hold folders, such as `images` in each. One without an image is an error: if it
were left out, the classes behind it would have other numbers.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cnlw_tools.sources.formats.listing import (
    FolderListing,
    enumerate_names,
    explain_left_out,
    printable,
)
from cnlw_tools.sources.formats.split_names import split_of_name

NO_CLASS = re.compile(r"images?|imgs?|photos?|pictures?|jpe?gs?|data", re.IGNORECASE)

Parts = tuple[str, ...]  # the names in the path of a folder


class ImageRow(NamedTuple):
    """One image as the folder or the CSV file has it."""

    path: str
    class_name: str
    split_name: str  # one that `split_of_name` knows


def read_class_folders(listing: FolderListing, place: Path) -> list[ImageRow]:
    """Return the images in class folders; without folders of splits all are for training.

    Args:
        listing: what lies below the folder
        place: the folder, for the error messages

    Raises:
        ValueError: an image lies in no class folder, a class folder holds no image, or it is not
            clear which folders are classes
    """
    parents = {path.rpartition("/")[0] for path in listing.images}
    holders = sorted(_parts(parent) for parent in parents)
    has_splits = _holds_splits(holders, place)
    n_levels = 2 if has_splits else 1
    rows = []
    for path in listing.images:
        *folders, _ = path.split("/")
        if len(folders) < n_levels:
            raise ValueError(_describe_stray(path, place))
        split_name = folders[0] if has_splits else "train"
        rows.append(ImageRow(path, folders[n_levels - 1].strip(), split_name))
    if rows:
        _check_nesting(holders, n_levels, place)
        _check_empty_folders(listing, holders, n_levels, place)
        _check_class_names(holders, n_levels, place)
    return rows


def _holds_splits(holders: Sequence[Parts], place: Path) -> bool:
    """Return whether the folders at the top are splits; otherwise they are classes."""
    tops = {parts[0] for parts in holders if parts}
    split_tops = {name for name in tops if split_of_name(name)}
    class_tops = {parts[0] for parts in holders if len(parts) == 1}
    other_tops = tops - split_tops
    if not split_tops or not other_tops:
        return bool(split_tops)
    if tops <= class_tops:
        return False
    if not class_tops:
        return True
    raise ValueError(
        f"{place}: is {min(split_tops)!r} a split or a class? {min(class_tops)!r} contains images, "
        f"and {min(tops - class_tops)!r} contains folders: rename or move one of them, "
        "or give a CSV file"
    )


def _check_nesting(holders: Iterable[Parts], n_levels: int, place: Path) -> None:
    """Check that class folders are not folders of splits by other words, or of a whole dataset.

    Only class folders without images of their own can be such.
    """
    classes_of_split: dict[Parts, set[Parts]] = {}
    holders_of_class: dict[Parts, list[Parts]] = {}
    class_of_folder: dict[Parts, Parts] = {}
    for parts in holders:
        split, class_folder = parts[: n_levels - 1], parts[:n_levels]
        classes_of_split.setdefault(split, set()).add(class_folder)
        class_of_folder[class_folder] = class_folder
        holders_of_class.setdefault(class_folder, []).append(parts)
    for class_folder, inner in holders_of_class.items():
        if class_folder in inner:
            continue
        for folder_name in _inner_names([parts[n_levels:] for parts in inner]):
            folder = (*class_folder[:-1], folder_name)
            owner = class_of_folder.setdefault(folder, class_folder)
            if owner != class_folder:
                raise ValueError(
                    f"{place}: {_describe_clash(owner, class_folder, folder)}, so it is unclear "
                    "whether they are classes or splits: call splits train, val and test; put the "
                    "images of a class into one folder; remove copies; or give a CSV file"
                )
    for class_folders in classes_of_split.values():
        first = min(class_folders)
        inner = holders_of_class[first]
        if len(class_folders) == 1 and first not in inner and len(inner) > 1:
            raise ValueError(
                f"{place}: {_path(first)} would be the only class, but it contains folders, "
                "such as "
                f"{inner[0][n_levels]!r}: if those are classes, give {place / _path(first)}; "
                "otherwise put its images side by side, or give a CSV file"
            )


def _inner_names(folders: Sequence[Parts]) -> list[str]:
    """Return the names of the folders in a class folder that might be classes themselves.

    If there is only one folder, those in it count, too: archives often hold all in one.
    """
    names = {folder[0] for folder in folders}
    rest = [folder[1:] for folder in folders]
    if len(names) == 1 and all(rest):
        names.update(_inner_names(rest))
    return sorted(name for name in names if not NO_CLASS.fullmatch(name))


def _describe_clash(owner: Parts, class_folder: Parts, folder: Parts) -> str:
    """Return what is wrong with a folder in a class folder, if another folder has its name."""
    if owner == folder:
        return f"there is {_path(owner)}, and {_path(class_folder)} holds a folder {folder[-1]!r}"
    return f"{_path(owner)} and {_path(class_folder)} both hold a folder {folder[-1]!r}"


def _check_empty_folders(
    listing: FolderListing, holders: Iterable[Parts], n_levels: int, place: Path
) -> None:
    """Check that each folder of a class or of a split holds an image."""
    with_images = {parts[:n] for parts in holders for n in range(1, n_levels + 1)}
    empty_folders = []
    for folder in listing.folders:
        parts = _parts(folder)
        is_class = len(parts) == n_levels and (n_levels == 1 or parts[:1] in with_images)
        is_split = n_levels == 2 and len(parts) == 1 and split_of_name(folder) is not None
        if (is_class or is_split) and parts not in with_images:
            empty_folders.append(folder)
    if empty_folders:
        raise ValueError(
            f"{place}: folders of classes or splits without an image: "
            f"{enumerate_names(empty_folders)}{explain_left_out(listing.left_out)}: "
            "add images, or remove the folder"
        )


def _check_class_names(holders: Iterable[Parts], n_levels: int, place: Path) -> None:
    """Check that the names of classes differ by more than blanks around them."""
    folder_of_name: dict[Parts, Parts] = {}
    for parts in holders:
        class_folder = parts[:n_levels]
        name = (*class_folder[:-1], class_folder[-1].strip())
        first_folder = folder_of_name.setdefault(name, class_folder)
        if first_folder != class_folder:
            raise ValueError(
                f"{place}: {_path(first_folder)!r} and {_path(class_folder)!r} differ only in "
                "spaces: rename one, or put both into one folder"
            )


def _describe_stray(path: str, place: Path) -> str:
    """Return what is wrong with an image that lies beside class folders."""
    reason = ""
    if "/" in path:
        reason = f", since {path.partition('/')[0]!r} is the word for a split"
    return (
        f"{place}: {printable(path)} lies in no class folder{reason}: put it into one, "
        "move it away, or give a CSV file with path,label[,split]"
    )


def _parts(folder: str) -> Parts:
    return tuple(folder.split("/")) if folder else ()


def _path(parts: Parts) -> str:
    return "/".join(parts)
