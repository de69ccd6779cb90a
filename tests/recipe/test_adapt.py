"""A preset that adapts: what it chooses for many datasets, and what it leaves to the user."""

import pytest

from cnlw_tools import files
from cnlw_tools.recipe.adapt import ImageSides, adapt_preset, describe_adapted
from cnlw_tools.recipe.preset import parse_preset, preset_name_of, read_preset, recorded_preset

ANY = read_preset("any", files.default_root())
SQUARES = ImageSides((32, 32), 32)


@pytest.mark.parametrize(
    ("common", "median", "size"),
    [
        ((32, 32), 32, None),
        ((20, 30), 20, None),
        ((64, 8), 8, None),
        ((65, 65), 65, 64),
        ((64, 90), 64, 64),
        ((40, 90), 40, 40),
        ((5, 40), 5, 8),
        ((1, 1), 1, 8),
        (None, 23, 23),
        (None, 500, 64),
        (None, 3, 8),
    ],
)
def test_small_images_of_one_size_stay_as_they_are(common, median, size):
    """Others become squares that the network takes, and no larger than the preset says."""
    assert adapt_preset(ANY, {}, 1000, ImageSides(common, median)).size == size


@pytest.mark.parametrize(
    ("n_examples", "batch_size", "lr", "epochs"),
    [
        (1, 1, 0.00884, 100),
        (3, 1, 0.00884, 100),
        (4, 1, 0.00884, 100),
        (10, 2, 0.0125, 100),
        (48, 8, 0.025, 100),
        (500, 64, 0.0707, 100),
        (511, 64, 0.0707, 100),
        (512, 128, 0.1, 100),
        (5000, 128, 0.1, 52),  # 39 steps an epoch
        (50_000, 128, 0.1, 30),
        (10_000_000, 128, 0.1, 30),
    ],
)
def test_batch_rate_and_epochs_follow_from_the_number_of_examples(
    n_examples, batch_size, lr, epochs
):
    """A batch is no more than a fourth of the examples; a smaller one has a smaller rate."""
    preset = adapt_preset(ANY, {}, n_examples, SQUARES)

    assert (preset.batch_size, preset.lr, preset.epochs) == (batch_size, lr, epochs)


def test_a_value_of_the_user_is_not_adapted():
    """The others adapt to it."""
    given = {"batch_size": 32, "epochs": 3, "size": None, "net": "mlp1"}
    preset = adapt_preset(ANY, given, 48, SQUARES)

    assert (preset.batch_size, preset.epochs, preset.net) == (32, 3, "mlp1")
    assert (preset.lr, preset.size) == (0.05, None)
    assert adapt_preset(ANY, {"lr": 0.3, "size": 16}, 48, SQUARES).lr == 0.3
    with pytest.raises(ValueError, match="batch_size = 0"):
        adapt_preset(ANY, {"batch_size": 0}, 48, SQUARES)


def test_what_is_chosen_is_said_and_recorded():
    """A run records values, and nothing of how they were found."""
    preset = adapt_preset(ANY, {}, 48, ImageSides((20, 30), 20))

    assert describe_adapted(ANY, preset) == {
        "size": "as stored",
        "batch_size": "8",
        "lr": "0.025",
        "epochs": "100",
    }
    assert preset.adapt == ()
    assert "adapt" not in recorded_preset(preset)
    assert describe_adapted(preset, preset) == {}


def test_a_preset_adapts_what_it_names():
    """One of one's own may adapt the batch alone; an unknown name is an error."""
    raw = {"net": "mlp1", "epochs": 7, "lr": 0.2, "batch_size": 16}
    mine = adapt_preset(parse_preset({**raw, "adapt": ["batch_size"]}, "mine"), {}, 20, SQUARES)

    assert (mine.batch_size, mine.lr, mine.epochs) == (4, 0.2, 7)
    with pytest.raises(ValueError, match="a list of some of size, batch_size, lr, epochs"):
        parse_preset({**raw, "adapt": ["net"]}, "mine")


def test_a_dataset_without_a_preset_has_the_one_for_any():
    """One that has its own keeps it."""
    root = files.default_root()

    assert preset_name_of("flowers", root) == "any"
    assert preset_name_of("mnist", root) == "mnist"
