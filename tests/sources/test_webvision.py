"""WebVision: all of it, and the first fifty classes of Google's part."""

from collections import Counter

import pytest

from cnlw_tools.sources.webvision import WebVision, WebVisionMini


def counts(source):
    return dict(Counter(source.manifest()["split"].to_pylist()))


def test_full_and_mini(lay_out):
    """Mini has one search and fifty classes; both have two validation splits, of the same classes."""
    folder = lay_out("webvision")

    assert counts(WebVision(folder)) == {"train": 30, "validation": 5, "validation_ilsvrc12": 5}
    assert counts(WebVisionMini(folder)) == {"train": 9, "validation": 3, "validation_ilsvrc12": 3}
    assert WebVisionMini(folder).classes() == WebVision(folder).classes()[:50]
    assert WebVision(folder).classes()[59] == "n00000059 thing, object"


def test_labels(lay_out):
    """A list says the label after the last blank; ILSVRC12's images have it by WordNet id."""
    rows = {
        row["image_id"]: row for row in WebVisionMini(lay_out("webvision")).manifest().to_pylist()
    }

    assert rows["google/q0049/g 49_2.jpg"]["label"] == 49
    assert rows["val_images_256/val000001.jpg"]["label"] == 3
    assert rows["ILSVRC2012_val_00000003.JPEG"]["label"] == 49
    assert "google/q0050/g 50_0.jpg" not in rows


def test_without_ilsvrc(lay_out):
    """The second validation split is there where its images are."""
    folder = lay_out("webvision")
    (folder / "imagenet").rename(folder.parent / "elsewhere")

    assert counts(WebVisionMini(folder)) == {"train": 9, "validation": 3}


@pytest.mark.parametrize(
    "line", ["google/a.jpg", "google/a.jpg x", "google/a.jpg 60", "google/a.jpg -1", "3"]
)
def test_damaged_list(lay_out, line):
    """A line that is not an image and a label is an error that names list and row."""
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
    """A list from the web cannot make the program read elsewhere."""
    path = lay_out("webvision") / "info/train_filelist_google.txt"
    path.write_text("../secret.jpg 0\n")

    with pytest.raises(
        ValueError, match=r"image 0: '../secret.jpg' leaves .*: give paths below it"
    ):
        WebVisionMini(path.parents[1]).manifest()


def test_missing(lay_out):
    """Missing images are counted, and one is named."""
    folder = lay_out("webvision")
    for i in range(2):
        (folder / f"google/q0003/g 3_{i}.jpg").unlink()

    with pytest.raises(
        FileNotFoundError,
        match=r"2 of the 9 images of .*google.txt are missing, such as google/q0003/g 3_0",
    ):
        WebVisionMini(folder).manifest()
