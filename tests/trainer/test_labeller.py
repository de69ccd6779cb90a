"""A network labels what it did not learn from."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner

from cnlw_tools.build.build import build
from cnlw_tools.cli import main
from cnlw_tools.dataset import side_table
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.trainer import data
from cnlw_tools.trainer.batches import BatchLoader, fit_normaliser
from cnlw_tools.trainer.labeller import train_and_label

CONFIG = "blue_40_probe2"


def test_every_image_but_validation_is_labelled(trainer, builds):
    """Train and probe, by id, each by what the trained network says of its pixels alone."""
    learner = trainer(split="probe", changes={"epochs": 2, "batch_size": 10})

    found = train_and_label(learner)

    known = {s: data.read_image_ids(builds, CONFIG, s) for s in ("train", "probe", "validation")}
    assert set(found) == {*known["train"], *known["probe"]}
    assert not set(found) & set(known["validation"])
    assert len(found) == 200
    splits = data.load_splits(builds, CONFIG, learner.image_size, learner.cache, 1)
    at = splits["train"].rows.tolist().index(17)
    loader = BatchLoader(
        splits["train"],
        torch.device("cpu"),
        0,
        {},
        fit_normaliser(splits["probe"], torch.device("cpu")),
    )
    batch = next(iter(loader.batches([torch.tensor([at])], ("plain",), 0)))
    assert found[known["train"][17]] == int(learner.trained_method.predict(batch.x).argmax(1))


def test_given_labels_of_train_are_not_looked_at(trainer, tmp_path, monkeypatch):
    """Whatever the labels of train, the network says the same."""
    first = train_and_label(
        trainer(split="probe", changes={"epochs": 1, "batch_size": 10}, out=tmp_path / "first")
    )
    load = data.load_splits

    def other(*arguments):
        splits = load(*arguments)
        splits["train"].labels[:] = 0
        splits["validation"].labels[:] = 1
        return splits

    monkeypatch.setattr(data, "load_splits", other)

    assert train_and_label(trainer(split="probe", changes={"epochs": 1, "batch_size": 10})) == first


def test_ids_are_by_row(builds):
    """As `datasets` reads them; a split that is not there is an error."""
    held = [
        name
        for path in sorted((builds / "data").glob("*.parquet"))
        for name in pq.read_table(path)["image_id"].to_pylist()
    ]

    assert set(data.read_image_ids(builds, CONFIG, "train")) <= set(held)
    assert len(data.read_image_ids(builds, CONFIG, "train")) == 180
    with pytest.raises(LookupError, match=r"unknown split 'prob'\. Did you mean 'probe'"):
        data.read_image_ids(builds, CONFIG, "prob")


def test_the_command_makes_semantic_noise(tmp_path, tiny):
    """Build at level 0 with a probe set, label, build semantic noise: the labels are the network's."""
    root = tiny(tmp_path / "root")
    said = {"dataset": "shapes", "noise": "blue", "levels": [0], "probe": 3, "size": 16}
    build(recipe.parse_recipe(said, "test"), Inputs(root), tmp_path / "clean")
    side = tmp_path / "side.parquet"
    where = ["--root", str(root)]
    clean = ["--data", str(tmp_path / "clean"), "--config", "blue_00_probe3", "--out", str(side)]
    labels = CliRunner().invoke(
        main,
        [
            "label",
            *clean,
            *where,
            "--decode-threads",
            "1",
            "--net",
            "mlp1",
            "--epochs",
            "1",
            "--batch-size",
            "10",
            "--device",
            "cpu",
        ],
    )
    assert labels.exit_code == 0, labels.output
    made = CliRunner().invoke(
        main,
        [
            "build",
            "--noise",
            "semantic",
            "--side",
            str(side),
            "-o",
            "labels=mlp1",
            *where,
            "--workers",
            "1",
            "--out",
            str(tmp_path / "b"),
        ],
    )

    assert made.exit_code == 0, made.output
    found = side_table.read_side_table(side)
    given = dict(zip(found["image_id"].to_pylist(), found["mlp1"].to_pylist(), strict=True))
    held = [
        row
        for path in (tmp_path / "b/data").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    ]
    train = [row for row in held if row["image_id"] in given]
    assert len(train) == len(given) == 200
    assert all(row["label"] == given[row["image_id"]] for row in train)
    assert np.mean([row["is_noisy"] for row in train]) > 0
