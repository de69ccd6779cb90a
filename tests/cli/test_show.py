"""`cnlw show --matrix`: who was taken for whom, as a picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cnlw_tools.builds.build import build
from cnlw_tools.card import heatmap
from cnlw_tools.cli import main
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[[Path], Path]) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    inputs = Inputs(tiny(folder / "root"))
    for noise, levels in (("red", [20, 40]), ("blue", [40])):
        keys = {"dataset": "shapes", "noise": noise, "levels": levels}
        build(parse_recipe(keys, "the test"), inputs, folder / "build")
    return folder / "build"


def show(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["show", *map(str, arguments)])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of the matrices that are drawn."""
    titles: list[str] = []
    draw = heatmap.draw_matrices

    def record(matrices, classes):
        titles.extend(title for title, _ in matrices)
        return draw(matrices, classes)

    monkeypatch.setattr(heatmap, "draw_matrices", record)
    return titles


def test_configs_with_one_matrix_share_a_picture(
    whole: Path, tmp_path: Path, drawn: list[str]
) -> None:
    """Red noise changes no label: its levels are one identity, and the command says so."""
    path = tmp_path / "new" / "m.png"
    result = show(whole, "--matrix", path)

    assert result.exit_code == 0, result.output
    assert drawn == ["blue_40", "red_20, red_40"]
    assert f"{path}: 2 matrices of the images of train that stayed" in result.output
    assert "red_20, red_40: no label of these images differs from the true one" in result.output
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert np.asarray(picture).std() > 0


@pytest.mark.parametrize("name", ["r.svg", "r.pdf", "r.jpg", "r", "r.png.txt"])
def test_a_name_of_another_format_is_refused_before_anything_is_printed(
    whole: Path, tmp_path: Path, name: str
) -> None:
    """Nobody finds a PNG in an SVG file; the error names the file to write."""
    result = show(whole, "--matrix", tmp_path / name)

    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert f"name it {Path(name).with_suffix('.png')}" in result.output
    assert [*tmp_path.iterdir()] == []
