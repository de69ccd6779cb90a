"""The recipes and class lists that come with the package."""

import re

import pytest

from cnlw_tools import files
from cnlw_tools.dataset import dataset, tables
from cnlw_tools.noise import NOISE
from cnlw_tools.plans.noise_inputs import noise_options
from cnlw_tools.recipe import recipe
from cnlw_tools.sources import SOURCES

RECIPES = sorted(files.default_root().glob("pipelines/*.toml"))
BENCHMARKS = ("cifar10", "mini_imagenet", "shapes", "stanford_cars")
CLASSES = {
    **{
        "cifar10": 10,
        "cifar100": 100,
        "cifar100_coarse": 20,
        "mini_imagenet": 100,
        "mnist": 10,
        "shapes": 10,
    },
    **{"stanford_cars": 196, "stanford_cars_crop": 196, "svhn": 10, "svhn_extra": 10},
}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_called_dataset_and_noise(path):
    """`--dataset D --noise N` finds the recipe that says D and N."""
    found = recipe.read_recipe(path)

    assert f"{found.dataset}_{found.noise}" == path.stem


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_what_there_is(path):
    """Dataset, noise model and the model's options exist."""
    found = recipe.read_recipe(path)

    assert found.dataset in {*dataset.list_datasets(files.default_root()), *SOURCES}
    assert noise_options(found).keys() == NOISE[found.noise].options.keys()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_what_its_source_needs(path):
    """In the same words, where there is a source."""
    found = recipe.read_recipe(path)

    assert found.dataset not in SOURCES or found.data_dir_layout == SOURCES[found.dataset].layout


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_has_the_levels_of_the_benchmark(path):
    """What comes with the package builds the ten levels of the paper."""
    assert recipe.read_recipe(path).levels == recipe.BENCHMARK_LEVELS


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_begins_by_saying_what_it_builds(path):
    """The first line is a comment, for whoever opens the file."""
    assert re.match(r"# \S", path.read_text(encoding="utf-8"))


def test_every_dataset_has_both_colours():
    """A red and a blue recipe for each dataset that has web images, or is to have them."""
    assert {f"{name}_{noise}" for name in BENCHMARKS for noise in ("red", "blue")} <= {
        path.stem for path in RECIPES
    }


@pytest.mark.parametrize("name", dataset.list_datasets(files.default_root()))
def test_a_class_list_is_whole(name):
    """Each class once, labels in order, as many as the dataset has."""
    assert (
        len(tables.read_classes(files.default_root() / "manifests" / name / "classes.csv"))
        == CLASSES[name]
    )


def test_classes_stand_in_the_order_of_the_release():
    """Labels agree with published ones: the first and last class of each list."""
    ends = {}
    for name in BENCHMARKS:
        classes = tables.read_classes(files.default_root() / "manifests" / name / "classes.csv")
        ends[name] = (classes[0], classes[-1])

    assert ends == {
        "shapes": ("bicycle", "umbrella"),
        "cifar10": ("airplane", "truck"),
        "mini_imagenet": ("triceratops", "dishrag"),
        "stanford_cars": ("AM General Hummer SUV 2000", "smart fortwo Convertible 2012"),
    }
