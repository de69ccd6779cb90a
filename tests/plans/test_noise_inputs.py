"""What a noise model is given."""

import pyarrow as pa
import pytest

from cnlw_tools.noise import NOISE
from cnlw_tools.plans.noise_inputs import (
    has_outlier_class,
    key_seed,
    noise_items,
    noise_options,
)
from cnlw_tools.plans.plan import config_name
from cnlw_tools.recipe.recipe import Recipe

POOL = pa.table(
    {
        "image_id": ["a", "b"],
        "label": pa.array([1, 0], pa.int32()),
        "dead": [False, True],
        "rank": [1, 2],
    }
)


def test_options():
    """Every option has a value: the recipe's, or the model's default; a whole number may be a share."""
    options = noise_options(Recipe("toy", "red", options={"top": 60}))

    assert options == NOISE["red"].options | {"top": 60}
    assert type(noise_options(Recipe("toy", "dilution", options={"alpha": 2}))["alpha"]) is type(
        NOISE["dilution"].options["alpha"]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tip": 60}, "noise 'red' has no option 'tip'. Did you mean 'top'"),
        ({"top": "60"}, "noise 'red': option top = '60' is not allowed: it must be a whole number"),
        ({"top": True}, "noise 'red': option top = True is not allowed: it must be a whole number"),
    ],
)
def test_wrong_options(options, message):
    """An unknown option, or one of another type, is an error."""
    with pytest.raises(ValueError, match=message):
        noise_options(Recipe("toy", "red", options=options))


@pytest.mark.parametrize(
    ("noise", "level", "options", "config", "old_name"),
    [
        ("symmetric", 40, {"variant": "l2r"}, "symmetric_40_l2r", "way"),
        ("outlier", None, {"known_share": 0.5}, "outlier_k50_r50", "known"),
        ("source", None, {"copy_own": True}, "source_a20_own", "own"),
        ("mix", 40, {"proportion_first": 0.3}, "mix_40_blue_p30_red", "part"),
    ],
)
def test_a_renamed_option_keeps_its_place_in_names(noise, level, options, config, old_name):
    """Configs are called as before, and the old name of an option is an error that says the new one."""
    (new_name,) = options

    assert config_name(Recipe("toy", noise, options=options), level) == config
    with pytest.raises(ValueError, match=f"option '{old_name}' is called '{new_name}' now"):
        noise_options(Recipe("toy", noise, options={old_name: options[new_name]}))


def test_a_switch_is_true_or_false():
    """The error says which words a switch takes."""
    with pytest.raises(
        ValueError, match="include_self = 'yes' is not allowed: it must be true or false"
    ):
        noise_options(Recipe("toy", "symmetric", options={"include_self": "yes"}))


def test_unknown_noise():
    """Noise that does not exist is an error."""
    with pytest.raises(LookupError, match=r"unknown noise 'rad'\. Did you mean 'red'"):
        noise_options(Recipe("toy", "rad"))


def test_items_have_what_the_model_asks_for():
    """Labels, keys, and of the pool's columns the model's alone."""
    items = noise_items(POOL, 0, NOISE["red"])

    assert items.label.tolist() == [1, 0]
    assert set(items.side) == NOISE["red"].pool_columns & set(POOL.column_names)


def test_levels_share_a_seed_unless_they_are_independent():
    """Nested levels draw the same numbers."""
    nested, independent = Recipe("toy", "red", seed=3), Recipe("toy", "red", seed=3, nested=False)

    assert key_seed(nested, 20) == key_seed(nested, 40) == 3
    assert len({3, key_seed(independent, 20), key_seed(independent, 40)}) == 3


def test_outliers_have_a_class_if_the_noise_says_so():
    """Only noise with such an option, and only where it is on."""
    (noise,) = [name for name, model in NOISE.items() if model.outlier_option]
    option = NOISE[noise].outlier_option
    default = NOISE[noise].options[option]

    assert not has_outlier_class(Recipe("toy", "red"))
    assert has_outlier_class(Recipe("toy", noise)) == bool(default)
    assert not has_outlier_class(Recipe("toy", noise, options={option: type(default)(0)}))
