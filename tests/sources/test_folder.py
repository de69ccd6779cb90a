"""Your own images: class folders, or a csv file."""

import io
import os
from unicodedata import normalize

import pytest
from PIL import Image

from cnlw_tools.images.pixels import decode
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
            "its splits are val, which is not allowed: there must be a training split, and "
            "no split may occur twice",
        ),
        (
            ["train/a/1.jpg", "val/a/1.jpg", "dev/a/1.jpg"],
            "its splits are train, val, dev, which is not allowed: there must be a training split",
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
        make.put(tmp_path / path, "notes" if path.endswith(".txt") else make.picture(0))

    with pytest.raises(ValueError, match=message):
        Folder(tmp_path).manifest()


def lay(folder, make, paths):
    """Write a picture at each path, and return the folder."""
    for seed, path in enumerate(paths):
        make.put(folder / path, make.picture(seed))
    return folder


def test_endings_do_not_decide(tmp_path, make):
    """An image of any format counts, whatever its name; the others are counted by ending."""
    lay(tmp_path, make, ["cat/1.jpg", "dog/1.jfif", "dog/2.jpe", "emu/0003", "emu/4.dat"])
    for suffix, format in (("avif", "AVIF"), ("jp2", "JPEG2000"), ("tif", "TIFF"), ("pgm", "PPM")):
        file = io.BytesIO()
        Image.open(io.BytesIO(make.picture(7))).convert("L").save(file, format)
        make.put(tmp_path / f"cat/x.{suffix}", file.getvalue())
    for name in ("notes.txt", "more.txt", "labels.csv", "photo.heic"):
        make.put(tmp_path / "dog" / name, "words")

    images = classes_and_splits(tmp_path)
    source = Folder(tmp_path)
    source.manifest()

    assert len(images) == 9
    assert images["emu/0003"] == ("emu", "train")
    assert source.left_out == {".txt": 2, ".csv": 1, ".heic": 1}
    for image_id in images:
        decode(source.read(image_id))


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (["Train", "Test"], {"Train": "train", "Test": "validation"}),
        (["TRAIN", "VAL", "TEST"], {"TRAIN": "train", "VAL": "validation", "TEST": "test"}),
        (["training_set", "test_set"], {"training_set": "train", "test_set": "validation"}),
    ],
)
def test_split_words_in_any_case(tmp_path, make, folders, classes):
    """Folders of splits are known in capital and small letters, and with a word behind."""
    lay(tmp_path, make, [f"{folder}/{name}/1.jpg" for folder in folders for name in ("cat", "dog")])

    images = classes_and_splits(tmp_path)

    assert set(images.values()) == {
        (n, split) for split in classes.values() for n in ("cat", "dog")
    }
    for folder, split in classes.items():
        assert images[f"{folder}/cat/1.jpg"] == ("cat", split)


def test_a_class_may_be_called_like_a_split(tmp_path, make):
    """Beside class folders that hold images, a folder `train` that holds images is a class."""
    images = classes_and_splits(
        lay(tmp_path, make, ["bus/0.jpg", "car/1.jpg", "train/2.jpg", "train/old/3.jpg"])
    )
    nested = classes_and_splits(
        lay(tmp_path / "two", make, ["train/bus/0.jpg", "train/train/1.jpg", "val/train/2.jpg"])
    )

    assert images["train/2.jpg"] == images["train/old/3.jpg"] == ("train", "train")
    assert images["bus/0.jpg"] == ("bus", "train")
    assert nested["val/train/2.jpg"] == ("train", "validation")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            ["fold1/cat/1.jpg", "fold1/dog/2.jpg", "fold2/cat/3.jpg"],
            r"fold1 and fold2 both hold a folder 'cat', so it is unclear whether they are "
            r"classes or splits",
        ),
        (
            ["train/a/cat/1.jpg", "train/b/cat/2.jpg", "val/a/cat/1.jpg"],
            "train/a and train/b both hold a folder 'cat'",
        ),
        (
            [
                "seg_train/seg_train/cat/1.jpg",
                "seg_train/seg_train/dog/2.jpg",
                "seg_test/seg_test/cat/3.jpg",
                "seg_test/seg_test/dog/4.jpg",
            ],
            r"seg_test and seg_train both hold a folder 'cat', so it is unclear whether they "
            r"are classes or splits",
        ),
        (
            [
                "train/cat/1.jpg",
                "train/dog/2.jpg",
                "train/train/cat/1.jpg",
                "train/train/dog/2.jpg",
            ],
            "there is train/cat, and train/train holds a folder 'cat', so it is unclear .* remove copies",
        ),
        (
            ["flowers/rose/1.jpg", "flowers/tulip/2.jpg"],
            "flowers would be the only class, but it contains folders, such as 'rose': .* give "
            ".*/flowers;",
        ),
        (
            ["set/train/rose/1.jpg", "set/val/rose/2.jpg"],
            "set would be the only class, but it contains folders, such as 'train'",
        ),
        (
            ["train/images/cat/1.jpg", "train/images/dog/1.jpg"],
            "train/images would be the only class",
        ),
        (
            ["bus/1.jpg", "train/steam/2.jpg", "train/diesel/3.jpg"],
            "is 'train' a split or a class\\? 'bus' contains images, and 'train' contains folders",
        ),
        (
            ["Train/a/1.jpg", "Test/a/2.jpg", "extra/3.jpg"],
            "is 'Test' a split or a class\\? 'extra' contains images",
        ),
        (
            ["train/a/1.jpg", "test/2.jpg"],
            "test/2.jpg lies in no class folder, since 'test' is the word for a split: put",
        ),
        (["cat/1.jpg", "cat /2.jpg"], "'cat' and 'cat ' differ only in spaces: rename one"),
    ],
)
def test_ambiguous_folders(tmp_path, make, paths, message):
    """Where folders may be classes or splits, the error asks, and says what to do."""
    with pytest.raises(ValueError, match=message):
        Folder(lay(tmp_path, make, paths)).manifest()


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("bird", "folders of classes or splits without an image: bird: add images, or remove the"),
        ("cat/deep", None),
        ("@eaDir", None),
        (".ipynb_checkpoints", None),
    ],
)
def test_class_folders_without_images(tmp_path, make, folder, message):
    """A class folder without an image is an error; clutter and inner folders are no classes."""
    lay(tmp_path, make, ["cat/1.jpg", "dog/2.jpg"])
    (tmp_path / folder).mkdir()

    if message is None:
        assert Folder(tmp_path).classes() == ("cat", "dog")
    else:
        with pytest.raises(ValueError, match=message):
            Folder(tmp_path).classes()


