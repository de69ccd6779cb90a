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
    "mentormix": {"alpha": 0.2},
}
REACHED = dict.fromkeys(METHODS, 30.0)


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
    """Three times better than chance, or more, after a few epochs on small images."""
    views = {"standard": ("flip",), "policy": ("rand_augment", "flip")}
    said = {"options": OPTIONS.get(name, {}), "changes": {"epochs": 4, "size": None, "views": views}}
    found = Trainer(shapes, CONFIG, name, out=tmp_path / "run", cache=tmp_path.parent, device="cpu", **said).fit()

    assert found["best"] >= REACHED[name]
