"""Presets: how to train."""

from pathlib import Path

import pytest

from cnlw_tools import files
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe import preset
from cnlw_tools.trainer.augment import compose
from cnlw_tools.trainer.nets import NETS
from cnlw_tools.trainer.schedule import parse_schedule

PRESETS = preset.preset_names(files.default_root())


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_of_the_project_can_be_used(name):
    """Net, schedule, views, methods and their levels: all of it exists."""
    made = preset.read_preset(name, files.default_root())

    assert made.net in NETS
    parse_schedule(made.schedule)
    for ops in made.views.values():
        compose(ops)
    for method in made.methods:
        assert method in METHODS
        for level in (None, 20, 40, 60, 80):
            preset.method_options(made, method, level)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_what_it_is(name):
    """Its first line is what `cnlw list presets` shows."""
    first = (files.default_root() / preset.FOLDER / f"{name}.toml").read_text().splitlines()[0]

    assert first.startswith("# ")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_ends_where_a_cosine_ends(name):
    """The rate of the last of 500 steps an epoch is below a thousandth, if cosines start again."""
    made = preset.read_preset(name, files.default_root())
    rate = parse_schedule(made.schedule)

    if made.schedule.startswith("restarts"):
        assert rate(made.epochs - 1 / 500, made.epochs) < 1e-3


@pytest.mark.parametrize("name", ["mentornet_cifar10", "mentornet_cifar100"])
def test_mentornet_is_trained_as_its_scripts_train_it(name):
    """Nine wide units a stage, a crop from two pixels of padding, each image in its own scale."""
    made = preset.read_preset(name, files.default_root())

    assert (made.net, made.pixel_scale) == ("resnet56_wide", "image")
    assert made.views["standard"] == ("crop:2", "flip")


@pytest.mark.parametrize("name", ["mentormix_cifar10", "mentormix_cifar100"])
def test_mentormix_reweighs_twice_where_its_scripts_do(name):
    """At 60 % and 80 %; and pixels are from -1 to 1."""
    made = preset.read_preset(name, files.default_root())
    again = [
        preset.method_options(made, "mentormix", level)["second_reweight"]
        for level in (0, 20, 40, 60, 80)
    ]

    assert again == [False, False, False, True, True]
    assert made.pixel_scale == "range"


IEG_PRESETS = sorted(path.stem for path in files.default_root().glob("pipelines/train/ieg_*.toml"))


@pytest.mark.parametrize("name", IEG_PRESETS)
def test_ieg_ends_where_a_cosine_ends(name):
    """The rate of the last of 500 steps an epoch is nearly 0, not that of the middle of a cosine."""
    made = preset.read_preset(name, files.default_root())
    rate = parse_schedule(made.schedule)

    assert rate(made.epochs - 1 / 500, made.epochs) < 1e-3
    assert rate(made.epochs - made.epochs / 10, made.epochs) > 0.01


@pytest.mark.parametrize("name", ["mentornet_cifar10", "mentornet_cifar100"])
def test_mentornet_is_trained_as_its_scripts_do(name):
    """Nine units in each stage, a border of two pixels, and pixels scaled image by image."""
    made = preset.read_preset(name, files.default_root())

    assert (made.net, made.pixel_scale) == ("resnet56_wide", "image")
    assert made.views["standard"] == ("crop:2", "flip")


@pytest.mark.parametrize("name", ["ieg_cifar10_wrn", "ieg_cifar100_wrn"])
def test_ieg_has_the_wide_network_of_its_code(name):
    """Its shortcuts and sums are not those of other wide networks."""
    assert preset.read_preset(name, files.default_root()).net == "wrn28_10_ieg"


def test_bootstrap_of_ncr_is_soft():
    """As in the code of NCR, whose bootstrapped target is the softmax, at a weight of a half."""
    made = preset.read_preset("ncr_mini_imagenet", files.default_root())

    assert preset.method_options(made, "bootstrap", 40) == {"kind": "soft", "beta": 0.5}


def test_what_is_not_said_has_its_default():
    """Only net and epochs must be there."""
    assert preset.parse_preset({"net": "x", "epochs": 3}, "here").batch_size == 128


