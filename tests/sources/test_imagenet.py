"""ILSVRC12 from archives and from class folders, and the classes of its validation images."""

import shutil
import tarfile

import pytest

from cnlw_tools.sources.formats.tar import TarArchive
from cnlw_tools.sources.imagenet import Imagenet

KIT = "ILSVRC2012_devkit_t12"


def unpack(folder):
    """Lay the archives out as class folders, like most users; return the images by name."""
    images = {}
    train = TarArchive(folder / "ILSVRC2012_img_train.tar")
    for archive in train.members:
        wnid = archive.removesuffix(".tar")
        for name, member in train.nested_members(archive).items():
            images[f"train/{wnid}/{name}"] = train.read(member)
    validation = TarArchive(folder / "ILSVRC2012_img_val.tar")
    wnids = Imagenet(folder).validation.wnids
    for name, member in validation.members.items():
        images[f"val/{wnids[name]}/{name}"] = validation.read(member)
    for path, data in images.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    for path in folder.glob("ILSVRC2012*"):
        path.unlink()
    return {path.split("/")[-1]: data for path, data in images.items()}


def test_archives_and_folders_are_the_same(lay_out):
    """Archives and unpacked folders give the same manifest, the same ids and the same bytes."""
    folder = lay_out("imagenet")
    packed = Imagenet(folder)
    classes, table = packed.classes(), packed.manifest()
    images = {i: packed.read(i) for i in table["image_id"].to_pylist()}

    files = unpack(folder)

    for part in ("train", "val"):  # then with the folders renamed like the archives
        assert Imagenet(folder).classes() == classes == ("n01440764", "n01443537", "n02012849")
        assert Imagenet(folder).manifest() == table
        assert images == files == {i: Imagenet(folder).read(i) for i in images}
        (folder / part).rename(folder / f"ILSVRC2012_img_{part}")
    assert Imagenet(folder).manifest() == table


def test_links_and_copies(lay_out):
    """Validation images may be links within the folder; one in two class folders is an error."""
    folder = lay_out("imagenet")
    table = Imagenet(folder).manifest()
    unpack(folder)
    (folder / "flat").mkdir()
    images = sorted((folder / "val").glob("*/*"))
    for image in images:
        image.rename(folder / "flat" / image.name)
        image.symlink_to(folder / "flat" / image.name)

    assert Imagenet(folder).manifest() == table
    copy = folder / "val/n02012849" / images[0].name
    copy.write_bytes(images[0].read_bytes())
    with pytest.raises(
        ValueError, match=rf"val: n01440764/{copy.name} and n02012849/.* the same name"
    ):
        Imagenet(folder).manifest()


def test_rows(lay_out):
    """Training images are sorted by WordNet id and name, validation images by name."""
    rows = Imagenet(lay_out("imagenet")).manifest().to_pylist()
    images = [(row["image_id"], row["label"], row["split"]) for row in rows]

    assert images[:2] == [("n01440764_1.JPEG", 0, "train"), ("n01440764_10.JPEG", 0, "train")]
    assert images[4] == ("n01443537_1.JPEG", 1, "train")
    assert [label for _, label, split in images if split == "validation"] == [0, 1, 2, 0, 1, 2]


def with_synsets(folder, wnids):
    (folder / "imagenet_2012_validation_synset_labels.txt").write_text("\n".join(wnids))


def with_kaggle(folder, wnids):
    rows = [
        f"ILSVRC2012_val_{i + 1:08d},{wnid} 85 1 499 272 {wnid} 1 2 3 4"
        for i, wnid in enumerate(wnids)
    ]
    (folder / "LOC_val_solution.csv").write_text(
        "\n".join(["ImageId,PredictionString", *reversed(rows)])
    )


def with_kit(folder, wnids):
    with tarfile.open(folder / "kit") as archive:
        archive.extractall(folder, filter="data")


def test_clutter_and_other_endings(lay_out):
    """Clutter in folders is passed over, other files are counted, other endings of images count."""
    folder = lay_out("imagenet")
    unpack(folder)
    table = Imagenet(folder).manifest()
    for path in ("train/.ipynb_checkpoints/x.JPEG", "train/@eaDir/n1_1.JPEG"):
        (folder / path).parent.mkdir()
        (folder / path).write_bytes(b"")
    for path in ("train/n01440764/._n01440764_1.JPEG", "val/.DS_Store", "val/n02012849/Thumbs.db"):
        (folder / path).write_bytes(b"")

    assert Imagenet(folder).manifest() == table
    for path in ("train/n01440764/notes.txt", "val/n02012849/list.csv"):
        (folder / path).write_text("words")
    image = folder / "train/n01440764/n01440764_1.JPEG"
    image.rename(image.with_suffix(".jfif"))
    source = Imagenet(folder)
    assert source.manifest()["image_id"][0].as_py() == "n01440764_1.jfif"
    assert source.left_out == {".txt": 1, ".csv": 1}


