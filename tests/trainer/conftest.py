"""A small build of the embedded dataset, a fast network, and a factory of trainers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnlw_tools.builds.build import build
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.trainer import Trainer

torch.set_num_threads(1)  # tensors this small are not worth a second thread


class Small(nn.Module):
    """A convolution, its mean, a linear head: no more than methods and trainer need."""

    def __init__(self, classes: int, size: tuple[int, int], norm: bool = False) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8) if norm else nn.Identity(), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.dropout = nn.Dropout(0.0)
        self.head = nn.Linear(32, classes)

    def features(self, x: Tensor) -> Tensor:
        return self.body(x)

    def unit_features(self, x: Tensor) -> list[Tensor]:
        return [self.body[:3](x)]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(x)))


def normed(classes: int, size: tuple[int, int]) -> Small:
    """Return the network with batch normalisation."""
    return Small(classes, size, norm=True)


@pytest.fixture(scope="session")
def builds(tmp_path_factory, tiny) -> Path:
    """A build of blue 40 and red 20 with a probe: 180 images to train on, 40 to validate."""
    folder = tmp_path_factory.mktemp("trainer")
    root = tiny(folder / "root")
    for noise, level in (("blue", 40), ("red", 20)):
        recipe_fields = {
            "dataset": "shapes",
            "noise": noise,
            "levels": [level],
            "probe": 2,
            "options": {},
            "size": 16,
        }
        recipe_fields |= {"options": {"top": 20}} if noise == "red" else {}
        build(recipe.parse_recipe(recipe_fields, "test"), Inputs(root), folder / "shapes")
    return folder / "shapes"


PRESET = Preset(
    net="conv_small",
    epochs=3,
    quick=1,
    batch_size=30,
    lr=0.05,
    views={"standard": ("crop", "flip"), "policy": ("rand_augment", "crop")},
)


@pytest.fixture
def make_trainer(builds, tmp_path) -> Callable[..., Trainer]:
    """Make a trainer on the small build; arguments replace the usual ones."""

    def make(**arguments: Any) -> Trainer:
        usual = {
            "config": "blue_40_probe2",
            "net": Small,
            "preset": PRESET,
            "device": "cpu",
            "decode_threads": 1,
        }
        usual |= {"build": builds, "out": tmp_path / "run", "cache": tmp_path / "cache"}
        return Trainer(**(usual | arguments))

    return make


@pytest.fixture
def with_norm() -> Callable[[int, tuple[int, int]], nn.Module]:
    """A function that makes networks with batch normalisation."""
    return normed


def without_stored_size(build: Path) -> Path:
    """Let the card of a build say that its images keep their sizes; return the build."""
    card = build / "README.md"
    card.write_text(card.read_text().replace("    size: 16\n", "    size: null\n"))
    return build
