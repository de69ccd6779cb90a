"""Every method on the embedded dataset, for real: a few epochs must come to something."""

import pytest

from cnlw_tools import engine, files, recipe
from cnlw_tools.build import build
from cnlw_tools.methods import METHODS
from cnlw_tools.trainer import Trainer

CONFIG = "blue_20_probe10"
OPTIONS = {
    "noise_layer": {"q": "symmetric:0.2"},
    "h_alpha": {"alpha": 0.25},
    "mixup": {"alpha": 0.2},
    "mdyrh": {"alpha": 0.2},
    "mddyrsh": {"alpha": 0.2},
    "mentormix": {"alpha": 0.2},
    "o2u": {"noise_rate": 0.2, "batch": 0.5},
    "ieg": {"p": 1.0, "k": 1.0, "probe_size": 50},
}
CHANGES = {
    "o2u": {"epochs": 6},
    "incv": {"epochs": 9},
    "ieg": {"epochs": 2, "lr": 0.03},  # each of its epochs takes as long as seven of the others
}
REACHED = dict.fromkeys(METHODS, 30.0) | {"l2r": 15.0, "ieg": 15.0}  # those two set out slowly; chance is 10


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """4,900 images of ten classes at 16 pixels, a fifth of their labels wrong."""
    out = tmp_path_factory.mktemp("shapes") / "shapes"
    said = {"dataset": "shapes", "noise": "blue", "levels": [20], "probe": 10, "size": 16}
    build(recipe.make(said, "test"), files.root(), None, out, engine.cores())
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_method_learns_shapes(name, shapes, tmp_path):
    """Well above chance after a few epochs on small images."""
    views = {"standard": ("flip",), "policy": ("flip", "cutout")}
    changes = {"epochs": 4, "size": 16, "views": views} | CHANGES.get(name, {})
    said = {"options": OPTIONS.get(name, {}), "changes": changes}
    found = Trainer(shapes, CONFIG, name, out=tmp_path / "run", cache=tmp_path.parent, device="cpu", **said).fit()

    assert found["best"] >= REACHED[name]
