"""ILSVRC12, from archives and from class folders, and the ways in which validation images get their class."""

import shutil
import tarfile

import pytest

from cnlw_tools.sources.formats.tar import TarArchive
from cnlw_tools.sources.imagenet import Imagenet

KIT = "ILSVRC2012_devkit_t12"


def unpack(folder):
    """Lay the archives out as class folders, as everybody does; return each image's bytes by name."""
    found = {}
    for member in TarArchive(folder / "ILSVRC2012_img_train.tar").members:
        wnid = member.removesuffix(".tar")
        outer = TarArchive(folder / "ILSVRC2012_img_train.tar")
        for name, span in outer.nested_members(member).items():
            found[f"train/{wnid}/{name}"] = outer.read(span)
    val = TarArchive(folder / "ILSVRC2012_img_val.tar")
    wnids = Imagenet(folder).validation.wnids
    found |= {f"val/{wnids[name]}/{name}": val.read(span) for name, span in val.members.items()}
    for path, data in found.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    for path in folder.glob("ILSVRC2012*"):
        path.unlink()
    return {path.split("/")[-1]: data for path, data in found.items()}


def test_archives_and_folders_are_the_same(lay_out):
    """One manifest, one set of ids, the same bytes, whether anything was unpacked or not."""
    folder = lay_out("imagenet")
    packed = Imagenet(folder)
    classes, table = packed.classes(), packed.manifest()
    images = {i: packed.read(i) for i in table["image_id"].to_pylist()}

    files = unpack(folder)

    for part in ("train", "val"):  # the same, called like the archives
        assert Imagenet(folder).classes() == classes == ("n01440764", "n01443537", "n02012849")
        assert Imagenet(folder).manifest() == table
        assert images == files == {i: Imagenet(folder).read(i) for i in images}
        (folder / part).rename(folder / f"ILSVRC2012_img_{part}")
    assert Imagenet(folder).manifest() == table


def test_rows(lay_out):
    """Classes in the order of their WordNet ids, names within; validation in the order of the names."""
    rows = Imagenet(lay_out("imagenet")).manifest().to_pylist()
    found = [(row["image_id"], row["label"], row["split"]) for row in rows]

    assert found[:2] == [("n01440764_1.JPEG", 0, "train"), ("n01440764_10.JPEG", 0, "train")]
    assert found[4] == ("n01443537_1.JPEG", 1, "train")
    assert [label for _, label, split in found if split == "validation"] == [0, 1, 2, 0, 1, 2]


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


@pytest.mark.parametrize("layout", [with_synsets, with_kaggle, with_kit])
@pytest.mark.parametrize("flat", [False, True])
def test_what_says_the_class(lay_out, layout, flat):
    """The devkit unpacked, a list of synsets and Kaggle's table say the same as the packed devkit; flat folders too."""
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


def test_nothing_says_the_class(lay_out):
    """Without any, the error says which files would."""
    folder = lay_out("imagenet")
    (folder / f"{KIT}.tar.gz").unlink()

    with pytest.raises(
        FileNotFoundError,
        match=rf"put {KIT}.tar.gz, imagenet_2012.*.txt or LOC_val_solution.csv here",
    ):
        Imagenet(folder).manifest()


def test_a_short_list(lay_out):
    """An image that the list does not reach is an error."""
    folder = lay_out("imagenet")
    with_synsets(folder, ["n01440764"] * 5)

    with pytest.raises(ValueError, match=r"no class is given for ILSVRC2012_val_00000006.JPEG"):
        Imagenet(folder).manifest()


def test_unknown_class_folder(lay_out):
    """A class that is validated and never trained on is an error."""
    folder = lay_out("imagenet")
    unpack(folder)
    shutil.rmtree(folder / "train/n01443537")

    with pytest.raises(
        ValueError, match="class n01443537 has validation images but no training images"
    ):
        Imagenet(folder).manifest()


@pytest.mark.parametrize("name", ["notes.txt", "cat.JPEG"])
def test_not_the_official_files(lay_out, name):
    """A class without an image, or with one of another name, is an error that names it."""
    folder = lay_out("imagenet")
    unpack(folder)
    shutil.rmtree(folder / "train/n02012849")
    (folder / "train/n02012849").mkdir()
    (folder / "train/n02012849" / name).write_bytes(b"")

    with pytest.raises(
        ValueError, match=r"class n02012849: (there is no image|image 'cat.JPEG' is not called)"
    ):
        Imagenet(folder).manifest()


def test_no_validation(lay_out):
    """A training set alone is not the dataset."""
    folder = lay_out("imagenet")
    (folder / "ILSVRC2012_img_val.tar").unlink()

    with pytest.raises(
        FileNotFoundError, match="there are no validation images here; imagenet needs"
    ):
        Imagenet(folder).manifest()


def test_damaged_devkit(lay_out):
    """A devkit that was cut off is named."""
    path = lay_out("imagenet") / f"{KIT}.tar.gz"
    path.write_bytes(path.read_bytes()[:200])

    with pytest.raises(ValueError, match=rf"{KIT}.tar.gz: damaged, or another archive"):
        Imagenet(path.parent).manifest()
