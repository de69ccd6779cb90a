"""Every method on the embedded dataset, for real: a few epochs must come to something."""

import pytest

from cnlw_tools.builds.build import build
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.trainer import Trainer
from tests.conftest import tiny_root

CONFIG = "blue_20_probe10_verified20"
SIDE = 12  # pixels
OPTIONS = {
    "noise_layer": {"q": "symmetric:0.2"},
    "h_alpha": {"alpha": 0.25},
    "mixup": {"alpha": 0.2},
    "mdyrh": {"alpha": 0.2},
    "mddyrsh": {"alpha": 0.2},
    "mentormix": {"alpha": 0.2},
    "gce": {"q": 0.4},
    "gce_truncated": {"q": 0.4, "start": 2},
    "forward": {"first": 2},
    "backward": {"q": "symmetric:0.2"},
    "glc": {"first": 2},
    "coteaching": {"noise_rate": 0.2, "gradual": 2},
    "o2u": {"noise_rate": 0.2, "batch": 0.5},
    "l2r": {"probe_size": 50},
    "ieg": {"p": 1.0, "k": 1.0, "probe_size": 50},
    "mixmatch": {"w": 10.0},
    "mixmatch_kl": {"w": 10.0, "k": 1.0},
    "curriculumnet": {"fall": 1.0},
    "cleannet": {"rounds": 1, "passes": 2.0},
}
CHANGES = {  # each epoch of IEG takes as long as seven of vanilla, of MixMatch as four
    "ieg": {"epochs": 2, "lr": 0.03},
    "l2r": {"batch_size": 25, "lr": 0.05},
    "mixmatch": {"epochs": 2},
    "mixmatch_kl": {"epochs": 2},
    "mentormix": {"epochs": 5},
    "rog": {"epochs": 5},
    "s_model": {"epochs": 5},
    "self_learning": {"epochs": 5},
    "forward": {"epochs": 7},  # two trainings
    "glc": {"epochs": 5},
    "o2u": {"epochs": 6},
    "incv": {"epochs": 9},
}
REACHED = dict.fromkeys(METHODS, 20.0)  # of 400 images; by chance 10, seldom above 14.5
REACHED |= dict.fromkeys(["l2r", "ieg", "mdyrh", "dropout"], 15.0)  # those set out slowly
REACHED |= dict.fromkeys(["mixmatch", "mixmatch_kl"], 15.0)  # a hundred labels
REACHED |= dict.fromkeys(
    ["curriculumnet", "gce_truncated", "forward", "glc", "o2u", "incv"], 15.0
)  # most of the steps prepare the last few


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """700 images of ten classes at 12 pixels, a fifth of their labels wrong."""
    folder = tmp_path_factory.mktemp("shapes")
    keys = {"dataset": "shapes", "noise": "blue", "levels": [20], "size": SIDE}
    keys |= {"probe": 10, "verified": 20}
    root = tiny_root(folder / "root", train=100, validation=40)
    build(recipe.parse_recipe(keys, "test"), Inputs(root), folder / "shapes")
    return folder / "shapes"


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_method_learns_shapes(name, shapes, tmp_path):
    """Well above chance after a few epochs on small images."""
    views = {"standard": ("flip",), "policy": ("flip", "cutout")}
    changes = {"epochs": 4, "batch_size": 50, "lr": 0.1, "size": SIDE, "views": views}
    changes |= CHANGES.get(name, {})
    arguments = {"options": OPTIONS.get(name, {}), "changes": changes}
    result = Trainer(
        shapes,
        CONFIG,
        name,
        out=tmp_path / "run",
        cache=tmp_path.parent,
        device="cpu",
        **arguments,
    ).fit()

    assert result["best"] >= REACHED[name]
