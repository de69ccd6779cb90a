"""Folders of one's own: classes as folders, or a csv."""

import pytest

from cnlw_tools.sources.folder import Folder


def facts(path):
    source = Folder(path)
    names = source.classes()
    return {
        row["image_id"]: (names[row["label"]], row["split"])
        for row in source.manifest().to_pylist()
    }


def test_class_folders(lay_out):
    """The folder is the class, the one above it the split; hidden files and files of other kinds are no images."""
    found = facts(lay_out("folder"))

    assert len(found) == 12
    assert found["train/rose/0.jpg"] == ("rose", "train")
    assert found["val/tulip/9.jpg"] == ("tulip", "validation")


def test_one_level(lay_out):
    """Class folders alone are all to train on."""
    found = facts(lay_out("folder") / "train")

    assert found.pop("rose/0.jpg") == ("rose", "train")
    assert {split for _, split in found.values()} == {"train"}


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (["test"], {"train": "train", "test": "validation"}),
        (["valid", "test"], {"train": "train", "valid": "validation", "test": "test"}),
    ],
)
def test_names_of_splits(tmp_path, make, others, expected):
    """A test set validates where nothing else does."""
    for i, part in enumerate(["train", *others]):
        make.put(tmp_path / part / "a" / "deep" / "x.JPG", make.picture(i))

    assert facts(tmp_path) == {
        f"{part}/a/deep/x.JPG": ("a", split) for part, split in expected.items()
    }


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
    """What cannot be told is an error that says how to lay it out."""
    for path in paths:
        make.put(tmp_path / path, make.picture(0))

    with pytest.raises(ValueError, match=message):
        Folder(tmp_path).manifest()


def listed(folder, rows, head="path,label,split"):
    (folder / "my.csv").write_text("\n".join([head, *rows]), encoding="utf-8-sig")
    return folder / "my.csv"


def test_csv(lay_out):
    """A csv says path, label and split; paths are below its folder, and read from there."""
    folder = lay_out("folder")
    path = listed(
        folder,
        ["train/rose/0.jpg,b,train", "./train/tulip/1.jpg,a,train", '"val/rose/10.jpg",b,val'],
    )

    assert facts(path) == {
        "train/rose/0.jpg": ("b", "train"),
        "train/tulip/1.jpg": ("a", "train"),
        "val/rose/10.jpg": ("b", "validation"),
    }
    assert Folder(path).read("train/rose/0.jpg") == (folder / "train/rose/0.jpg").read_bytes()
    assert Folder(folder).read("train/rose/0.jpg") == Folder(path).read("train/rose/0.jpg")


def test_numbers_as_classes(lay_out):
    """Numbers are sorted as numbers and keep their names; without splits all is to train on."""
    rows = [
        f"train/{'rose' if i % 2 == 0 else 'tulip'}/{i}.jpg,{label}"
        for i, label in enumerate((10, 9, 1))
    ]
    path = listed(lay_out("folder"), rows, "path,label")

    assert Folder(path).classes() == ("1", "9", "10")
    assert facts(path)["train/rose/0.jpg"] == ("10", "train")


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
    """A row that leaves the folder, or says too little, is an error that names it."""
    path = listed(lay_out("folder"), rows)

    with pytest.raises(ValueError, match=message):
        Folder(path).manifest()


def test_missing_image(lay_out):
    """An image of the csv that is not there is named."""
    path = listed(lay_out("folder"), ["train/rose/0.jpg,a,train", "train/rose/77.jpg,a,train"])

    with pytest.raises(
        FileNotFoundError,
        match=r"1 of the 2 images of .*my.csv are missing, such as train/rose/77.jpg",
    ):
        Folder(path).manifest()


def test_no_csv(lay_out):
    """A file of another kind is refused in a sentence."""
    path = lay_out("folder") / "train/rose/0.jpg"

    with pytest.raises(
        ValueError, match=r"0.jpg: (not a csv file in UTF-8|row 0: there is no path)"
    ):
        Folder(path).manifest()
