"""Stanford Cars, from both layouts of the devkit, and from Parquet files."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from cnlw_tools import files
from cnlw_tools.images.pixels import decode
from cnlw_tools.ingest.import_dataset import import_release
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.plans import published
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs, SourceOptions
from cnlw_tools.sources.stanford_cars import (
    TEST_ANNOTATIONS,
    TRAIN_ANNOTATIONS,
    StanfordCars,
    StanfordCarsCrop,
    read_annotations,
)
from tests.sources.labelled_tables import put_table
from tests.sources.released import annotation

REAL = Path(__file__).parents[3] / "shared/data/stanford_cars"
PUBLISHED_RED = recipe.parse_recipe(
    {"dataset": "stanford_cars", "noise": "red", "published_splits": True},
    "here",
)
needs_devkit = pytest.mark.skipif(
    not REAL.is_dir(), reason="needs the devkit in ../shared/data/stanford_cars"
)


def read_rows(source):
    """Return id, label and split of each image."""
    rows = source.manifest().to_pylist()
    return [(row["image_id"], row["label"], row["split"]) for row in rows]


def test_devkit(lay_out):
    """Ids are paths, labels count from 0, and the test images are validation."""
    rows = read_rows(StanfordCars(lay_out("stanford_cars")))

    assert rows[0] == ("cars_train/00001.jpg", 0, "train")
    assert rows[11:14] == [
        ("cars_train/00012.jpg", 2, "train"),
        ("cars_test/00001.jpg", 0, "validation"),
        ("cars_test/00002.jpg", 1, "validation"),
    ]
    assert len(rows) == 16


def test_torchvision(lay_out, tmp_path):
    """torchvision puts everything into stanford_cars/, and the test labels beside the devkit."""
    folder = lay_out("stanford_cars")
    rows = read_rows(StanfordCars(folder))
    (folder / "devkit" / TEST_ANNOTATIONS).rename(folder / TEST_ANNOTATIONS)
    folder.rename(tmp_path / "stanford_cars")

    assert read_rows(StanfordCars(tmp_path)) == rows
    assert StanfordCars(tmp_path).read("cars_test/00001.jpg")


def test_a_folder_of_other_things_is_not_searched_whole(tmp_path):
    """Parquet files that lie deeper than the Hub has them, and broken links, are none of its business."""
    (tmp_path / "one/two/three").mkdir(parents=True)
    (tmp_path / "one/two/three/train.parquet").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")

    with pytest.raises(FileNotFoundError, match=f"there is no {TRAIN_ANNOTATIONS} here"):
        StanfordCars(tmp_path).manifest()


@pytest.mark.parametrize("devkit", ["devkit", "car_devkit", "car_devkit/devkit"])
def test_kaggle(lay_out, devkit):
    """Kaggle has each folder of images in a folder of the same name; ids stay the same."""
    folder = lay_out("stanford_cars")
    rows = read_rows(StanfordCars(folder))
    image = StanfordCars(folder).read("cars_train/00001.jpg")
    crop = StanfordCarsCrop(folder).read("cars_test/00003.jpg")
    for name in ("cars_train", "cars_test"):
        (folder / name).rename(folder / "images")
        (folder / name).mkdir()
        (folder / "images").rename(folder / name / name)
    (folder / "devkit").rename(folder / "unpacked")
    (folder / devkit).parent.mkdir(exist_ok=True)
    (folder / "unpacked").rename(folder / devkit)

    assert read_rows(StanfordCars(folder)) == rows
    assert StanfordCars(folder).read("cars_train/00001.jpg") == image
    assert StanfordCarsCrop(folder).read("cars_test/00003.jpg") == crop
    (folder / "cars_test/cars_test/00002.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"such as cars_test/cars_test/00002.jpg: complete"):
        StanfordCars(folder).manifest()


def test_parquet_with_other_class_lists(tmp_path):
    """Labels of Parquet files are joined by the names of the classes, whatever each file's order."""
    names = list(StanfordCars(tmp_path).classes())[:3]
    put_table(tmp_path / "train.parquet", names, names)
    put_table(tmp_path / "test.parquet", [names[2], names[0]], [names[0], names[2]])
    classes = StanfordCars(tmp_path).classes()
    words = [classes[label] for _, label, _ in read_rows(StanfordCars(tmp_path))]

    assert words == [*names, names[2], names[0]]