def test_empty_folders_of_splits(tmp_path, make):
    """Empty classes and splits are listed at once, with what was left out; others may be empty."""
    lay(tmp_path, make, ["train/cat/1.jpg", "train/dog/2.jpg", "val/cat/3.jpg"])
    make.put(tmp_path / "val/dog/photo.heic", "x")
    make.put(tmp_path / "annotations/all/x.json", "{}")
    (tmp_path / "Test").mkdir()

    with pytest.raises(
        ValueError, match=r"folders .*: Test, val/dog \(left out: 1 .heic, 1 .json\): add"
    ):
        Folder(tmp_path).classes()


def test_unicode_forms(tmp_path, make):
    """A class is one in train and val, whatever Unicode form its folders have; ids are in NFC."""
    composed, decomposed = normalize("NFC", "café"), normalize("NFD", "café")
    lay(tmp_path, make, [f"train/{composed}/1.jpg", f"val/{decomposed}/{decomposed}.jpg"])
    path = write_csv(tmp_path, [f"train/{composed}/1.jpg,{decomposed},train"])

    source = Folder(tmp_path)

    assert source.classes() == Folder(path).classes() == (composed,)
    ids = source.manifest()["image_id"].to_pylist()
    assert ids == [f"train/{composed}/1.jpg", f"val/{composed}/{composed}.jpg"]
    assert [source.read(image_id) for image_id in ids] == [make.picture(0), make.picture(1)]
    path = write_csv(tmp_path, [f"val/{composed}/{decomposed}.jpg,a,train"])
    assert Folder(path).manifest()["image_id"].to_pylist() == [ids[1]]


def test_links_are_not_followed(tmp_path, make):
    """Links that go up and round add no image and no class; a class that is a link is an error."""
    folder = lay(tmp_path / "in", make, ["train/a/1.jpg", "train/b/2.jpg"])
    lay(tmp_path, make, ["out/3.jpg"])
    (folder / "train/a/up").symlink_to("..")
    (folder / "train/a/round").symlink_to(folder / "train/a")

    source = Folder(folder)

    assert source.manifest()["image_id"].to_pylist() == ["train/a/1.jpg", "train/b/2.jpg"]
    assert source.left_out == {"links": 2}
    (folder / "train/c").symlink_to(tmp_path / "out")
    with pytest.raises(ValueError, match=r"in: links .* not followed: train/c: put the images"):
        Folder(folder).classes()


def test_nothing_but_links(tmp_path, make):
    """Where all images are links out of the folder, the error says that those are not followed."""
    lay(tmp_path, make, ["out/1.jpg"])
    (tmp_path / "in/cat").mkdir(parents=True)
    (tmp_path / "in/cat/1.jpg").symlink_to(tmp_path / "out/1.jpg")

    with pytest.raises(
        ValueError,
        match=r"links .* out of the folder or to nowhere, which are not followed: cat/1.jpg",
    ):
        Folder(tmp_path / "in").manifest()