@pytest.mark.parametrize("missing", ["net", "epochs"])
def test_what_must_be_there_is_named(missing):
    """With what to add."""
    raw = {k: v for k, v in {"net": "x", "epochs": 3}.items() if k != missing}

    with pytest.raises(ValueError, match=f"'{missing}' is missing: add it"):
        preset.parse_preset(raw, "here")


def test_an_unknown_key_is_an_error():
    """With the one that was meant."""
    with pytest.raises(ValueError, match="Did you mean 'batch_size'"):
        preset.parse_preset({"net": "x", "epochs": 3, "batchsize": 3}, "here")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("net", 3),
        ("epochs", 0),
        ("epochs", True),
        ("quick", 0),
        ("batch_size", 1.5),
        ("optimiser", "lamb"),
        ("lr", 0),
        ("lr", float("nan")),
        ("momentum", 1.1),
        ("nesterov", 1),
        ("weight_decay", -1),
        ("decays", "some"),
        ("schedule", 3),
        ("warmup", -1),
        ("ema", 2),
        ("size", 0),
        ("resize", "short"),
        ("pixel_scale", "batch"),
        ("views", ["flip"]),
        ("views", {"standard": "flip"}),
        ("views", {"plain": ["flip"]}),
        ("methods", 3),
        ("methods", {"mixup": 3}),
        ("methods", {"mixup": {"level": 3}}),
        ("methods", {"mixup": {"level": {"40": 3}}}),
        ("methods", {"mixup": {"level": {"high": {"alpha": 1}}}}),
    ],
)
def test_a_value_out_of_range_is_an_error(key, value):
    """It names place, key and value."""
    with pytest.raises(ValueError, match=rf"^here: {key}[.\w]* = .*: it must be "):
        preset.parse_preset({"net": "x", "epochs": 3, key: value}, "here")


def test_changes_are_checked_and_nothing_is_none():
    """What is none changes nothing; what is wrong is an error."""
    made = preset.parse_preset({"net": "x", "epochs": 3}, "here")

    assert preset.change_preset(made, {"epochs": 5, "lr": None}) == preset.parse_preset(
        {"net": "x", "epochs": 5}, "here"
    )
    with pytest.raises(ValueError, match="lr = -1"):
        preset.change_preset(made, {"lr": -1})


def test_options_are_those_of_the_nearest_level():
    """The general ones, then those of a level; of two as near, the lower."""
    methods = {"m": {"alpha": 1, "beta": 2, "level": {"20": {"alpha": 3}, "40": {"alpha": 4}}}}
    made = preset.parse_preset({"net": "x", "epochs": 3, "methods": methods}, "here")

    assert preset.method_options(made, "m", 20) == {"alpha": 3, "beta": 2}
    assert preset.method_options(made, "m", 30) == {"alpha": 3, "beta": 2}
    assert preset.method_options(made, "m", 80) == {"alpha": 4, "beta": 2}
    assert preset.method_options(made, "m", None) == {"alpha": 1, "beta": 2}
    assert preset.method_options(made, "other", 20) == {}
    assert preset.method_options(made, "m", 20) == {"alpha": 3, "beta": 2}


def test_a_preset_may_be_a_file_of_ones_own(tmp_path):
    """A name that ends in .toml is a path."""
    path = tmp_path / "mine.toml"
    path.write_text('net = "x"\nepochs = 7\n')

    assert preset.read_preset(str(path), Path("nowhere")).epochs == 7


def test_no_such_preset_is_an_error():
    """It says which there are."""
    with pytest.raises(
        FileNotFoundError, match=r"Did you mean 'shapes'.* The choices are: .*shapes"
    ):
        preset.read_preset("shape", files.default_root())


def test_what_is_not_toml_is_an_error(tmp_path):
    """It names the file."""
    path = tmp_path / "mine.toml"
    path.write_text("net = ")

    with pytest.raises(ValueError, match=r"mine\.toml cannot be read as TOML"):
        preset.read_preset(str(path), tmp_path)
