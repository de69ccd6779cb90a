"""Your own images: class folders, or a csv file."""

import pytest

from cnlw_tools.sources.folder import Folder


def classes_and_splits(path):
    """Return the class name and the split of each image, by id."""
    source = Folder(path)
    names = source.classes()
    images = {}
    for row in source.manifest().to_pylist():
        images[row["image_id"]] = (names[row["label"]], row["split"])
    return images


def test_class_folders(lay_out):
    """The folder gives the class, the one above it the split; other files are left out."""
    images = classes_and_splits(lay_out("folder"))

    assert len(images) == 12
    assert images["train/rose/0.jpg"] == ("rose", "train")
    assert images["val/tulip/9.jpg"] == ("tulip", "validation")


def test_one_level(lay_out):
    """Class folders without folders of splits are all for training."""
    images = classes_and_splits(lay_out("folder") / "train")

    assert images["rose/0.jpg"] == ("rose", "train")
    assert {split for _, split in images.values()} == {"train"}


@pytest.mark.parametrize(
    ("folders", "split_of_folder"),
    [
        (["test"], {"train": "train", "test": "validation"}),
        (["valid", "test"], {"train": "train", "valid": "validation", "test": "test"}),
    ],
)
def test_names_of_splits(tmp_path, make, folders, split_of_folder):
    """A test set serves as the validation split where there is no other."""
    for seed, folder in enumerate(["train", *folders]):
        make.put(tmp_path / folder / "a" / "deep" / "x.JPG", make.picture(seed))
    expected = {}
    for folder, split in split_of_folder.items():
        expected[f"{folder}/a/deep/x.JPG"] = ("a", split)

    assert classes_and_splits(tmp_path) == expected


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "there is no image here; folder needs class folders"),
        (["rose/notes.txt"], "there is no image here"),
        (["1.jpg"], "1.jpg lies in no class folder"),
        (["train/1.jpg"], "train/1.jpg lies in no class folder"),
        (["train/a/1.jpg", "other/a/2.jpg"], "'other' is not a split: rename it to one of train"),
        (
            ["val/a/1.jpg"],
            "its splits are val: there must be a training split, and each split once",
        ),
        (
            ["train/a/1.jpg", "val/a/1.jpg", "dev/a/1.jpg"],
            "its splits are train, val, dev: there must be a training split",
        ),
        (
            ["train/a/1.jpg", "val/b/2.jpg"],
            "val/b/2.jpg is of class 'b', which has no training image",
        ),
    ],
)
def test_other_layouts(tmp_path, make, paths, message):
    """An unclear layout is an error that says how to lay the images out."""
    for path in paths:
        make.put(tmp_path / path, make.picture(0))

    with pytest.raises(ValueError, match=message):
        Folder(tmp_path).manifest()


def write_csv(folder, rows, header="path,label,split"):
    """Write a csv file, and return its path."""
    path = folder / "my.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8-sig")
    return path


def test_csv(lay_out):
    """A csv file gives path, label and split; paths are relative to its folder."""
    folder = lay_out("folder")
    path = write_csv(
        folder,
        ["train/rose/0.jpg,b,train", "./train/tulip/1.jpg,a,train", '"val/rose/10.jpg",b,val'],
    )

    assert classes_and_splits(path) == {
        "train/rose/0.jpg": ("b", "train"),
        "train/tulip/1.jpg": ("a", "train"),
        "val/rose/10.jpg": ("b", "validation"),
    }
    assert Folder(path).read("train/rose/0.jpg") == (folder / "train/rose/0.jpg").read_bytes()
    assert Folder(folder).read("train/rose/0.jpg") == Folder(path).read("train/rose/0.jpg")


def test_numbers_as_classes(lay_out):
    """Numbers are sorted as numbers and stay names; without splits all images are for training."""
    rows = [
        f"train/{'rose' if i % 2 == 0 else 'tulip'}/{i}.jpg,{label}"
        for i, label in enumerate((10, 9, 1))
    ]
    path = write_csv(lay_out("folder"), rows, "path,label")

    assert Folder(path).classes() == ("1", "9", "10")
    assert classes_and_splits(path)["train/rose/0.jpg"] == ("10", "train")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["../secret.jpg,a,train"], r"image 0: '../secret.jpg' leaves .*: give paths below it"),
        (["/etc/passwd,a,train"], "image 0: '/etc/passwd' leaves"),
        (["train/rose/../../../secret.jpg,a,train"], "leaves"),
        (["train/rose/0.jpg,,train"], "row 0: there is no label: the columns must be path,label"),
        (["train/rose/0.jpg"], "row 0: there is no label"),
        ([], "there is no image here"),
    ],
)
def test_wrong_csv(lay_out, rows, message):
    """The error for a row that leaves the folder, or lacks a value, names it."""
    path = write_csv(lay_out("folder"), rows)

    with pytest.raises(ValueError, match=message):
        Folder(path).manifest()


def test_missing_image(lay_out):
    """The error for a missing image of the csv file names it."""
    path = write_csv(lay_out("folder"), ["train/rose/0.jpg,a,train", "train/rose/77.jpg,a,train"])

    with pytest.raises(
        FileNotFoundError,
        match=r"1 of the 2 images of .*my.csv are missing, such as train/rose/77.jpg",
    ):
        Folder(path).manifest()


def test_no_csv(lay_out):
    """A file of another kind is refused with an error."""
    path = lay_out("folder") / "train/rose/0.jpg"

    with pytest.raises(
        ValueError, match=r"0.jpg: (not a csv file in UTF-8|row 0: there is no path)"
    ):
        Folder(path).manifest()
