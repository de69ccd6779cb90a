"""Whether a run can work, told before any image is read."""

from dataclasses import replace

import pytest

from cnlw_tools import files
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe.preset import method_options, read_preset
from cnlw_tools.trainer.check import DataSize, check_run

PRESET = read_preset("shapes", files.default_root())
SIZE = DataSize({"train": 4000, "validation": 1000, "probe": 100, "verified": 200}, 10, (32, 32))
REQUIRED = {
    "forward": {"q": "symmetric:0.4"},
    "backward": {"q": "symmetric:0.4"},
    "noise_layer": {"q": "symmetric:0.4"},
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_that_can_work_passes(method):
    """It is made without data, and without memory for its network."""
    options = {**method_options(PRESET, method, 40), **REQUIRED.get(method, {})}
    if "noise_rate" in METHODS[method].requires:
        options["noise_rate"] = 0.4

    check_run(PRESET, method, options, False, SIZE)


@pytest.mark.parametrize(
    ("changes", "method", "options", "rows", "message"),
    [
        ({}, "l2r", {}, {"probe": 0}, "L2R needs a trusted set.*--probe 10"),
        ({}, "cleannet", {}, {"verified": 0}, "needs verified labels"),
        ({}, "coteaching", {}, {}, "needs the share of wrong labels"),
        ({}, "mixup", {"alfa": 1}, {}, "unknown option 'alfa' of mixup"),
        ({}, "mixup", {"alpha": -1.0}, {}, "alpha = -1.0"),
        ({}, "mixp", {}, {}, "unknown method 'mixp'. Did you mean 'mixup'"),
        ({"net": "inception_v3"}, "vanilla", {}, {}, "needs images of 75 x 75 pixels"),
        ({"net": "resnt18"}, "vanilla", {}, {}, "unknown network 'resnt18'"),
        ({"schedule": "cosin"}, "vanilla", {}, {}, "cosin"),
        ({"batch_size": 5000}, "vanilla", {}, {}, "more than the 4000 examples"),
        ({}, "vanilla", {}, {"validation": 0}, "no split 'validation'.*--validation 20"),
        ({"views": {}}, "vanilla", {}, {}, "needs the view 'standard'"),
    ],
)
def test_what_cannot_work_is_said(changes, method, options, rows, message):
    """With the words of the trainer."""
    counts = {name: n for name, n in {**SIZE.rows, **rows}.items() if n}
    with pytest.raises((ValueError, LookupError), match=message):
        check_run(replace(PRESET, **changes), method, options, False, replace(SIZE, rows=counts))


@pytest.mark.parametrize("image_size", [(24, 16), (16, 40)])
def test_images_need_not_be_square(image_size):
    """The method is made for their height and width, as the trainer makes it."""
    size = replace(SIZE, image_size=image_size)

    check_run(PRESET, "mixup", {}, False, size)
    check_run(replace(PRESET, net="mlp1"), "vanilla", {}, False, size)
    with pytest.raises(ValueError, match="L2R needs a trusted set"):
        check_run(PRESET, "l2r", {}, False, replace(size, rows={"train": 400, "validation": 10}))


def test_the_shorter_side_must_suffice():
    """The longer side does not make up for it."""
    wide = replace(SIZE, image_size=(60, 200))
    with pytest.raises(ValueError, match="needs images of 75 x 75 pixels"):
        check_run(replace(PRESET, net="inception_v3"), "vanilla", {}, False, wide)


def test_published_weights_are_known_by_name():
    """Nothing is fetched."""
    with pytest.raises(ValueError, match="conv_small has no published weights"):
        check_run(PRESET, "vanilla", {}, True, SIZE)
