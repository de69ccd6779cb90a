"""Data-driven mentors."""

import json
import shutil
from functools import partial

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from datasets import load_dataset

from cnlw_tools.builds.build import build
from cnlw_tools.cli import main
from cnlw_tools.methods.components.mentor import read_mentor
from cnlw_tools.methods.components.mentor_fit import fit_mentor
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.trainer import Trainer, data
from cnlw_tools.trainer.mentor import read_mentor_samples, train_data_driven_mentor
from tests.trainer.conftest import PRESET, Small
from tests.trainer.test_data import rewritten

CONFIG = "blue_40_verified6"


@pytest.fixture
def few_steps(monkeypatch):
    """Fit mentors in few steps, enough for what is tested here."""
    for module in ("trainer.mentor", "methods.components.mentor_fit"):
        monkeypatch.setattr(f"cnlw_tools.{module}.fit_mentor", partial(fit_mentor, steps=200))


@pytest.fixture(scope="module")
def verified(tmp_path_factory, tiny):
    """A build with six verified images of each class, two or three of them wrong."""
    folder = tmp_path_factory.mktemp("mentor")
    recipe_fields = {
        "dataset": "shapes",
        "noise": "blue",
        "levels": [40],
        "verified": 6,
        "size": 16,
    }
    build(
        recipe.parse_recipe(recipe_fields, "test"), Inputs(tiny(folder / "root")), folder / "shapes"
    )
    return folder / "shapes"


def test_verdicts_are_those_of_the_split(verified, tmp_path):
    """By row, as `datasets` reads them."""
    read = load_dataset(str(verified), CONFIG, split="verified", cache_dir=str(tmp_path))

    assert data.read_verified_correctness(verified, CONFIG).tolist() == [
        not noisy for noisy in read["is_noisy"]
    ]


def test_a_build_without_verified_labels_is_an_error(builds):
    """It says how to get them."""
    with pytest.raises(ValueError, match="has no verified labels: build it with --verified, for"):
        data.read_verified_correctness(builds, "blue_40_probe2")


def test_a_shard_without_truth_has_no_verdicts(verified, tmp_path):
    """It is damaged, and the message says what is not there."""
    copied_build = shutil.copytree(verified, tmp_path / "other")
    rewritten(copied_build, lambda table: table.drop_columns(["is_noisy"]))

    with pytest.raises(ValueError, match=r"cannot be read as Parquet .*is_noisy"):
        data.read_verified_correctness(copied_build, CONFIG)


def test_rows_are_losses_by_percent_and_verdict(tmp_path):
    """Two epochs are spread over a hundred percents; what an epoch leaves out is as it was."""
    folder = tmp_path / "examples.parquet"
    folder.mkdir()
    for epoch, losses in ((1, [0.5, 2.0, 1.0]), (2, [0.1, 3.0, None])):
        table = {"epoch": [epoch] * 3, "row": [0, 1, 2], "loss": pa.array(losses, pa.float32())}
        pq.write_table(pa.table(table), folder / f"epoch-{epoch:04d}.parquet")

    samples = read_mentor_samples(tmp_path, np.array([True, False, True]), 0.5)

    assert samples.losses.shape == (300,)
    assert torch.equal(samples.target, torch.tensor([1.0, 0.0, 1.0]).repeat(100))
    first, last = samples.epoch == 0, samples.epoch == 99
    assert samples.losses[first].tolist() == pytest.approx([0.5, 2.0, 1.0])
    assert samples.losses[last].tolist() == pytest.approx([0.1, 3.0, 1.0])
    assert samples.difference[last].tolist() == pytest.approx([-0.9, 2.0, 0.0])


@pytest.mark.usefixtures("few_steps")
def test_a_student_learns_from_the_verified_split(verified, tmp_path):
    """Sixty images; the mentor tells right labels from wrong ones better than chance."""
    arguments = {
        "net": Small,
        "preset": PRESET,
        "device": "cpu",
        "decode_threads": 1,
        "cache": tmp_path,
        "split": "verified",
    }
    student = Trainer(
        verified, CONFIG, out=tmp_path / "student", changes={"epochs": 4}, **arguments
    )

    fitted = train_data_driven_mentor(student, 0.7, 0)

    assert len(pq.read_table(tmp_path / "student" / "examples.parquet")) == 4 * 60
    assert fitted.agreement > 0.5


