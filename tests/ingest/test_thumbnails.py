"""Thumbnails as features: what a loop over pixels gives, whatever the shards, and noise that uses them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from click.testing import CliRunner

from cnlw_tools import files
from cnlw_tools.cli import main
from cnlw_tools.dataset import hashing, side_table, tables
from cnlw_tools.executor import Serial
from cnlw_tools.ingest import thumbnails as features
from cnlw_tools.ingest.thumbnails import make_thumbnails
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import SOURCES
from tests.elsewhere import Elsewhere


@pytest.fixture
def ids(cifar):
    return SOURCES["cifar10"](cifar).manifest()["image_id"][:7]


def test_area_averages(cifar, ids):
    """Each number is the mean of 8 x 8 pixels of one channel, brought from [0, 255] to [-1, 1]."""
    found = side_table.column_values(
        make_thumbnails("cifar10", Inputs(files.default_root(), cifar), ids, 4), "features", ids
    )
    pixels = np.array(SOURCES["cifar10"](cifar).read(ids[5].as_py()), float)
    naive = [
        pixels[8 * i : 8 * i + 8, 8 * j : 8 * j + 8, c].mean()
        for i in range(4)
        for j in range(4)
        for c in range(3)
    ]

    assert found.shape == (7, 48)
    assert found.dtype == np.float32
    assert (
        np.abs(found[5] - (np.array(naive) / 127.5 - 1)).max() <= 1 / 127.5 + 1e-6
    )  # rounded, across and down


def test_a_machine_without_the_images(cifar, ids):
    """One line that names it."""
    inputs = Inputs(files.default_root(), cifar)
    with pytest.raises(OSError, match=r"the machine .* does not see this folder"):
        make_thumbnails("cifar10", inputs, ids, 4, Elsewhere(cifar))


def test_tasks_change_nothing(cifar, ids, monkeypatch):
    """Three images at a time, in whatever order they come, give the same table."""
    inputs = Inputs(files.default_root(), cifar)
    whole = make_thumbnails("cifar10", inputs, ids, 4)
    monkeypatch.setattr(features, "IMAGES_PER_TASK", 3)
    parts = make_thumbnails("cifar10", inputs, ids, 4, Backwards())

    assert hashing.digest(parts) == hashing.digest(whole)


class Backwards(Serial):
    """Runs the last task first."""

    def map(self, task, items):
        """Yield results in the order of the items turned round."""
        return super().map(task, items[::-1])


def test_the_command_makes_a_side_table(cifar: Path, tmp_path: Path) -> None:
    """One row a training image; instance noise takes it as it is, and the share that was asked for is noisy."""
    side, out = tmp_path / "side.parquet", tmp_path / "plan.parquet"
    where = ["--dataset", "cifar10", "--data-dir", str(cifar), "--root", str(files.default_root())]
    made = CliRunner().invoke(
        main, ["features", *where, "--size", "2", "--out", str(side), "--workers", "1"]
    )
    more = ["--noise", "instance", "--level", "30", "--side-table", str(side), "--out", str(out)]
    planned = CliRunner().invoke(main, ["plan", *where, *more])

    assert (made.exit_code, planned.exit_code) == (0, 0), made.output + planned.output
    assert "column features, 12 numbers for each of 300 images" in made.output
    plan = tables.read_plan(out)
    assert pc.sum(plan["is_noisy"]).as_py() == 90
    assert side_table.read_side_table(side).column_names == ["image_id", "features"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "cifar10", "--out", "x.parquet"], "cifar10 needs --data-dir"),
        (
            ["--dataset", "cifer10", "--out", "x.parquet"],
            "unknown dataset 'cifer10'. Did you mean 'cifar10'?",
        ),
        (["--out", "x.csv"], "x.csv: features are written as a .parquet file"),
    ],
)
def test_what_cannot_be_made(arguments, message):
    """No images, no dataset, no Parquet."""
    found = CliRunner().invoke(main, ["features", *arguments])

    assert found.exit_code == 1
    assert message in found.output


def test_no_images(cifar):
    """No image is an empty table."""
    assert (
        len(
            make_thumbnails(
                "cifar10",
                Inputs(files.default_root(), cifar),
                pa.chunked_array([[]], pa.string()),
                4,
            )
        )
        == 0
    )