def test_an_empty_folder_that_is_not_utf8(tmp_path, make):
    """An empty class folder is named, even if its name is not UTF-8."""
    lay(tmp_path, make, ["cat/1.jpg"])
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")  # noqa: PTH102

    with pytest.raises(ValueError, match=r"without an image: caf\\xe9: add"):
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
    "text",
    [
        "path;label\n0.jpg;3\n1.jpg;10\n",
        "label\tPath\n3\t0.jpg\n10\t1.jpg\n",
        "path|label\n0.jpg|3\n1.jpg|10\n",
        "\ufeffFile_Name,Label\r\n0.jpg,3\r\n1.jpg,10\r\n",
        "path , label\n 0.jpg , 3\n 1.jpg , 10\n",
        "filename,width,CLASS\n0.jpg,20,3\n1.jpg,20,10\n",
        "path,label\n0.jpg,3.0\n1.jpg,10.0\n",
        ",Image Path,label\n0,.\\0.jpg,3\n1,.\\1.jpg,10\n",
        'path;label\n"0.jpg";"3"\n"./1.jpg";"10"\n',
        "\n\npath,label\r0.jpg,3\r\r1.jpg,10\r",
    ],
)
def test_dialects_of_csv(tmp_path, make, text):
    """Separators, other heads, blanks, backslashes and labels as floats make no difference."""
    lay(tmp_path, make, ["0.jpg", "1.jpg"])
    (tmp_path / "my.csv").write_text(text, encoding="utf-8", newline="")

    assert Folder(tmp_path / "my.csv").classes() == ("3", "10")
    assert classes_and_splits(tmp_path / "my.csv") == {
        "0.jpg": ("3", "train"),
        "1.jpg": ("10", "train"),
    }


def test_backslashes_between_folders(lay_out):
    """A list that was made on Windows is read."""
    path = write_csv(
        lay_out("folder"), [r"train\rose\0.jpg,a,Train", r".\train\tulip\1.jpg,b,train"]
    )

    assert list(classes_and_splits(path)) == ["train/rose/0.jpg", "train/tulip/1.jpg"]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["3.0", "10.0", "9"], ("3", "9", "10")),
        (["1.0", "2.5", "10.0"], ("1.0", "2.5", "10.0")),
        (["b", "10", "9", "-1"], ("b", "-1", "9", "10")),
        (["010", "002", "1"], ("1", "002", "010")),
        (["NA", "null", "1.0"], ("NA", "null", "1.0")),
    ],
)
def test_labels_are_sorted_as_numbers(tmp_path, make, labels, classes):
    """Whole numbers lose their decimals if all labels are such; numbers are sorted by value."""
    paths = [f"{i}.jpg" for i in range(len(labels))]
    rows = [f"{path},{label}" for path, label in zip(paths, labels, strict=True)]

    assert Folder(write_csv(lay(tmp_path, make, paths), rows, "path,label")).classes() == classes


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("id,breed", "0.jpg,a", "there is no column 'path'; the columns are 'id', 'breed': rename"),
        ("path,breed", "0.jpg,a", "there is no column 'label'; the columns are 'path', 'breed'"),
        ("0.jpg,a", "1.jpg,b", "the columns are '0.jpg', 'a': rename one, or add a first line"),
        (
            "path,label,Label",
            "0.jpg,a,b",
            "2 columns could be the column 'label'; the columns are 'path', 'la",
        ),
        ("file,filename,label", "0.jpg,1.jpg,a", "2 columns could be the column 'path'"),
        ("path,label", "a,b.jpg,a", "row 0: 3 values for 2 columns: put a value .* into quotes"),
        (
            "path,label",
            r"C:\img\0.jpg,a",
            "row 0: 'C:/img/0.jpg' is outside of .*: give paths below it",
        ),
        (
            "path,label",
            r"\\server\0.jpg,a",
            "'//server/0.jpg' is outside of .*: give paths below it",
        ),
    ],
)
def test_csv_that_cannot_be_read(lay_out, header, row, message):
    """The error says which columns there are, and what to change."""
    with pytest.raises(ValueError, match=message):
        Folder(write_csv(lay_out("folder"), [row], header)).manifest()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["../secret.jpg,a,train"],
            r"image 0: '../secret.jpg' is outside of .*: give paths below it",
        ),
        (["/etc/passwd,a,train"], "image 0: '/etc/passwd' is outside of"),
        (["train/rose/../../../secret.jpg,a,train"], "is outside of"),
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

    with pytest.raises(ValueError, match=r"0.jpg cannot be read as text .*: store it as CSV in"):
        Folder(path).manifest()
