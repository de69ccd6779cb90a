"""Runs that cannot start, told once for all runs with the same cause."""

import re

import pytest

from cnlw_tools.builds.build import build
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.study import check
from cnlw_tools.study.expand import expand_study
from cnlw_tools.study.spec import parse_study
from cnlw_tools.study.sweep import plan_sweep
from cnlw_tools.study.workers import SweepPaths

STUDY = {
    "dataset": "shapes",
    "seeds": [0, 1],
    "configs": [{"noise": "blue", "levels": [20, 40]}],
    "methods": [{"name": "vanilla"}],
}


@pytest.fixture(scope="module")
def root(tmp_path_factory, tiny):
    """A small cut of the embedded dataset."""
    return tiny(tmp_path_factory.mktemp("root") / "root")


def problems_of(root, folder, **said):
    """The problems of a study, and its number of runs."""
    runs = expand_study(parse_study(STUDY | said, "test"), root)
    paths = SweepPaths(folder / "runs", Inputs(root), folder / "builds", device="cpu")
    return [problem.describe(len(runs)) for problem in plan_sweep(runs, paths).problems]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"preset": "shpes"}, "all 4 runs: .*there is no such preset. Did you mean 'shapes'"),
        ({"changes": {"lrr": 1}}, "all 4 runs: the changes of the study: unknown key 'lrr'"),
        ({"nets": ["resnt32"]}, "all 4 runs: unknown network 'resnt32'"),
        ({"methods": [{"name": "vanila"}]}, "all 4 runs: unknown method 'vanila'"),
        ({"methods": [{"name": "l2r"}]}, "all 4 runs: L2R needs a trusted set"),
        (
            {"methods": [{"name": "mixup", "options": {"alfa": 1}}]},
            "all 4 runs: unknown option 'alfa' of mixup",
        ),
        ({"dataset": "shape", "preset": "shapes"}, "all 4 runs: .*'shape'"),
        ({"dataset": "mnist"}, "all 4 runs: its data: mnist needs --data-dir"),
    ],
)
def test_what_fails_for_all_is_said_once(root, tmp_path, said, message):
    """With the number of runs, and nothing is written."""
    (problem,) = problems_of(root, tmp_path, **said)

    assert re.match(message, problem), problem
    assert [*tmp_path.iterdir()] == []


def test_a_group_with_one_cause_is_said_once(root, tmp_path):
    """It names some of the runs; the others work."""
    methods = [{"name": "vanilla"}, {"name": "mixup", "preset": "nowhere"}]
    configs = [{"noise": "blue", "levels": [20, 40]}, {"noise": "red", "levels": [80]}]
    configs[1]["options"] = {"top": 5}
    first, second = problems_of(root, tmp_path, methods=methods, configs=configs)

    assert first.startswith("6 of 12 runs (blue_20/mixup_preset-nowhere_s0, ")
    assert " and 3 more): " in first
    assert second.startswith("2 of 12 runs (red_80_t5/vanilla_s0, red_80_t5/vanilla_s1): ")
    assert "level 80 " in second


def test_a_study_that_can_work_has_no_problem(root, tmp_path):
    """Whatever the method."""
    methods = [{"name": "vanilla"}, {"name": "mixup"}, {"name": "glc"}]
    configs = [{"noise": "blue", "levels": [20, 40], "probe": 5}]
    changes = {"batch_size": 20}

    assert problems_of(root, tmp_path, methods=methods, configs=configs, changes=changes) == []


def build_first(root, folder, **choices):
    """The build that the study would make, with other choices."""
    recipe = Recipe("shapes", "blue", levels=(20, 40), **choices)
    build(recipe, Inputs(root), folder / "builds/shapes")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"size": 16}, "was built with size 16, but this command asks for no size"),
        ({"quality": 80}, "was built with quality 80, but this command asks for quality 95"),
    ],
)
def test_a_build_that_stores_images_in_another_way_is_not_used(root, tmp_path, choices, message):
    """Its configs have the names that the study asks for, and `cnlw build` says the same of it."""
    build_first(root, tmp_path, **choices)
    (problem,) = problems_of(root, tmp_path)

    assert problem.startswith("all 4 runs: its data: "), problem
    assert message in problem
    assert problem.endswith("--builds of sweep), or ask for the same")


def test_a_build_that_stores_images_alike_is_used(root, tmp_path):
    """There is nothing to say."""
    build_first(root, tmp_path)

    assert problems_of(root, tmp_path) == []


def test_without_torch_names_are_checked(root, tmp_path, monkeypatch):
    """Options are not: nothing is imported."""
    monkeypatch.setattr(check, "find_spec", lambda name: None)

    assert problems_of(root, tmp_path, methods=[{"name": "l2r"}]) == []
    assert "unknown method" in problems_of(root, tmp_path, methods=[{"name": "l2rr"}])[0]
