"""Builds to export."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnlw_tools.builds.build import build
from cnlw_tools.builds.exporters.base import read_config
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.sources.base import make_manifest

RED = Recipe("shapes", "red", levels=(0, 40), probe=2, options={"top": 40})
DILUTION = Recipe("shapes", "dilution", options={"alpha": 2.5})  # images repeat
PLANNED = {
    "red_00_t40_probe2": (RED, 0),
    "red_40_t40_probe2": (RED, 40),
    "dilution_a2.5": (DILUTION, None),
}


@pytest.fixture(scope="session")
def inputs(tmp_path_factory, tiny) -> Inputs:
    """A small cut of the embedded dataset."""
    return Inputs(tiny(tmp_path_factory.mktemp("exporters") / "root"))


@pytest.fixture(scope="session")
def built(inputs, tmp_path_factory) -> Path:
    """A build of all that is planned here."""
    folder = tmp_path_factory.mktemp("exporters") / "build"
    build(RED, inputs, folder)
    build(DILUTION, inputs, folder)
    return folder


@pytest.fixture(scope="session")
def planned(inputs):
    """Return the plan of a config."""

    def plan_config(config: str):
        recipe, level = PLANNED[config]
        return plan(recipe, load_dataset(recipe, inputs), level)

    return plan_config


class Pixels:
    """One-pixel images of any ids, each of the class that the test says."""

    name = "pixels"

    def __init__(self, images: dict[str, int], names: tuple[str, ...], stored: Any = None) -> None:
        self.images, self.names, self.stored = images, names, stored

    def classes(self):
        return self.names

    def manifest(self):
        ids = [*self.images]
        labels = [*self.images.values()]
        validation = [f"validation {label}" for label in range(len(self.names))]
        splits = ["train"] * len(ids) + ["validation"] * len(validation)
        return make_manifest([*ids, *validation], [*labels, *range(len(validation))], splits)

    def read(self, image_id):
        return self.stored or Image.new("RGB", (1, 1), (len(image_id), 0, 0))


@pytest.fixture
def pixels_config(tmp_path):
    """Build clean images of some ids and classes; return the config as an exporter gets it."""

    def make(images: dict[str, int], names: tuple[str, ...] = ("a", "b"), stored: Any = None):
        inputs = Inputs(tmp_path, source=Pixels(images, names, stored))
        build(Recipe("pixels", "blue", levels=(0,)), inputs, tmp_path / "build")
        (tmp_path / "out").mkdir()
        return read_config(tmp_path / "build", "blue_00")

    return make
