"""A network labels the images that it did not learn from."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner

from cnlw_tools.builds.build import build
from cnlw_tools.cli import main
from cnlw_tools.dataset import side_table
from cnlw_tools.files.folders import list_names
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.trainer import data
from cnlw_tools.trainer.batches import BatchLoader, fit_normaliser
from cnlw_tools.trainer.labeller import train_and_label

CONFIG = "blue_40_probe2"


def test_every_image_but_validation_is_labelled(make_trainer, builds):
    """Train and probe, by id, each with the label that the network predicts from its pixels."""
    trainer = make_trainer(split="probe", changes={"epochs": 2, "batch_size": 10})

    labels = train_and_label(trainer)

    ids = {s: data.read_image_ids(builds, CONFIG, s) for s in ("train", "probe", "validation")}
    assert set(labels) == {*ids["train"], *ids["probe"]}
    assert not set(labels) & set(ids["validation"])
    assert len(labels) == 200
    splits = data.load_splits(builds, CONFIG, trainer.resizing, trainer.cache, 1)
    at = splits["train"].rows.tolist().index(17)
    loader = BatchLoader(
        splits["train"],
        torch.device("cpu"),
        0,
        {},
        fit_normaliser(splits["probe"], torch.device("cpu")),
    )
    batch = next(iter(loader.batches([torch.tensor([at])], ("plain",), 0)))
    assert labels[ids["train"][17]] == int(trainer.trained_method.predict(batch.x).argmax(1))


def test_given_labels_of_train_have_no_influence(make_trainer, tmp_path, monkeypatch):
    """Whatever the labels of train, the predictions are the same."""
    first = train_and_label(
        make_trainer(split="probe", changes={"epochs": 1, "batch_size": 10}, out=tmp_path / "first")
    )
    load = data.load_splits

    def other(*arguments):
        splits = load(*arguments)
        splits["train"].labels[:] = 0
        splits["validation"].labels[:] = 1
        return splits

    monkeypatch.setattr(data, "load_splits", other)

    assert (
        train_and_label(make_trainer(split="probe", changes={"epochs": 1, "batch_size": 10}))
        == first
    )


def test_ids_are_by_row(builds):
    """As `datasets` reads them; a split that is not there is an error."""
    rows = [
        name
        for path in sorted((builds / "data").glob("*.parquet"))
        for name in pq.read_table(path)["image_id"].to_pylist()
    ]

    assert set(data.read_image_ids(builds, CONFIG, "train")) <= set(rows)
    assert len(data.read_image_ids(builds, CONFIG, "train")) == 180
    with pytest.raises(LookupError, match=r"unknown split 'prob'\. Did you mean 'probe'"):
        data.read_image_ids(builds, CONFIG, "prob")


def test_the_command_makes_semantic_noise(tmp_path, tiny, memory):
    """Build with a probe, label, build semantic noise: its labels are those of the network."""
    root = tiny(tmp_path / "root")
    recipe_fields = {"dataset": "shapes", "noise": "blue", "levels": [0], "probe": 3, "size": 16}
    build(recipe.parse_recipe(recipe_fields, "test"), Inputs(root), tmp_path / "clean")
    for name in list_names(tmp_path / "clean"):
        memory.pipe_file(f"/bucket/clean/{name}", (tmp_path / "clean" / name).read_bytes())
    side = tmp_path / "side.parquet"
    common_flags = ["--root", str(root)]
    words = ["--config", "blue_00_probe3", "--net", "mlp1", "--epochs", "1", "--batch-size", "10"]
    words += ["--device", "cpu", "--decode-threads", "1", *common_flags]
    for place in (str(tmp_path), "memory://bucket"):
        places = ["--data", f"{place}/clean", "--out", f"{place}/side.parquet"]
        labels = CliRunner().invoke(main, ["predict-labels", *places, *words])
        assert labels.exit_code == 0, labels.output
    assert side.read_bytes() == memory.cat_file("/bucket/side.parquet")
    assert memory.exists("/bucket/side.labeller/result.json")
    result = CliRunner().invoke(
        main,
        [
            "build",
            "--noise",
            "semantic",
            "--side-table",
            str(side),
            "-o",
            "labels=mlp1",
            *common_flags,
            "--workers",
            "1",
            "--out",
            str(tmp_path / "b"),
        ],
    )

    assert result.exit_code == 0, result.output
    labels = side_table.read_side_table(side)
    predicted = dict(zip(labels["image_id"].to_pylist(), labels["mlp1"].to_pylist(), strict=True))
    rows = [
        row
        for path in (tmp_path / "b/data").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    ]
    train = [row for row in rows if row["image_id"] in predicted]
    assert len(train) == len(predicted) == 200
    assert all(row["label"] == predicted[row["image_id"]] for row in train)
    assert np.mean([row["is_noisy"] for row in train]) > 0
