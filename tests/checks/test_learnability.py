"""What a build must do to a learner."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cnlw_tools.builds.build import build
from cnlw_tools.checks import learnability
from cnlw_tools.checks.learnability import (
    Outcome,
    above_chance,
    clean_first,
    learn,
    level_harms,
    red_milder,
)
from cnlw_tools.cli import main
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.preset import Preset

torch.set_num_threads(1)
RECIPE = recipe.Recipe("toy", "blue")
CHANGED = {
    "dataset": "other",
    "published_splits": True,
    "seed": 1,
    "nested": False,
    "per_class": 50,
    "validation": 20,
    "probe": 10,
    "verified": 10,
    "train_size": 500,
    "imbalance_ratio": 10,
    "donors": ("white",),
    "verdict": "dawid_skene",
    "min_votes": 2,
    "search": ("text",),
    "options": {"variant": "l2r"},
}


def outcome(noise="blue", level=40, top1=0.6, clean=(1.0, 1.1, 0.9), noisy=(2.0, 2.1, 1.9), **said):
    """A config of ten classes, a thousand images to validate on."""
    usual = {
        "config": f"{noise}_{level}",
        "recipe": replace(RECIPE, noise=noise),
        "level": level,
        "n_classes": 10,
        "accuracy": top1,
        "n_images": 1000,
        "loss": np.array([*clean, *noisy]),
        "is_noisy": np.array([False] * len(clean) + [True] * len(noisy)),
        "only_flips": noise == "blue",
        "truth_is_likeliest": True,
    }
    return Outcome(**usual | said)


def locations(findings):
    """The configs that are complained of."""
    return [finding.location for finding in findings]


def test_a_config_that_is_learned_is_above_chance():
    """By three standard errors: at a tenth, of a thousand images, some 2.9 points."""
    found = [
        outcome(config="a", top1=0.10),
        outcome(config="b", top1=0.128),
        outcome(config="c", top1=0.14),
    ]

    assert locations(above_chance(found)) == ["a", "b"]
    assert locations(above_chance([outcome(top1=0.05, truth_is_likeliest=False)])) == []


def test_flipped_labels_are_learned_later():
    """Not as soon, and not by a hair."""
    assert locations(clean_first([outcome()])) == []
    assert locations(clean_first([outcome(noisy=(1.0, 1.1, 0.9))])) == ["blue_40"]
    assert locations(clean_first([outcome(noisy=(1.1, 1.2, 1.0))])) == ["blue_40"]


def test_labels_that_do_not_flip_are_not_asked():
    """Red noise; a config without noise; examples that were never drawn."""
    assert locations(clean_first([outcome("red", noisy=(1.0, 1.0))])) == []
    assert locations(clean_first([outcome(noisy=())])) == []
    assert locations(clean_first([outcome(noisy=(np.nan, 0.1, np.nan))])) == []


def test_accuracy_falls_with_the_level():
    """From the lowest to the highest of one kind, whatever the order; levels near each other are not asked."""
    fine = [
        outcome(level=80, top1=0.3),
        outcome(level=0, top1=0.7),
        outcome("red", 0, 0.7),
        outcome("red", 20, 0.7),
    ]
    flat = [outcome(level=80, top1=0.68), outcome(level=0, top1=0.7)]

    assert locations(level_harms(fine)) == []
    assert locations(level_harms(flat)) == ["blue_0, blue_80"]
    assert locations(level_harms([outcome(level=None)])) == []


@pytest.mark.parametrize("key", sorted({*recipe.RECORDED} - {"noise"}))
def test_configs_that_differ_in_more_than_the_level_are_not_compared(key):
    """Whatever else a recipe says, its options included: that the more harmful level does no harm is no error then."""
    same = outcome(level=80, top1=0.7)
    other = same._replace(recipe=replace(RECIPE, **{key: CHANGED[key]}))

    assert locations(level_harms([outcome(level=0, top1=0.7), same])) == ["blue_0, blue_80"]
    assert locations(level_harms([outcome(level=0, top1=0.7), other])) == []


@pytest.mark.parametrize("key", sorted({*recipe.RECORDED} - {"noise", "options"}))
def test_red_and_blue_that_differ_in_more_than_the_noise_are_not_compared(key):
    """A smaller training set harms too, and so may every other choice."""
    red = outcome("red", top1=0.5, recipe=replace(RECIPE, noise="red", **{key: CHANGED[key]}))

    assert locations(red_milder([outcome(top1=0.6), red])) == []


def test_every_red_config_is_held_against_blue():
    """Also two that differ in their options alone."""
    reds = [
        outcome(
            "red",
            top1=0.5,
            config=f"red_40_t{top}",
            recipe=replace(RECIPE, noise="red", options={"top": top}),
        )
        for top in (40, 60)
    ]

    assert locations(red_milder([outcome(top1=0.6), *reds])) == [
        "red_40_t40, blue_40",
        "red_40_t60, blue_40",
    ]


def test_red_is_no_worse_than_blue():
    """Within the margin; only the same level, and what else is the same, whatever the options of each."""
    red = outcome("red", top1=0.5, recipe=replace(RECIPE, noise="red", options={"top": 80}))

    assert locations(red_milder([outcome(top1=0.6), red])) == ["red_40, blue_40"]
    assert locations(red_milder([outcome(top1=0.52), red])) == []
    assert locations(red_milder([outcome(level=50, top1=0.6), red])) == []


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny):
    """A build of blue 40."""
    folder = tmp_path_factory.mktemp("learn")
    said = {"dataset": "shapes", "noise": "blue", "levels": [40], "size": 8}
    build(recipe.parse_recipe(said, "test"), Inputs(tiny(folder / "root")), folder / "shapes")
    return folder / "shapes"


def test_the_reference_learns_a_config(built, tmp_path):
    """A loss for each example, the truth beside it, by row."""
    preset = Preset(net="mlp1", epochs=2, batch_size=40, lr=0.05, size=8)
    found = learn(built, "blue_40", preset=preset, cache=tmp_path / "cache")

    assert (found.config, found.level, found.n_classes, found.n_images) == ("blue_40", 40, 10, 40)
    assert len(found.loss) == len(found.is_noisy) == 200
    assert found.is_noisy.sum() == 80
    assert found.only_flips
    assert found.truth_is_likeliest
    assert 0 <= found.accuracy <= 1
    assert np.isfinite(found.loss).all()


def test_the_command_says_what_it_found(built, monkeypatch, tmp_path):
    """In the form of the other checks, which are left out here; an error is exit code 1."""
    monkeypatch.setattr("cnlw_tools.checks.run_checks", lambda *_: [])
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path))
    monkeypatch.setattr(
        learnability, "learn", lambda build, name, cache: outcome(config=name, top1=0.1)
    )
    done = CliRunner().invoke(
        main, ["validate", str(built), "--end-to-end", "--json", "--workers", "1"]
    )
    said = json.loads(done.stdout)

    assert done.exit_code == 1
    assert [check["name"] for check in said["checks"]] == [
        "above_chance",
        "clean_first",
        "level_harms",
        "red_milder",
    ]
    assert [
        finding["location"] for finding in said["findings"] if finding["check"] == "above_chance"
    ] == ["blue_40"]