def test_parquet_beside_the_images(lay_out):
    """A Parquet file of something else beside the devkit's images changes nothing."""
    folder = lay_out("stanford_cars")
    rows = read_rows(StanfordCars(folder))
    put_table(folder / "notes.parquet", ["bright"])

    assert read_rows(StanfordCars(folder)) == rows


def test_choices_for_parquet_alone(lay_out):
    """The devkit has no choice of config, split or column; the error says so."""
    with pytest.raises(
        ValueError, match=r"config = 'full' is a choice for Parquet files.*leave it out"
    ):
        StanfordCars(lay_out("stanford_cars"), SourceOptions(config="full"))


def test_older_annotations(tmp_path, make):
    """`cars_annos.mat` gives folder and split itself."""
    box = {"bbox_x1": 2, "bbox_y1": 1, "bbox_x2": 9, "bbox_y2": 8}
    rows = [
        {"relative_im_path": f"car_ims/{i:06d}.jpg", **box, "class": 196 - i, "test": i % 2}
        for i in range(4)
    ]
    savemat(tmp_path / "cars_annos.mat", {"annotations": make.records(rows)})
    for i, row in enumerate(rows):
        make.put(tmp_path / row["relative_im_path"], make.picture(i))

    assert read_rows(StanfordCars(tmp_path)) == [
        (f"car_ims/{i:06d}.jpg", 195 - i, ("train", "validation")[i % 2]) for i in range(4)
    ]
    assert StanfordCarsCrop(tmp_path).read("car_ims/000001.jpg").size == (8, 8)


def test_crop(lay_out):
    """The box is cut out: pixels count from 1, and the last one is inside."""
    folder = lay_out("stanford_cars")
    whole = np.asarray(decode(StanfordCars(folder).read("cars_train/00003.jpg")))

    assert np.array_equal(StanfordCarsCrop(folder).read("cars_train/00003.jpg"), whole[:16, :10])


def test_a_box_outside(lay_out, make):
    """A box that reaches beyond the image is cut off; one that lies outside is an error."""
    folder = lay_out("stanford_cars")
    boxes = [(15, 10, 99, 99), (50, 1, 60, 10)]
    rows = [
        dict(zip(("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"), box, strict=True))
        | {"class": 1, "fname": f"{i + 1:05d}.jpg"}
        for i, box in enumerate(boxes)
    ]
    savemat(folder / "devkit" / TRAIN_ANNOTATIONS, {"annotations": make.records(rows)})
    source = StanfordCarsCrop(folder)

    assert source.read("cars_train/00001.jpg").size == (6, 7)
    with pytest.raises(
        ValueError, match=r"its box \(50, 1, 60, 10\) lies outside its 20 x 16 pixels"
    ):
        source.read("cars_train/00002.jpg")


def test_parquet(lay_out):
    """Classes of Parquet files are matched by name, whatever their order and punctuation."""
    folder = lay_out(
        "hf",
        names=(
            "smart fortwo Convertible 2012",
            "Ram C-V Cargo Van Minivan 2012",
            "Acura RL Sedan 2012",
        ),
    )
    names = StanfordCars(folder).classes()
    rows = read_rows(StanfordCars(folder))

    assert [names[label] for _, label, _ in rows[:3]] == [
        "smart fortwo Convertible 2012",
        "Ram C/V Cargo Van Minivan 2012",
        "Acura RL Sedan 2012",
    ]
    assert rows[16] == ("test-00000", 195, "validation")
    assert decode(StanfordCars(folder).read("test-00000")).size == (20, 16)
    with pytest.raises(ValueError, match="Parquet files contain no boxes"):
        StanfordCarsCrop(folder)


def test_other_parquet(lay_out):
    """A class that is none of the 196 is an error."""
    with pytest.raises(ValueError, match="class 'rose' is not one of the 196"):
        StanfordCars(lay_out("hf")).manifest()


def test_missing_images(lay_out):
    """The error for missing images counts them and names one."""
    folder = lay_out("stanford_cars")
    (folder / "cars_test/00002.jpg").unlink()

    with pytest.raises(
        FileNotFoundError,
        match=r"1 of the 16 images of the annotations .*, such as cars_test/00002.jpg",
    ):
        StanfordCars(folder).manifest()


