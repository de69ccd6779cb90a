"""Which folders are classes, and which are splits."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnlw_tools.sources.formats.class_folders import ImageRow, read_class_folders
from cnlw_tools.sources.formats.listing import FolderListing
from cnlw_tools.sources.formats.split_names import split_of_name

NAMES = ["train", "Test", "val", "bus", "car", "car ", "fold1", "fold2"]
PATHS = st.lists(st.sampled_from(NAMES), max_size=3).map(lambda names: "/".join([*names, "1.jpg"]))


def list_paths(images: list[str], empty_folders: list[str] = ()) -> FolderListing:
    """Return what `list_folder` would say of a folder with these images."""
    folders = set(empty_folders)
    for path in images:
        parents = [str(parent) for parent in Path(path).parents]
        folders.update(parents[:-1])
    return FolderListing(sorted(images), sorted(folders), Counter())


@settings(max_examples=300)
@given(st.sets(PATHS, min_size=1, max_size=8))
def test_random_folders(paths):
    """Either it is an error, or each image is in a class that the rules of the module give it."""
    images = sorted(paths)
    try:
        rows = read_class_folders(list_paths(images), Path("D"))
    except ValueError:
        return

    assert [row.path for row in rows] == images
    tops = {path.split("/")[0] for path in images}
    all_hold_images = all(f"{top}/1.jpg" in images for top in tops)
    for path, class_name, split_name in rows:
        folders = path.split("/")[:-1]
        if all(split_of_name(top) for top in tops) or (
            any(split_of_name(top) for top in tops) and not all_hold_images
        ):
            assert (split_name, class_name) == (folders[0], folders[1].strip())
        else:
            assert (split_name, class_name) == ("train", folders[0].strip())


@pytest.mark.parametrize(
    ("images", "folders", "error"),
    [
        (["bus/1.jpg"], ["car", "emu"], "car, emu: add images"),
        (["train/bus/1.jpg"], ["val"], "val: add images"),
        (["train/bus/1.jpg"], ["train/car", "docs", "docs/old"], "train/car: add images"),
        (["train/bus/1.jpg", "val/bus/2.jpg"], ["val/car"], "val/car: add images"),
        (["bus/1.jpg", "train/2.jpg"], ["bus/old", "val"], "val: add images"),
        (["bus/1.jpg", "car/2.jpg"], ["car/old"], None),
        (["train/bus/1.jpg"], ["train/bus/old", "docs"], None),
    ],
)
def test_empty_folders(images, folders, error):
    """Empty folders where a class or a split would be are an error; deeper or beside, they are not."""
    listing = list_paths(images, folders)

    if error is None:
        assert len(read_class_folders(listing, Path("D"))) == len(images)
    else:
        with pytest.raises(ValueError, match=f"D: folders .* without an image: {error}"):
            read_class_folders(listing, Path("D"))


def test_folders_of_images_in_each_class():
    """A folder `images` in each class, as in Tiny ImageNet, is no class."""
    images = [f"{split}/{name}/images/1.jpg" for split in ("train", "val") for name in ("a", "b")]

    rows = read_class_folders(list_paths(images), Path("D"))

    assert [row.class_name for row in rows] == ["a", "b", "a", "b"]


def test_nothing():
    """A folder without an image has no rows; that is for the source to say."""
    assert read_class_folders(list_paths([], ["a"]), Path("D")) == []
    rows = read_class_folders(list_paths(["a/1.jpg"]), Path("D"))
    assert rows == [ImageRow("a/1.jpg", "a", "train")]
