"""`cnlw show --matrix`: who was taken for whom, as a picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cnlw_tools.builds.build import build
from cnlw_tools.builds.diff import read_images, read_plans
from cnlw_tools.card import heatmap
from cnlw_tools.card.sample_grid import GAP, STEP, fit_cell
from cnlw_tools.cli import main
from cnlw_tools.dataset import tables
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


def test_images_are_shown_by_id(whole: Path, tmp_path: Path) -> None:
    """Each with its split, given and true label in the configs that have it, once, in the order given."""
    rows = read_plans(whole)["blue_40"].to_pylist()
    classes = tables.read_classes(whole / "tables" / "classes.csv")
    flipped = next(row for row in rows if row["is_noisy"])
    clean = next(row for row in rows if row["split"] == "validation")
    out = tmp_path / "pair.png"
    ids = [flipped["image_id"], clean["image_id"]]

    result = show(whole, "--image", ids[0], "--image", ids[1], "--image", ids[0], "--out", out)

    assert result.exit_code == 0, result.output
    first, second, last = result.output.splitlines()
    given, true = classes[flipped["label"]], classes[flipped["clean_label"]]
    assert first.startswith(f"{ids[0]}: train: ")
    assert f"train: {given}, true class {true} (blue_40)" in first
    name = classes[clean["label"]]
    assert second == f"{ids[1]}: validation: {name} (blue_40, red_20, red_40)"
    assert last == f"{out}: 2 images"
    with Image.open(out) as picture:
        pixels = np.asarray(picture.convert("RGB"), int)
    shown = [pixels[GAP + i * STEP : i * STEP + STEP, GAP:STEP] for i in range(2)]
    for image_id, cell in zip(ids, shown, strict=True):
        expected = fit_cell(read_images(whole, [image_id])[image_id])
        assert np.array_equal(cell, np.asarray(expected, int))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "nobody"], "no config has an image 'nobody'"),
        (["--image", "nobody", "--out", "x.jpg"], "name it x.png"),
        (["--out", "x.png"], "name an image with --image"),
        (["--image", "nobody", "--matrix", "x.png"], "give one of the two"),
    ],
)
def test_images_that_cannot_be_shown(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    """What is wrong is said, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    result = show(whole, *arguments)

    assert result.exit_code in (1, 2)
    assert message in result.output
    assert [*tmp_path.iterdir()] == []


def test_a_plan_holds_no_images(whole: Path, tmp_path: Path) -> None:
    """It has ids and labels alone, and the error says what to give."""
    plan = read_plans(whole)["blue_40"]
    image_id = plan["image_id"][0].as_py()

    with pytest.raises(ValueError, match="a plan contains no images: give the folder of a build"):
        read_images(tmp_path / "plan.parquet", [image_id])
