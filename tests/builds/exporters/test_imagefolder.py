"""Class folders of image files: torchvision and `datasets` read what the build holds."""

import csv
from collections import Counter
from io import BytesIO

import datasets
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cnlw_tools.builds.exporters import export
from cnlw_tools.builds.exporters.imagefolder import export_imagefolder
from cnlw_tools.card.metadata import config_shards, read_card

CONFIG = "red_40_t40_probe2"


def stored_rows(build, config, split):
    """Return the image bytes and the given label of every row of a split, from the shards."""
    rows = []
    for name in config_shards(read_card(build), config)[split]:
        for row in pq.read_table(build / "data" / name).to_pylist():
            rows.append((row["image"]["bytes"], row["label"]))
    return rows


@pytest.mark.parametrize("split", ["train", "validation", "probe"])
def test_torchvision_reads_it(split, built, tmp_path):
    """Every image has the bytes that the build stores, in a class of its given label's name."""
    pytest.importorskip("torch")
    from torchvision.datasets import ImageFolder

    export("imagefolder", built, CONFIG, tmp_path / "out")
    with (built / "tables" / "classes.csv").open() as file:
        classes = [row["name"] for row in csv.DictReader(file)]
    expected = Counter()
    for image, label in stored_rows(built, CONFIG, split):
        expected[image, classes[label]] += 1
    loaded = ImageFolder(tmp_path / "out" / split)
    images = Counter()
    for path, label in loaded.samples:
        with open(path, "rb") as file:  # noqa: PTH123, as torchvision does
            images[file.read(), loaded.classes[label]] += 1

    assert images == expected
    assert loaded.classes == sorted(classes)
    assert loaded[0][0].mode == "RGB"


def test_datasets_reads_it(built, tmp_path):
    """As `imagefolder`, with the classes in the order of the alphabet; labels.csv is no image."""
    export("imagefolder", built, CONFIG, tmp_path / "out")
    folder = str(tmp_path / "out" / "train")
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=folder, cache_dir=str(tmp_path / "cache")
    )["train"]

    assert loaded.num_rows == len(stored_rows(built, CONFIG, "train"))
    assert loaded.features["label"].names == sorted(loaded.features["label"].names)
    assert loaded[0]["image"].mode == "RGB"


def test_ids_become_safe_file_names(pixels_config, tmp_path):
    """No id leaves its folder or hides its file, and labels.csv has it as it is."""
    ids = ["../../up", "/root", ".hidden", "a/b.png", 'say "x"', "ünï", "end.", "c:\\d", "x" * 200]
    config = pixels_config(dict.fromkeys(ids, 0))
    export_imagefolder(config, tmp_path / "out")
    with (tmp_path / "out" / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith("train")]

    assert {row["image_id"] for row in rows} == {*ids}
    names = sorted(path.name for path in (tmp_path / "out" / "train" / "a").iterdir())
    assert names == sorted(row["file"].removeprefix("train/a/") for row in rows)
    assert "_._.._up.png" in names
    assert "a_b.png" in names
    assert "_hidden.png" in names


def test_ids_that_would_be_one_file_are_refused(pixels_config, tmp_path):
    """One image is not written over another."""
    config = pixels_config({"a/b": 0, "a:b": 0})

    with pytest.raises(
        ValueError, match=r"image 'a.b' and another of the class 'a' would both get"
    ):
        export_imagefolder(config, tmp_path / "out")


def test_equal_names_in_two_classes_are_two_files(pixels_config, tmp_path):
    """Files are in the folders of their classes."""
    export_imagefolder(pixels_config({"a/b": 0, "a:b": 1}), tmp_path / "out")

    names = [path.name for path in (tmp_path / "out" / "train").glob("*/*")]
    assert names == ["a_b.png", "a_b.png"]


def test_classes_that_would_be_one_folder_are_refused(pixels_config, tmp_path):
    """Two classes do not become one."""
    config = pixels_config({"x": 0, "y": 1}, ("c/v", "c:v"))

    with pytest.raises(ValueError, match="class 'c:v' and another would both get the folder 'c_v'"):
        export_imagefolder(config, tmp_path / "out")


def test_an_empty_class_has_a_folder(pixels_config, tmp_path):
    """So that torchvision numbers the classes of all splits alike."""
    export_imagefolder(pixels_config({"x": 0}, ("a", "b")), tmp_path / "out")

    assert sorted(path.name for path in (tmp_path / "out" / "train").iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    ("format_name", "suffix"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("BMP", "bmp")]
)
def test_bytes_are_those_of_the_build(format_name, suffix, pixels_config, tmp_path):
    """The suffix is that of the format, and is not repeated where the id has it."""
    file = BytesIO()
    Image.new("RGB", (4, 4)).save(file, format_name)
    ids = {"x": 0, f"y.{suffix}": 0}
    export_imagefolder(pixels_config(ids, stored=file.getvalue()), tmp_path / "out")

    folder = tmp_path / "out" / "train" / "a"
    assert sorted(path.name for path in folder.iterdir()) == [f"x.{suffix}", f"y.{suffix}"]
    assert (folder / f"x.{suffix}").read_bytes() == file.getvalue()


def test_a_format_that_would_be_passed_over_is_refused(pixels_config, tmp_path):
    """Torchvision ignores files of JPEG 2000, so the export would be smaller than the build."""
    file = BytesIO()
    Image.new("RGB", (4, 4)).save(file, "JPEG2000")
    config = pixels_config({"x": 0}, stored=file.getvalue())

    with pytest.raises(
        ValueError, match="'x' is stored as JPEG2000, which not every program reads"
    ):
        export_imagefolder(config, tmp_path / "out")