@pytest.mark.parametrize(
    "name_format", ["{:05d}.jpg", "cars_train/{:05d}.jpg", "cars_train/{:05d}"]
)
def test_published_splits(lay_out, make, name_format):
    """Lists name cars by path or file, with or without ending; web images are read, too."""
    folder = add_release(lay_out("stanford_cars"), make, name_format)
    cars = load_dataset(PUBLISHED_RED, Inputs(files.default_root(), folder))
    rows = published.read_published_split(PUBLISHED_RED, cars, 20).rows.to_pylist()

    assert {row["image_id"] for row in rows if row["origin"] == "base"} == {
        f"cars_train/{i:05d}.jpg" for i in range(4, 13)
    }
    assert [row["image_id"] for row in rows if row["is_noisy"]] == ["w0"]
    assert cars.web["dead"].to_pylist() == [False, True]
    assert StanfordCars(folder).read("w0") == make.picture(700)
    with pytest.raises(
        LookupError, match=r"the web image 'w9' is not here: put it at noisy_images/w9.jpg"
    ):
        StanfordCars(folder).read("w9")


def test_published_splits_of_other_names(lay_out, make):
    """The error for an image that is neither a car nor a candidate names it."""
    folder = add_release(lay_out("stanford_cars"), make, "0{:05d}.jpg")
    cars = load_dataset(PUBLISHED_RED, Inputs(files.default_root(), folder))

    with pytest.raises(
        ValueError,
        match=r"9 rows .* such as 000004; an image of the dataset is called cars_train/00001.jpg",
    ):
        published.read_published_split(PUBLISHED_RED, cars, 20)


def test_classes_of_the_release_in_another_order(lay_out, make):
    """The error for a class list in another order names the first class with another label."""
    folder = add_release(lay_out("stanford_cars"), make, "{:05d}.jpg")
    names = list(StanfordCars(folder).classes())
    make.put(folder / "dataset_no_images/stanford_cars/class_names.txt", "\n".join(names))
    StanfordCars(folder).release.check_class_order(names)
    make.put(
        folder / "dataset_no_images/stanford_cars/class_names.txt",
        "\n".join([*names[1:], names[0]]),
    )

    with pytest.raises(
        ValueError,
        match=r"class_names.txt: label 0 is 'Acura RL Sedan 2012' in this list, but 'AM General Hummer",
    ):
        import_release(folder, folder / "root")


def add_release(folder, make, name_format):
    """Put a release beside the cars: a list of nine, one web image, and one that is dead."""
    web = [[annotation(f"w{i}", i)] for i in range(2)]
    make.put(folder / "dataset_no_images/stanford-cars-annotations.json", json.dumps({"data": web}))
    lines = [f"{name_format.format(i)} {(i - 1) % 3}" for i in range(4, 13)]
    make.put(
        folder / "dataset_no_images/stanford_cars/split/red_noise_nl_0.2",
        "\n".join([*lines, "w0.jpg 0"]),
    )
    make.put(folder / "noisy_images/w0.jpg", make.picture(700))
    make.put(folder / "noisy_images/w1.jpg", b"")
    return folder


@needs_devkit
def test_real_annotations():
    """The official devkit has 8,144 and 8,041 images of 196 classes, each class in both parts."""
    train = read_annotations(REAL / "devkit" / TRAIN_ANNOTATIONS, "cars_train", "train")
    test = read_annotations(REAL / "devkit" / TEST_ANNOTATIONS, "cars_test", "validation")

    assert (len(train), len(test)) == (8144, 8041)
    assert {car.label for car in train} == {car.label for car in test} == set(range(196))
    assert train[0] == ("cars_train/00001.jpg", 13, "train", (39, 116, 569, 375))


@needs_devkit
def test_annotations_without_labels():
    """The devkit's own list of test images has no labels; the error says which file has them."""
    with pytest.raises(ValueError, match=f"have no 'class': use the file {TEST_ANNOTATIONS}"):
        read_annotations(REAL / "devkit/cars_test_annos.mat", "cars_test", "validation")


@needs_devkit
def test_real_classes():
    """The class list is that of the devkit, in its order."""
    source = StanfordCars(REAL)

    assert list(source.classes()) == (REAL / "class_names.txt").read_text().splitlines()