def test_an_example_that_was_never_drawn_is_left_out(tmp_path):
    """One epoch leaves out the rest that fills no batch, which has no loss to learn from."""
    folder = tmp_path / "examples.parquet"
    folder.mkdir()
    table = {"epoch": [1] * 3, "row": [0, 1, 2], "loss": pa.array([0.5, None, 1.0], pa.float32())}
    pq.write_table(pa.table(table), folder / "epoch-0001.parquet")

    samples = read_mentor_samples(tmp_path, np.array([True, True, False]), 0.5)

    assert samples.losses.shape == (200,)
    assert torch.equal(samples.target, torch.tensor([1.0, 0.0]).repeat(100))


def test_a_percentile_is_checked_before_the_student_trains(verified, tmp_path):
    """From 0 to 1."""
    student = Trainer(verified, CONFIG, split="verified", out=tmp_path / "student")

    with pytest.raises(
        ValueError, match="percentile = 90 is not allowed: give a number from 0 to 1"
    ):
        train_data_driven_mentor(student, 90, 0)
    assert not (tmp_path / "student").exists()


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("place", ["", "memory://bucket"])
def test_the_command_goes_on_with_its_student(verified, tmp_path, monkeypatch, memory, place):
    """Stopped after an epoch it says so in a line; the same command ends the work."""
    place = place or str(tmp_path)
    (tmp_path / "small.toml").write_text(
        'net = "mlp1"\nepochs = 2\nbatch_size = 30\nlr = 0.01\nsize = 8\n'
    )
    flags = [
        "--data",
        str(verified),
        "--config",
        CONFIG,
        "--preset",
        str(tmp_path / "small.toml"),
        "--decode-threads",
        "1",
    ]
    call = ["train-mentor", "--out", f"{place}/m.json", "--device", "cpu", *flags]
    with monkeypatch.context() as patch:
        patch.setattr(
            "cnlw_tools.methods.components.distributed.any_rank", lambda *_: True
        )  # somebody has asked to stop
        stopped = CliRunner().invoke(main, call)
    done = CliRunner().invoke(main, call)

    assert stopped.exit_code == 143
    assert "saved after epoch 1" in stopped.output
    assert done.exit_code == 0, done.output
    with fsspec.open(f"{place}/m.student/metrics.jsonl") as file:
        assert len(file.read().splitlines()) == 2
    with fsspec.open(f"{place}/m.json") as file:
        assert "agreement" in json.loads(file.read())


@pytest.mark.usefixtures("few_steps")
def test_the_command_writes_what_a_method_reads(tmp_path):
    """Fitted to a rule; the file is a mentor."""
    out = tmp_path / "mentor.json"
    done = CliRunner().invoke(main, ["train-mentor", "--rule", "self_paced", "--out", str(out)])

    assert done.exit_code == 0, done.output
    v = read_mentor(str(out))(
        torch.tensor([1.0, 1.0]), torch.tensor([-2.0, 2.0]), torch.tensor([50.0, 50.0])
    )
    assert v[0] > 0.5 > v[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "m.txt", "--rule", "pd"], "m.txt: mentors are written as a .json file"),
        (["--out", "m.json"], "give either --rule pd, or --data BUILD"),
        (
            ["--out", "m.json", "--rule", "pd", "--data", "here"],
            "give either --rule pd, or --data BUILD",
        ),
        (["--out", "m.json", "--rule", "pdd"], "unknown rule 'pdd'"),
    ],
)
def test_what_is_wrong_is_said(arguments, message):
    """Exit code 1 and a line."""
    done = CliRunner().invoke(main, ["train-mentor", *arguments])

    assert done.exit_code == 1
    assert message in done.output
