"""The runs of a study."""

import re
import tomllib
from functools import cache
from inspect import signature

import pytest

from cnlw_tools import files
from cnlw_tools.methods import METHODS
from cnlw_tools.noise import NOISE
from cnlw_tools.plans.noise_inputs import noise_options
from cnlw_tools.recipe import preset, recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.study import expand as module
from cnlw_tools.study.expand import expand_study
from cnlw_tools.study.spec import FOLDER, parse_study, read_study, study_scales
from cnlw_tools.trainer.nets import NETS
from cnlw_tools.trainer.nets.weights import TIMM, TORCHVISION
from cnlw_tools.trainer.schedule import parse_schedule

RAW = {
    "dataset": "shapes",
    "configs": [
        {"noise": "blue", "levels": [0, 40]},
        {"noise": "symmetric", "levels": [20], "probe": 5},
    ],
    "methods": [
        {"name": "vanilla"},
        {"name": "mixup", "options": {"per": "batch"}, "grid": {"alpha": [1, 8]}},
    ],
}


def test_the_study_that_the_readme_shows_has_its_runs():
    """Two methods on two configs with three seeds, in the order in which they are written."""
    text = (files.default_root() / FOLDER / "README.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    raw = tomllib.loads(said) | {"dataset": "shapes"}

    runs = expand_study(parse_study(raw, "mine.toml"), files.default_root())

    assert len(runs) == 12
    assert {run.config for run in runs} == {"blue_00", "blue_40"}
    assert {run.method for run in runs} == {"vanilla", "mixup"}


def listed(**said):
    """The runs of a study."""
    return expand_study(parse_study(RAW | said, "test"), files.default_root())


def test_a_matrix_makes_no_long_name():
    """A long value is its beginning and a digest, so other matrices have other names."""
    matrices = [[[1.0, 0.0], [0.0, 1.0]] * 40, [[1.0, 0.0], [0.0, 1.0]] * 41]
    first, second = (
        listed(methods=[{"name": "forward", "options": {"q": matrix}}])[0].name
        for matrix in matrices
    )

    assert first != second
    assert first.startswith("blue_00/forward_q-")
    assert first.endswith("_s0")
    assert len(first.partition("/")[2]) < 100


def test_many_options_make_no_long_name():
    """However many options there are, a file system takes the name."""
    options = {f"option_{i}": i / 7 for i in range(30)}
    (first, *_) = listed(methods=[{"name": "vanilla", "options": options}])
    (second, *_) = listed(methods=[{"name": "vanilla", "options": {**options, "option_29": 0}}])

    assert first.name != second.name
    assert max(len(part) for part in first.name.split("/")) <= 200


def test_runs_are_the_product():
    """Three configs, three trials, two networks, two rates, two seeds; each with a name of its own."""
    found = listed(nets=["mlp1", "mlp2"], grid={"lr": [0.1, 0.2]}, seeds=[0, 1])

    assert len(found) == len({run.name for run in found}) == 3 * 3 * 2 * 2 * 2
    assert {(run.config, run.level) for run in found} == {
        ("blue_00", 0),
        ("blue_40", 40),
        ("symmetric_20_probe5", 20),
    }


def test_a_run_is_called_by_what_it_is():
    """Config, method, options, network, grid, seed; what all runs share does not show."""
    found = listed(nets=["mlp1"], grid={"lr": [0.1]}, changes={"epochs": 5})
    run = next(run for run in found if run.options.get("alpha") == 8)

    assert run.name == "blue_00/mixup_alpha-8_per-batch_mlp1_lr-0.1_s0"
    assert run.changes == {"epochs": 5, "lr": 0.1}
    assert (run.build, run.preset, run.net) == ("shapes", "shapes", "mlp1")


def test_a_study_that_grows_keeps_its_runs():
    """Another seed, level or method adds names and changes none."""
    before = {run.name for run in listed()}
    after = {
        run.name for run in listed(seeds=[0, 1], methods=[*RAW["methods"], {"name": "bootstrap"}])
    }

    assert before < after


def test_a_config_is_the_datasets_recipe_and_what_the_study_says():
    """Licence from the file, levels and options from the study; a run has its own level alone."""
    usual = recipe.read_recipe(files.default_root() / "pipelines" / "shapes_blue.toml")
    found = listed()[0].recipe

    assert found.licence == usual.licence
    assert found.levels == (0,)


def test_a_config_may_be_of_another_dataset():
    """Its folder and its preset are that dataset's, and its runs lie below it."""
    other = {"noise": "symmetric", "dataset": "cifar10", "levels": [40]}
    own = {"noise": "blue", "levels": [40], "preset": "mnist"}
    apart = {"noise": "blue", "levels": [20], "build": "apart"}
    said = {
        "configs": [own, other, other | {"preset": "mnist"}, apart],
        "methods": [{"name": "vanilla"}],
    }
    found = listed(**said, preset="shapes", build="mine")

    assert [(run.build, run.preset, run.recipe.dataset) for run in found] == [
        ("mine", "mnist", "shapes"),
        ("cifar10", "cifar10", "cifar10"),
        ("cifar10", "mnist", "cifar10"),
        ("apart", "shapes", "shapes"),
    ]
    assert [run.name for run in found] == [
        "blue_40/vanilla_preset-mnist_s0",
        "cifar10/symmetric_40/vanilla_s0",
        "cifar10/symmetric_40/vanilla_preset-mnist_s0",
        "blue_20/vanilla_s0",
    ]


def test_a_method_may_have_settings_of_its_own():
    """Where it is run, how it is trained, and what the report calls it; what it says goes before config and study."""
    own = {
        "label": "Ours",
        "configs": ["blue*"],
        "preset": "mnist",
        "nets": ["mlp1"],
        "changes": {"epochs": 3},
    }
    blue = {"noise": "blue", "levels": [40], "preset": "cifar10"}
    said = {
        "configs": [blue, {"noise": "symmetric", "levels": [20]}],
        "changes": {"epochs": 5, "lr": 0.2},
    }
    found = listed(**said, methods=[{"name": "vanilla"}, {"name": "vanilla", **own}])

    assert [(run.name, run.label, run.preset, run.changes["epochs"]) for run in found] == [
        ("blue_40/vanilla_preset-cifar10_s0", "", "cifar10", 5),
        ("blue_40/Ours_vanilla_mlp1_preset-mnist_s0", "Ours", "mnist", 3),
        ("symmetric_20/vanilla_s0", "", "shapes", 5),
    ]
    assert {run.changes["lr"] for run in found} == {0.2}


def test_a_method_on_a_config_that_there_is_not():
    """Is an error that names those that there are."""
    with pytest.raises(
        ValueError,
        match=r"mixup: configs = 'red\*': no config has such a name. Configs: blue_00, blue_40, sym",
    ):
        listed(methods=[{"name": "mixup", "configs": ["red*"]}])


def test_without_methods_there_is_a_run_a_config():
    """Called like it, with nothing to train."""
    found = listed(methods=[], seeds=[0, 1])

    assert [(run.name, run.method) for run in found] == [
        ("blue_00", ""),
        ("blue_40", ""),
        ("symmetric_20_probe5", ""),
    ]


def test_options_of_noise_have_grids_too():
    """As many configs as values."""
    said = {"noise": "symmetric", "levels": [40], "grid": {"include_self": [True, False]}}

    assert {run.config for run in listed(configs=[said])} == {"symmetric_40_self", "symmetric_40"}


TRUSTED = ("clothing1m",)  # has a split of trusted images of its own


@cache
def usual(name):
    """A preset of the package."""
    return preset.read_preset(name, files.default_root())


def lacks(run):
    """What a method needs and its run does not give."""
    method = METHODS[run.method]
    options = {**preset.method_options(usual(run.preset), run.method, run.level), **run.options}
    given = {"holdout", *(["noise_rate"] if "noise_rate" in options else [])}
    given |= {"probe"} if run.recipe.probe or run.recipe.dataset in TRUSTED else set()
    given |= {"verified"} if run.recipe.verified else set()
    unknown = {*options} - {*signature(method.__init__).parameters} - {*method.requires}
    return {*method.requires} - given | unknown


EVERY = [
    pytest.param(path, scale, id=f"{path.stem}-{scale}" if scale else path.stem)
    for path in sorted((files.default_root() / FOLDER).glob("*.toml"))
    for scale in study_scales(path) or [""]
]


@pytest.mark.parametrize(("path", "scale"), EVERY)
def test_studies_of_the_package_name_what_there_is(path, scale):
    """Noise, donors and their options, presets and their keys, networks, methods, their options and what they need."""
    study = read_study(path, scale)
    found = expand_study(study, files.default_root())
    for run in {(run.build, run.config): run for run in found}.values():
        noise = NOISE[run.recipe.noise]
        options = noise_options(run.recipe)
        assert run.recipe.donors or not noise.needs_donors or options.get("copy_own")
        assert run.recipe.side_table or not noise.column_options
        assert run.recipe.side_table or options.get("order", "random") == "random"
    for run in (run for run in found if run.method):
        how = preset.change_preset(usual(run.preset), run.changes)
        assert (run.net or how.net) in NETS
        assert not lacks(run)
        assert not study.pretrained or (run.net or how.net) in TORCHVISION + TIMM
    for net in (run.net for run in found if study.net_values):
        assert net in study.net_values


@pytest.mark.parametrize(("path", "scale"), EVERY)
def test_a_study_ends_where_a_cosine_ends(path, scale):
    """Where cosines start again, the last of 500 steps an epoch has no rate; a study of cost ends anywhere."""
    study = read_study(path, scale)
    for run in expand_study(study, files.default_root()):
        if not run.method or study.figures == ("cost",):
            continue
        how = preset.change_preset(usual(run.preset), run.changes)
        if how.schedule.startswith("restarts"):
            rate = parse_schedule(how.schedule)

            assert rate(how.epochs - 1 / 500, how.epochs) < 1e-3


@pytest.mark.parametrize(("path", "scale"), EVERY)
def test_published_cells_stand_beside_runs_of_the_study(path, scale):
    """Every config and method that a published table is held against is run, and no row is there twice."""
    study = read_study(path, scale)
    ran = {
        (run.build, run.config, run.label or run.method)
        for run in expand_study(study, files.default_root())
    }
    for entry in study.published:
        build = study.build_folder(entry.dataset or study.dataset)
        configs = {
            c
            for said in entry.columns.values()
            for c in ([said] if isinstance(said, str) else said)
        }
        if not study.methods:
            assert {(build, config, "") for config in entry.rows.values()} <= ran
            continue
        assert {
            (build, config, method)
            for config in configs
            for method in entry.rows.values()
            if method
        } <= ran


def test_a_config_may_take_other_changes():
    """These go before the study's, and what the study goes through before these."""
    alone = {"noise": "blue", "levels": [40], "changes": {"epochs": 9, "lr": 0.5}}
    found = listed(configs=[alone], changes={"epochs": 3, "batch_size": 50}, grid={"lr": [0.1]})

    assert found[0].changes == {"epochs": 9, "batch_size": 50, "lr": 0.1}


def test_what_a_config_says_wrongly_is_named():
    """Key, value, remedy."""
    with pytest.raises(ValueError, match="changes = 3: it must be a table"):
        listed(configs=[{"noise": "blue", "changes": 3}])


def test_a_build_is_told_where_donors_lie(monkeypatch, tmp_path):
    """Folders by name, as `cnlw build` takes them."""
    told = []
    monkeypatch.setattr(module, "build_at", lambda *given: told.append(given))
    some = listed(configs=[{"noise": "source", "donors": ["cifar100"]}])
    inputs = Inputs(files.default_root(), donors={"cifar100": tmp_path})
    module.build_missing(some, tmp_path, inputs)

    assert [given[1] for given in told] == [inputs]
