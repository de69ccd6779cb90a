"""Labels for one's own loader: an array in the order of the source, and a table of every row."""

import csv
import json

import datasets
import numpy as np
import pyarrow as pa
import pytest

from cnlw_tools.builds.build import build
from cnlw_tools.builds.exporters import export
from cnlw_tools.builds.exporters.labels import write_labels
from cnlw_tools.builds.exporters.source_order import SourceOrder
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
from tests.builds.exporters.conftest import PLANNED, Pixels

CONFIG = "red_40_t40_probe2"


def read_csv(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("config", PLANNED)
def test_rows_have_the_numbers_that_datasets_counts(config, built, tmp_path):
    """The column `row` is the row that examples.parquet of a run speaks of."""
    export("labels", built, config, tmp_path / "out")
    splits = datasets.load_dataset(str(built), config, cache_dir=str(tmp_path / "cache"))

    assert {path.stem for path in (tmp_path / "out").glob("*.csv")} == {*splits}
    for split, loaded in splits.items():
        rows = read_csv(tmp_path / "out" / f"{split}.csv")
        rows.sort(key=lambda row: int(row["row"]))
        names = loaded.features["label"].names
        assert [int(row["row"]) for row in rows] == [*range(loaded.num_rows)]
        assert [row["image_id"] for row in rows] == loaded["image_id"][:]
        assert [int(row["label"]) for row in rows] == loaded["label"][:]
        assert all(row["label_name"] == names[int(row["label"])] for row in rows)


@pytest.mark.parametrize("config", [name for name in PLANNED if "dilution" not in name])
def test_an_array_is_in_the_order_of_the_source(config, built, inputs, planned, tmp_path):
    """It has the given label of each image of the part, or -1; the truth lies beside it."""
    export("labels", built, config, tmp_path / "out", {"truth": True})
    base = pa.parquet.read_table(inputs.root / "manifests/shapes/base.parquet").to_pylist()
    for split, part in (("train", "train"), ("probe", "train"), ("validation", "validation")):
        rows = {
            row["image_id"]: row for row in planned(config).to_pylist() if row["split"] == split
        }
        labels, clean_labels, is_noisy = [], [], []
        for image in base:
            if image["split"] == part:
                row = rows.get(
                    image["image_id"], {"label": -1, "clean_label": -1, "is_noisy": False}
                )
                labels.append(row["label"])
                clean_labels.append(row["clean_label"])
                is_noisy.append(row["is_noisy"])
        out = tmp_path / "out"

        assert -1 in labels or split == "validation"
        assert np.load(out / f"{split}.npy").tolist() == labels
        assert json.loads((out / f"{split}.json").read_text()) == labels
        assert np.load(out / f"{split}_clean_labels.npy").tolist() == clean_labels
        assert np.load(out / f"{split}_is_noisy.npy").tolist() == is_noisy
        assert np.load(out / f"{split}.npy").dtype == np.int64
        assert np.load(out / f"{split}_is_noisy.npy").dtype == np.bool_


def test_images_without_a_label_are_counted(built, planned, tmp_path):
    """A note says how many labels of each array are -1, and why."""
    notes = export("labels", built, CONFIG, tmp_path / "out")
    rows = planned(CONFIG).to_pylist()
    n_replaced = sum(row["replaces"] is not None for row in rows)
    n_probe = sum(row["split"] == "probe" for row in rows)
    n_train = sum(row["split"] == "train" for row in rows)
    n_images = n_train + n_probe
    kept = n_train - n_replaced

    assert n_replaced > 0
    assert sorted(notes) == [
        f"probe.npy: {n_train} of {n_images} labels are -1: "
        f"{n_replaced} replaced by other images in train, {kept} in train",
        f"train.npy: {n_replaced + n_probe} of {n_images} labels are -1: "
        f"{n_replaced} replaced by other images in train, {n_probe} in probe",
    ]


def test_images_that_are_left_out_keep_their_place(tmp_path):
    """A smaller training set and an imbalance shift no label."""
    images = {f"image {number}": number % 2 for number in range(20)}
    inputs = Inputs(tmp_path, source=Pixels(images, ("a", "b")))
    build(Recipe("pixels", "blue", levels=(0,), train_size=6), inputs, tmp_path / "build")
    notes = export("labels", tmp_path / "build", "blue_00_clean6", tmp_path / "out")
    labels = np.load(tmp_path / "out" / "train.npy")

    assert notes == ["train.npy: 14 of 20 labels are -1: 14 left out"]
    assert (labels >= 0).sum() == 6
    assert [
        label for label in enumerate(labels.tolist()) if label[1] not in (-1, label[0] % 2)
    ] == []


def test_an_image_with_two_labels_has_no_array(built, tmp_path):
    """The table has every row, and a note names an image."""
    notes = export("labels", built, "dilution_a2.5", tmp_path / "out")
    rows = read_csv(tmp_path / "out" / "train.csv")

    assert len(notes) == 1
    assert notes[0].startswith("train: image '")
    assert notes[0].endswith("and an array has room for one: read train.csv, which has every row")
    assert not (tmp_path / "out" / "train.npy").exists()
    assert not (tmp_path / "out" / "train.json").exists()
    assert (tmp_path / "out" / "validation.npy").exists()
    indices = [int(row["index"]) for row in rows]
    assert indices == sorted(indices)
    assert len(rows) > len({*indices})


def table(*rows):
    """Return rows of a plan from tuples of image, label, and what the image replaces."""
    columns = {"image_id": [], "label": [], "clean_label": [], "origin": []}
    columns |= {"replaces": [], "is_noisy": []}
    for image_id, label, replaces in rows:
        values = (image_id, label, None, "base", replaces, True)
        for name, value in zip(columns, values, strict=True):
            columns[name].append(value)
    types = dict.fromkeys(columns, pa.string()) | {"label": pa.int32(), "clean_label": pa.int32()}
    types["is_noisy"] = pa.bool_()
    return pa.table(columns, pa.schema(types.items()))


ORDER = SourceOrder(pa.array(["a", "b", "x", "c"]), np.array(["train", "train", "test", "train"]))


def test_each_part_is_counted_by_itself(tmp_path):
    """As with train=True and train=False of torchvision; a split of two parts counts both."""
    splits = {"train": table(("c", 3, None), ("a", 1, None)), "validation": table(("x", 2, None))}
    notes = write_labels(tmp_path, splits, ORDER, tuple("klmn"))
    (tmp_path / "both").mkdir()
    both = {"train": table(("c", 3, None), ("x", 2, None))}
    write_labels(tmp_path / "both", both, ORDER, tuple("klmn"))

    assert np.load(tmp_path / "train.npy").tolist() == [1, -1, 3]
    assert np.load(tmp_path / "validation.npy").tolist() == [2]
    assert notes == ["train.npy: 1 of 3 labels are -1: 1 left out"]
    assert np.load(tmp_path / "both" / "train.npy").tolist() == [-1, -1, 2, 3]


def test_images_from_elsewhere_are_last_and_have_no_index(tmp_path):
    """They replace an image, or are a split of their own, which has no array."""
    splits = {
        "train": table(("web", 1, "b"), ("c", 3, None), ("a", 1, None)),
        "test_outliers": table(("far", 0, None)),
    }
    notes = write_labels(tmp_path, splits, ORDER, tuple("klmn"))
    rows = [(row["index"], row["image_id"]) for row in read_csv(tmp_path / "train.csv")]

    assert rows == [("0", "a"), ("2", "c"), ("", "web")]
    assert np.load(tmp_path / "train.npy").tolist() == [1, -1, 3]
    assert notes == [
        "train.npy: 1 of 3 labels are -1: 1 replaced by other images in train",
        "test_outliers: none of its images is of the dataset: read test_outliers.csv, "
        "which has every row",
    ]
    assert not (tmp_path / "test_outliers.npy").exists()
