"""Several processes on one run."""

import os
import subprocess
import sys

import pytest
import torch

from cnlw_tools.builds.build import build
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from tests.trainer import together
from tests.trainer.test_loop import lines, weights

CHOOSES = (
    "curriculumnet",
    "self_learning",
)  # by features: the last bits of a float may change a choice
MEANS = [n for n, m in METHODS.items() if m.distributed_loss == "mean" and n not in CHOOSES]
OTHERS = ["mixup", "mentormix", "mentornet", "l2r", "ieg", "glc", "data_parameters", "coteaching"]
OTHERS += ["mdyrh", "mddyrsh", "o2u", "incv", "dropout", "mixmatch", "mixmatch_kl", *CHOOSES]


@pytest.fixture
def build_of_all(tiny, tmp_path):
    """A build with two probe images and six verified ones of each class; 60 to train on."""
    recipe_fields = {
        "dataset": "shapes",
        "noise": "blue",
        "levels": [40],
        "probe": 2,
        "verified": 6,
        "size": 16,
    }
    build(
        recipe.parse_recipe(recipe_fields, "test"),
        Inputs(tiny(tmp_path / "root", train=14)),
        tmp_path / "shapes",
    )
    return tmp_path / "shapes"


def train_with_two_processes(*arguments):
    """Run the script of this folder."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.trainer.together", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_train_as_one_does(build_of_all, tmp_path):
    """Methods that are means over examples have the same loss curve; the others run."""
    names = [name for name in OTHERS if name in METHODS]
    train_with_two_processes(build_of_all, tmp_path / "two", *MEANS, *names)
    together.main(str(build_of_all), str(tmp_path / "one"), *MEANS)

    for name in MEANS:
        lines_one, two = lines(tmp_path / "one" / name), lines(tmp_path / "two" / name)
        assert [a["train_loss"] for a in lines_one] == pytest.approx(
            [b["train_loss"] for b in two], rel=1e-4
        ), name
        assert [a["val_top1"] for a in lines_one] == pytest.approx(
            [b["val_top1"] for b in two], abs=5.1
        ), name
        for key, value in weights(tmp_path / "one" / name).items():
            other_state = weights(tmp_path / "two" / name)[key]
            if key.startswith("net."):
                torch.testing.assert_close(
                    value, other_state, rtol=2e-3, atol=1e-4, msg=f"{name}: {key}"
                )
    for name in names:
        assert len(lines(tmp_path / "two" / name)) == 3
