"""Published splits are read, not drawn."""

from dataclasses import fields

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cnlw_tools.dataset import dataset
from cnlw_tools.dataset.tables import PUBLISHED_SPLITS
from cnlw_tools.plans import published as official
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.recipe import Recipe, parse_recipe

RECIPE = {"dataset": "toy", "noise": "red", "published_splits": True, "levels": [20]}
DRAWN = {
    "nested": False,
    "per_class": 5,
    "validation": 20,
    "probe": 1,
    "verified": 1,
    "train_size": 50,
    "imbalance_ratio": 10,
    "side_table": "features.npy",
    "verdict": "dawid_skene",
    "donors": ["white"],
    "min_votes": 2,
    "search": ["text"],
    "options": {"top": 20},
}
READ = {
    "data_dir_layout": "the release",
    "seed": 1,
    "size": 8,
    "resize": "crop",
    "quality": 90,
    "shard_rows": 10,
    "layout": "flat",
    "licence": "mit",
    "citation": "@misc{toy}",
    "without": "ids.txt",
}


@pytest.fixture
def published(toy):
    """The toy dataset with one published split: 24 of its own images and one of the web."""
    ids = [*(f"b{i}" for i in range(24)), "w0.0"]
    rows = [
        {"noise": "red", "level": 20, "image_id": name, "label": i % 4}
        for i, name in enumerate(ids)
    ]
    return dataset.read_dataset("toy", toy).with_published_splits(
        pa.Table.from_pylist(rows, PUBLISHED_SPLITS), "the test"
    )


@pytest.mark.parametrize("key", DRAWN)
def test_a_choice_that_goes_with_drawing_is_refused(published, key):
    """By both who read published splits, naming the key and its value."""
    recipe = parse_recipe({**RECIPE, key: DRAWN[key]}, "the test")

    for read in (
        lambda: official.published_levels(recipe, published),
        lambda: plan(recipe, published, 20),
    ):
        with pytest.raises(
            ValueError,
            match=f"published splits are read, not drawn, so this key has no effect: remove {key} = ",
        ):
            read()


@pytest.mark.parametrize("key", READ)
def test_a_choice_that_means_something_is_taken(published, key):
    """The rows are those of the list; a seed puts them into another order, and nothing else decides over them."""
    usual = plan(parse_recipe(RECIPE, "the test"), published, 20)
    table = plan(parse_recipe({**RECIPE, key: READ[key]}, "the test"), published, 20)

    assert sorted(table["image_id"].to_pylist()) == sorted(usual["image_id"].to_pylist())
    assert (table["image_id"] == usual["image_id"]) == (key != "seed")


def test_withdrawn_images_are_not_in_the_lists(published):
    """Their rows are removed, since no other image may replace them."""
    withdrawn = pa.table({"image_id": ["b3", "w0.0"]})

    table = plan(parse_recipe(RECIPE, "the test"), published.without_images(withdrawn), 20)

    train = table.filter(pc.equal(table["split"], "train"))["image_id"].to_pylist()
    assert sorted(train) == sorted(f"b{i}" for i in range(24) if i != 3)


def test_every_key_of_a_recipe_is_tried_here():
    """A new one has to be refused or taken as well."""
    assert {f.name for f in fields(Recipe)} == {*RECIPE, *DRAWN, *READ}
