"""One small build, red and blue, copied for every test that spoils it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cnlw_tools.build.build import build
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[[Path], Path]) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    root = tiny(folder / "root")
    for noise, levels in (("red", [20, 40]), ("blue", [40])):
        asked = recipe.parse_recipe(
            {"dataset": "shapes", "noise": noise, "levels": levels}, "the test"
        )
        build(asked, Inputs(root), folder / "build")
    return folder / "build"


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "build")
