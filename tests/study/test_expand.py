"""The cells of a study."""

from functools import cache
from inspect import signature

import pytest

from cnlw_tools import files
from cnlw_tools.methods import METHODS
from cnlw_tools.noise import NOISE
from cnlw_tools.plan.noise_inputs import noise_options
from cnlw_tools.recipe import preset, recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.study import expand as module
from cnlw_tools.study.expand import cells
from cnlw_tools.study.spec import FOLDER, parse_study, read_study, study_scales
from cnlw_tools.trainer.nets import NETS
from cnlw_tools.trainer.nets.weights import TIMM, TORCHVISION

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


def listed(**said):
    """The cells of a study."""
    return cells(parse_study(RAW | said, "test"), files.default_root())


def test_cells_are_the_product():
    """Three configs, three trials, two networks, two rates, two seeds; each with a name of its own."""
    found = listed(nets=["mlp1", "mlp2"], grid={"lr": [0.1, 0.2]}, seeds=[0, 1])

    assert len(found) == len({cell.name for cell in found}) == 3 * 3 * 2 * 2 * 2
    assert {(cell.config, cell.level) for cell in found} == {
        ("blue_00", 0),
        ("blue_40", 40),
        ("symmetric_20_probe5", 20),
    }


def test_a_cell_is_called_by_what_it_is():
    """Config, method, options, network, grid, seed; what all cells share does not show."""
    found = listed(nets=["mlp1"], grid={"lr": [0.1]}, changes={"epochs": 5})
    cell = next(cell for cell in found if cell.options.get("alpha") == 8)

    assert cell.name == "blue_00/mixup_alpha-8_per-batch_mlp1_lr-0.1_s0"
    assert cell.changes == {"epochs": 5, "lr": 0.1}
    assert (cell.build, cell.preset, cell.net) == ("shapes", "shapes", "mlp1")


def test_a_study_that_grows_keeps_its_cells():
    """Another seed, level or method adds names and changes none."""
    before = {cell.name for cell in listed()}
    after = {
        cell.name for cell in listed(seeds=[0, 1], methods=[*RAW["methods"], {"name": "bootstrap"}])
    }

    assert before < after


def test_a_config_is_the_datasets_recipe_and_what_the_study_says():
    """Licence from the file, levels and options from the study; a cell has its own level alone."""
    usual = recipe.read_recipe(files.default_root() / "pipelines" / "shapes_blue.toml")
    found = listed()[0].recipe

    assert found.licence == usual.licence
    assert found.levels == (0,)


def test_a_config_may_be_of_another_dataset():
    """Its folder and its preset are that dataset's, and its cells lie below it."""
    other = {"noise": "symmetric", "dataset": "cifar10", "levels": [40]}
    own = {"noise": "blue", "levels": [40], "preset": "mnist"}
    apart = {"noise": "blue", "levels": [20], "build": "apart"}
    said = {
        "configs": [own, other, other | {"preset": "mnist"}, apart],
        "methods": [{"name": "vanilla"}],
    }
    found = listed(**said, preset="shapes", build="mine")

    assert [(cell.build, cell.preset, cell.recipe.dataset) for cell in found] == [
        ("mine", "mnist", "shapes"),
        ("cifar10", "cifar10", "cifar10"),
        ("cifar10", "mnist", "cifar10"),
        ("apart", "shapes", "shapes"),
    ]
    assert [cell.name for cell in found] == [
        "blue_40/vanilla_preset-mnist_s0",
        "cifar10/symmetric_40/vanilla_s0",
        "cifar10/symmetric_40/vanilla_preset-mnist_s0",
        "blue_20/vanilla_s0",
    ]


def test_a_method_may_have_settings_of_its_own():
    """Where it is run, how it is trained, and what the report calls it; what it says goes before config and study."""
    own = {
        "label": "Ours",
        "on": ["blue*"],
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

    assert [(cell.name, cell.label, cell.preset, cell.changes["epochs"]) for cell in found] == [
        ("blue_40/vanilla_preset-cifar10_s0", "", "cifar10", 5),
        ("blue_40/Ours_vanilla_mlp1_preset-mnist_s0", "Ours", "mnist", 3),
        ("symmetric_20/vanilla_s0", "", "shapes", 5),
    ]
    assert {cell.changes["lr"] for cell in found} == {0.2}


def test_a_method_on_a_config_that_there_is_not():
    """Is an error that names those that there are."""
    with pytest.raises(
        ValueError,
        match=r"mixup: on = 'red\*': no config is called so. There are: blue_00, blue_40, sym",
    ):
        listed(methods=[{"name": "mixup", "on": ["red*"]}])


def test_without_methods_there_is_a_cell_a_config():
    """Called like it, with nothing to train."""
    found = listed(methods=[], seeds=[0, 1])

    assert [(cell.name, cell.method) for cell in found] == [
        ("blue_00", ""),
        ("blue_40", ""),
        ("symmetric_20_probe5", ""),
    ]


def test_options_of_noise_have_grids_too():
    """As many configs as values."""
    said = {"noise": "symmetric", "levels": [40], "grid": {"include_self": [True, False]}}

    assert {cell.config for cell in listed(configs=[said])} == {"symmetric_40_self", "symmetric_40"}


TRUSTED = ("clothing1m",)  # has a split of trusted images of its own


@cache
def usual(name):
    """A preset of the package."""
    return preset.read_preset(name, files.default_root())


def lacks(cell):
    """What a method needs and its cell does not give."""
    method = METHODS[cell.method]
    options = {**preset.method_options(usual(cell.preset), cell.method, cell.level), **cell.options}
    given = {"holdout", *(["noise_rate"] if "noise_rate" in options else [])}
    given |= {"probe"} if cell.recipe.probe or cell.recipe.dataset in TRUSTED else set()
    given |= {"verified"} if cell.recipe.verified else set()
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
    found = cells(study, files.default_root())
    for cell in {(cell.build, cell.config): cell for cell in found}.values():
        noise = NOISE[cell.recipe.noise]
        options = noise_options(cell.recipe)
        assert cell.recipe.donors or not noise.needs_donors or options.get("own")
        assert cell.recipe.side or not noise.column_options
        assert cell.recipe.side or options.get("order", "random") == "random"
    for cell in (cell for cell in found if cell.method):
        how = preset.change_preset(usual(cell.preset), cell.changes)
        assert (cell.net or how.net) in NETS
        assert not lacks(cell)
        assert not study.pretrained or (cell.net or how.net) in TORCHVISION + TIMM
    for net in (cell.net for cell in found if study.x):
        assert net in study.x


@pytest.mark.parametrize(("path", "scale"), EVERY)
def test_published_cells_stand_beside_cells_of_the_study(path, scale):
    """Every config and method that a published table is held against is run, and no row is there twice."""
    study = read_study(path, scale)
    ran = {
        (cell.build, cell.config, cell.label or cell.method)
        for cell in cells(study, files.default_root())
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
    monkeypatch.setattr(module, "build", lambda *given: told.append(given))
    some = listed(configs=[{"noise": "source", "donors": ["cifar100"]}])
    inputs = Inputs(files.default_root(), donors={"cifar100": tmp_path})
    module.build_missing(some, tmp_path, inputs)

    assert [given[1] for given in told] == [inputs]
