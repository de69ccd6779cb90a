"""Datasets in arrays: their labels alone are enough for a plan."""

import numpy as np
import pytest

from cnlw_tools.dataset import hashing
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.sources import SOURCES

NAMES = ("cifar10", "cifar100", "mnist", "svhn", "svhn_extra")


def save_labels(source, folder):
    """Save the labels of each part as a user would."""
    folder.mkdir()
    manifest = source.manifest().to_pylist()
    for part in source.split_of_part:
        labels = [row["label"] for row in manifest if row["image_id"].startswith(f"{part}-")]
        np.save(folder / f"{part}.npy", labels)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_of_labels_is_that_of_the_images(name, lay_out, tmp_path):
    """It has the same rows; the manifest lacks the hashes and nothing else."""
    images = lay_out(name)
    labels = save_labels(SOURCES[name](images), tmp_path / "labels")
    recipe = Recipe(name, "blue", levels=(40,))
    digests, manifests = [], []
    for folder in (images, labels):
        dataset = load_dataset(recipe, Inputs(tmp_path, folder))
        digests.append(hashing.digest(plan(recipe, dataset, 40)))
        manifests.append(dataset.base.select(["image_id", "label", "split"]))
        hashes = dataset.base["sha256"]

    assert digests[0] == digests[1]
    assert manifests[0] == manifests[1]
    assert hashes.null_count == len(hashes)


@pytest.mark.parametrize("name", NAMES)
def test_without_images_nothing_is_read(name, lay_out, tmp_path):
    """The error says where the images should be."""
    labels = save_labels(SOURCES[name](lay_out(name)), tmp_path / "labels")

    with pytest.raises(FileNotFoundError, match=r"labels: there is no .*here"):
        SOURCES[name](labels).read("train-00000")


def test_images_are_preferred(lay_out):
    """Labels that lie beside the images, such as noisy ones, are not read."""
    folder = lay_out("mnist")
    manifest = SOURCES["mnist"](folder).manifest()
    np.save(folder / "train.npy", np.zeros(3, np.int64))

    assert SOURCES["mnist"](folder).manifest() == manifest


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [0.0, 1.0],
            r"the array is float64 \(2,\), so it does not contain labels: save the true labels "
            r"of the dataset",
        ),
        (
            [[0, 1]],
            r"the array is int64 \(1, 2\), so it does not contain labels: save the true labels "
            r"of the dataset",
        ),
        (
            [0, 10],
            "a label is outside of the range from 0 to 9: save the true labels of the dataset",
        ),
        (
            [-1, 0],
            "a label is outside of the range from 0 to 9: save the true labels of the dataset",
        ),
    ],
)
@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_what_is_no_label_is_an_error(name, labels, message, tmp_path):
    """It names the file and the remedy."""
    np.save(tmp_path / "train.npy", labels)

    with pytest.raises(ValueError, match=f"train.npy: {message}"):
        SOURCES[name](tmp_path).manifest()


def test_the_error_of_a_plan_names_the_labels():
    """Without --data-dir, it says that they are enough."""
    with pytest.raises(ValueError, match=r"for a plan, its labels alone, as train\.npy and test"):
        SOURCES["cifar10"](None)
    with pytest.raises(ValueError, match=r"as train\.npy, extra\.npy and test\.npy"):
        SOURCES["svhn_extra"](None)
    with pytest.raises(ValueError, match="for a plan, the two files of labels alone"):
        SOURCES["mnist"](None)
