"""WebVision: all of it, and the first fifty classes of what Google found."""

from collections import Counter

import pytest

from cnlw_tools.sources.webvision import WebVision, WebVisionMini


def count_splits(source):
    return dict(Counter(source.manifest()["split"].to_pylist()))


def test_full_and_mini(lay_out):
    """Mini has one search and fifty classes; both have two validation splits of their classes."""
    folder = lay_out("webvision")

    assert count_splits(WebVision(folder)) == {
        "train": 30,
        "validation": 5,
        "validation_ilsvrc12": 5,
    }
    assert count_splits(WebVisionMini(folder)) == {
        "train": 9,
        "validation": 3,
        "validation_ilsvrc12": 3,
    }
    assert WebVisionMini(folder).classes() == WebVision(folder).classes()[:50]
    assert WebVision(folder).classes()[59] == "n00000059 thing, object"


def test_labels(lay_out):
    """The label is the last word of a line; images of ILSVRC12 get it by WordNet id."""
    rows = {
        row["image_id"]: row for row in WebVisionMini(lay_out("webvision")).manifest().to_pylist()
    }

    assert rows["google/q0049/g 49_2.jpg"]["label"] == 49
    assert rows["val_images_256/val000001.jpg"]["label"] == 3
    assert rows["ILSVRC2012_val_00000003.JPEG"]["label"] == 49
    assert "google/q0050/g 50_0.jpg" not in rows


def test_without_ilsvrc(lay_out):
    """Without its images there is no second validation split."""
    folder = lay_out("webvision")
    (folder / "imagenet").rename(folder.parent / "elsewhere")

    assert count_splits(WebVisionMini(folder)) == {"train": 9, "validation": 3}


@pytest.mark.parametrize(
    "line", ["google/a.jpg", "google/a.jpg x", "google/a.jpg 60", "google/a.jpg -1", "3"]
)
def test_damaged_list(lay_out, line):
    """The error for a line that is not an image and a label names list and row."""
    folder = lay_out("webvision")
    path = folder / "info/train_filelist_google.txt"
    path.write_text(path.read_text() + line)

    with pytest.raises(
        ValueError, match=r"train_filelist_google.txt: row 15: .* a label from 0 to 59"
    ):
        WebVisionMini(folder).manifest()


def test_one_image_under_two_labels(lay_out):
    """A list that contradicts itself is an error."""
    path = lay_out("webvision") / "info/val_filelist.txt"
    path.write_text(path.read_text() + "val000001.jpg 4\n")

    with pytest.raises(ValueError, match=r"row 5: 'val000001.jpg' has two labels"):
        WebVision(path.parents[1]).manifest()


def test_a_path_that_leaves_the_folder(lay_out):
    """A list from the web cannot make the program read outside the folder."""
    path = lay_out("webvision") / "info/train_filelist_google.txt"
    path.write_text("../secret.jpg 0\n")

    with pytest.raises(
        ValueError, match=r"image 0: '../secret.jpg' is outside of .*: give paths below it"
    ):
        WebVisionMini(path.parents[1]).manifest()


def test_missing(lay_out):
    """The error for missing images counts them and names one."""
    folder = lay_out("webvision")
    for i in range(2):
        (folder / f"google/q0003/g 3_{i}.jpg").unlink()

    with pytest.raises(
        FileNotFoundError,
        match=r"2 of the 9 images of .*google.txt are missing, such as google/q0003/g 3_0",
    ):
        WebVisionMini(folder).manifest()
