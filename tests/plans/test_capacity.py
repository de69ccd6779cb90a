"""How far red noise can go, against plans that are drawn: the level is reached, and the next one is not."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cnlw_tools.dataset import dataset
from cnlw_tools.plans import capacity
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.recipe import HIGHEST_LEVEL, Recipe


@pytest.fixture
def data(toy):
    """Four classes of 25 images; 4, 13, 20 and 40 wrong web images."""
    found = dataset.read_dataset("toy", toy)
    number = np.array([int(i.split(".")[1]) for i in found.web["image_id"].to_pylist()])
    few = number < np.array([4, 13, 20, 40])[found.web["label"].to_numpy()]
    return replace(found, web=found.web.filter(pa.array(few)))


def recipe(level=80, **choices):
    return Recipe("toy", "red", options={"top": level}, **choices)


def needs(chosen, level, plenty):
    """What each class asks for at a level, counted in a plan from a pool that lacks nothing."""
    drawn = plan(replace(chosen, options={"top": level}), plenty, level)
    return np.bincount(
        drawn.filter(pc.equal(drawn["origin"], "web"))["label"].to_numpy(), minlength=4
    )


@pytest.mark.parametrize(
    "choices", [{}, {"seed": 3, "nested": False}, {"probe": 5, "imbalance_ratio": 3.0}]
)
def test_highest(data, toy, choices):
    """Each class reaches the last level for which it has as many images as a plan from a full pool takes of it."""
    plenty, chosen = dataset.read_dataset("toy", toy), recipe(**choices)
    stock = np.bincount(data.web_pool(1)["label"].to_numpy())

    levels = capacity.highest_red_levels(chosen, data)

    assert [4, 13, 20, 40] == stock.tolist()
    assert [HIGHEST_LEVEL] == levels[3:].tolist()
    for label, level in enumerate(levels[:3].tolist()):
        low, here, above = (
            needs(chosen, one, plenty)[label]
            for one in (level // 2, level, min(level + 1, HIGHEST_LEVEL))
        )
        assert max(low, here) <= stock[label], (label, level)
        assert level == HIGHEST_LEVEL or above > stock[label], (label, level)


@pytest.mark.parametrize("choices", [{}, {"verified": 8}, {"nested": False}])
def test_the_next_level_is_not_reached(data, choices):
    """With dead links and parted pools, too, red noise is drawn at the level of the poorest class, and no higher."""
    dead = np.arange(len(data.web)) % 5 == 0
    some = replace(data, web=data.web.append_column("dead", pa.array(dead)))
    levels = capacity.highest_red_levels(recipe(**choices), some)
    least = int(levels.min())

    assert 0 < least < HIGHEST_LEVEL
    assert len(plan(recipe(least, **choices), some, least))
    with pytest.raises(ValueError, match="class a' needs"):
        plan(recipe(least + 1, **choices), some, least + 1)


def test_stock(data):
    """Dead images are no stock; without a column none is dead."""
    pool = data.web_pool(1)
    dead = pool.append_column("dead", pc.equal(pool["label"], 1))

    assert [4, 13, 20, 40] == capacity.count_available(pool, 4).tolist()
    assert [4, 0, 20, 40] == capacity.count_available(dead, 4).tolist()


def test_empty_pool(data):
    """Without a pool nothing but level 0 is reached; a class without images asks for nothing."""
    none = replace(data, web=data.web[:0], votes=data.votes[:0])
    three = replace(none, base=none.base.filter(pc.not_equal(none.base["label"], 2)))

    assert (capacity.highest_red_levels(recipe(), none) <= 3).all()
    assert HIGHEST_LEVEL == capacity.highest_red_levels(recipe(), three)[2]


@pytest.mark.parametrize("choices", [{}, {"verified": 8}, {"nested": False}])
@pytest.mark.parametrize("level", [5, 20, 60])
def test_needed_images_are_those_of_a_plan(toy, choices, level):
    """A level needs as many wrong images of each class as a plan of this level has."""
    plenty = dataset.read_dataset("toy", toy)

    needed = capacity.count_needed(recipe(**choices), plenty, level)

    assert needs(recipe(**choices), level, plenty).tolist() == needed.tolist()


@pytest.mark.parametrize("share", [2, 3, 5])
@pytest.mark.parametrize("verified", [0, 8])
def test_reserves_are_given_up_exactly_where_a_plan_fails(data, share, verified):
    """With the option top at its default, a level is drawn if and only if nothing else is said."""
    dead = np.arange(len(data.web)) % share == 0
    some = replace(data, web=data.web.append_column("dead", pa.array(dead)))
    chosen = Recipe("toy", "red", verified=verified)
    least = int(capacity.highest_red_levels(chosen, some).min())

    for level in range(1, least + 1):
        fails = capacity.keeps_too_many(chosen, some, level)
        if fails:
            with pytest.raises(ValueError, match=f"give them up with -o top={level}"):
                plan(chosen, some, level)
            chosen_top = replace(chosen, options={"top": level})
            assert len(plan(chosen_top, some, level))
            assert not capacity.keeps_too_many(chosen_top, some, level)
        else:
            assert len(plan(chosen, some, level))
    assert capacity.keeps_too_many(replace(chosen, options={"top": 1}), some, 2)