@pytest.mark.parametrize("layout", [with_synsets, with_kaggle, with_kit])
@pytest.mark.parametrize("flat", [False, True])
def test_lists_of_the_classes(lay_out, layout, flat):
    """The unpacked devkit, a list of synsets and Kaggle's table agree with the packed devkit."""
    folder = lay_out("imagenet")
    expected = Imagenet(folder).validation.wnids
    (folder / f"{KIT}.tar.gz").rename(folder / "kit")
    if flat:
        with tarfile.open(folder / "ILSVRC2012_img_val.tar") as archive:
            archive.extractall(folder / "val", filter="data")
        (folder / "ILSVRC2012_img_val.tar").unlink()
    layout(folder, expected.values())

    assert Imagenet(folder).validation.wnids == expected
    assert Imagenet(folder).read("ILSVRC2012_val_00000003.JPEG")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,class\na,b\n", "there are no columns ImageId and PredictionString"),
        ("ImageId,PredictionString\nILSVRC2012_val_00000001,\n", "row 0 has no class"),
        ("ImageId,PredictionString\nILSVRC2012_val_00000001\n", "row 0 has no class"),
    ],
)
def test_another_table_of_kaggle(lay_out, text, message):
    """The error for another table names it, and what it lacks."""
    folder = lay_out("imagenet")
    (folder / "LOC_val_solution.csv").write_text(text)

    with pytest.raises(ValueError, match=f"LOC_val_solution.csv: {message}"):
        Imagenet(folder).manifest()


def test_no_list_of_the_classes(lay_out):
    """Without any list, the error says which files are needed."""
    folder = lay_out("imagenet")
    (folder / f"{KIT}.tar.gz").unlink()

    with pytest.raises(
        FileNotFoundError,
        match=rf"put {KIT}.tar.gz, imagenet_2012.*.txt or LOC_val_solution.csv here",
    ):
        Imagenet(folder).manifest()


def test_a_short_list(lay_out):
    """An image that is not in the list is an error."""
    folder = lay_out("imagenet")
    with_synsets(folder, ["n01440764"] * 5)

    with pytest.raises(ValueError, match=r"no class is given for ILSVRC2012_val_00000006.JPEG"):
        Imagenet(folder).manifest()


def test_unknown_class_folder(lay_out):
    """A class with validation images but no training images is an error."""
    folder = lay_out("imagenet")
    unpack(folder)
    shutil.rmtree(folder / "train/n01443537")

    with pytest.raises(
        ValueError, match="class n01443537 has validation images but no training images"
    ):
        Imagenet(folder).manifest()


@pytest.mark.parametrize("name", ["notes.txt", "cat.JPEG"])
def test_not_the_official_files(lay_out, name):
    """The error for a class without images, or with one of another name, names it."""
    folder = lay_out("imagenet")
    unpack(folder)
    shutil.rmtree(folder / "train/n02012849")
    (folder / "train/n02012849").mkdir()
    (folder / "train/n02012849" / name).write_bytes(b"")

    with pytest.raises(
        ValueError, match=r"class n02012849: (there is no image|the name 'cat.JPEG' does not begin)"
    ):
        Imagenet(folder).manifest()


def test_no_validation(lay_out):
    """A training set without a validation set is an error."""
    folder = lay_out("imagenet")
    (folder / "ILSVRC2012_img_val.tar").unlink()

    with pytest.raises(
        FileNotFoundError, match="there are no validation images here; imagenet needs"
    ):
        Imagenet(folder).manifest()


def test_damaged_devkit(lay_out):
    """The error for a devkit that is cut off names it."""
    path = lay_out("imagenet") / f"{KIT}.tar.gz"
    path.write_bytes(path.read_bytes()[:200])

    with pytest.raises(ValueError, match=rf"{KIT}.tar.gz cannot be read as a tar archive"):
        Imagenet(path.parent).manifest()
