"""Predictions for one's own images, compared with those that a run made of its validation."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cnlw_tools.cli import main
from cnlw_tools.methods.vanilla import Vanilla
from cnlw_tools.reports.own_images import predict_own_images
from cnlw_tools.sources.shapes import Shapes
from cnlw_tools.trainer.data import read_image_ids
from cnlw_tools.trainer.network_input import read_network_input
from cnlw_tools.trainer.predict import NamedImage, Predictor, predict_images
from tests.trainer.conftest import Small

CONFIG = "blue_40_probe2"


class Inverted(Vanilla):
    """Predicts by what its network does not."""

    def predict(self, x):
        return -self.net(x)


def validated(builds, folder):
    """Return what a run predicted of each validation image: class and confidence by image id."""
    ids = read_image_ids(builds, CONFIG, "validation")
    rows = pq.read_table(folder / "predictions.parquet").to_pylist()
    return {ids[r["row"]]: (r["prediction"], r["confidence"]) for r in rows}


def write_validation_images(builds, folder):
    """Write the validation images as their source has them, larger than in the build."""
    folder.mkdir()
    source = Shapes()
    for image_id in read_image_ids(builds, CONFIG, "validation"):
        source.read(image_id).save(folder / f"{image_id}.png")
    return folder


def assert_as_validated(table, expected, classes):
    """Compare classes, and confidences but for the last digits: other batches round otherwise."""
    rows = [row for row in table.to_pylist() if row["image"].removesuffix(".png") in expected]
    assert len(rows) == len(expected) > 0
    for row in rows:
        prediction, confidence = expected[row["image"].removesuffix(".png")]
        assert row["prediction"] == classes[prediction]
        assert row["confidence"] == pytest.approx(confidence, abs=1e-5)
        assert row["problem"] is None


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("vanilla", {}),
        ("glc", {}),
        ("s_model", {}),
        ("mentornet", {}),
        ("coteaching", {"noise_rate": 0.4, "predict": "mean"}),
        ("incv", {"iterations": 1, "validation": 0.7, "predict": "mean"}),
        ("rog", {}),
        (Inverted, {}),
    ],
)
def test_predictions_are_those_of_validation(make_trainer, builds, tmp_path, method, options):
    """Of images as their source has them, by weights that are averages, without the build."""
    trainer = make_trainer(method=method, options=options, changes={"ema": 0.9})
    trainer.build = shutil.copytree(builds, tmp_path / "build")
    trainer.fit()
    shutil.rmtree(tmp_path / "build")
    images = write_validation_images(builds, tmp_path / "images")
    own = None if isinstance(method, str) else method
    predictor = Predictor(trainer.folder, "cpu", method=own, make_net=Small)
    table = predict_own_images(trainer.folder, images, predictor)

    assert_as_validated(table, validated(builds, trainer.folder), predictor.input.classes)


def test_predictions_for_a_build_are_by_image_id(make_trainer, builds):
    """Every image of the run's config comes once."""
    trainer = make_trainer(net="conv_small", preset=None, changes={"epochs": 1, "size": 16})
    trainer.fit()
    predictor = Predictor(trainer.folder, "cpu")
    table = predict_own_images(trainer.folder, builds, predictor)
    splits = ("train", "validation", "probe")
    ids = {image_id for split in splits for image_id in read_image_ids(builds, CONFIG, split)}

    assert sorted(table["image"].to_pylist()) == sorted(ids)
    with pytest.raises(LookupError, match=r"unknown config of .* 'blue_20'"):
        predict_own_images(trainer.folder, builds, predictor, "blue_20")
    assert_as_validated(table, validated(builds, trainer.folder), predictor.input.classes)


def test_the_best_weights_are_those_of_the_epoch_with_the_highest_accuracy(
    make_trainer, builds, tmp_path
):
    """Their accuracy on the validation images is the best of the result."""
    trainer = make_trainer(keep_best=True, changes={"epochs": 6, "lr": 0.5, "ema": 0.5})
    result = trainer.fit()
    images = write_validation_images(builds, tmp_path / "images")
    predictor = Predictor(trainer.folder, "cpu", best=True, make_net=Small)
    rows = predict_own_images(trainer.folder, images, predictor).to_pylist()
    n_right = sum(row["image"].split("-")[0] == row["prediction"] for row in rows)

    assert 100 * n_right / len(rows) == pytest.approx(result["best"])


def test_the_likeliest_classes_are_in_order(make_trainer, builds, tmp_path):
    """With all of them the confidences sum to one."""
    trainer = make_trainer(changes={"epochs": 1})
    trainer.fit()
    images = write_validation_images(builds, tmp_path / "images")
    predictor = Predictor(trainer.folder, "cpu", make_net=Small)
    table = predict_own_images(trainer.folder, images, predictor, top=10)
    names = ["", *(f"_{rank}" for rank in range(2, 11))]
    confidences = np.stack([table[f"confidence{name}"].to_numpy() for name in names], 1)

    assert (np.diff(confidences) <= 0).all()
    assert confidences.sum(1) == pytest.approx(1, abs=1e-5)
    assert {table[f"prediction{name}"][0].as_py() for name in names} == set(predictor.input.classes)
    with pytest.raises(
        ValueError, match="top = 11 is not allowed: give a number from 1 to 10, the"
    ):
        predict_own_images(trainer.folder, images, predictor, top=11)


@pytest.fixture
def ended(make_trainer):
    """The folder of a run of a network of the package."""
    trainer = make_trainer(net="conv_small", changes={"epochs": 1})
    trainer.fit()
    return trainer.folder


def test_an_image_that_cannot_be_read_is_listed(ended, builds, tmp_path, monkeypatch):
    """By the command, with the reason; the others are predicted, large ones and small ones."""
    images = tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    for name, size in (("a.png", (300, 200)), ("deep/b.jpg", (5, 9))):
        Shapes().read(read_image_ids(builds, CONFIG, "train")[0]).resize(size).save(images / name)
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    (images / "notes.txt").write_text("no image")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["predict", str(ended), "images", "--device", "cpu"])
    rows = (tmp_path / "predictions.csv").read_text().splitlines()

    assert done.exit_code == 0, done.output
    assert "broken.png: not an image that can be decoded" in done.stderr
    assert done.stdout == "predictions.csv: predictions of 2 images; 1 cannot be read\n"
    assert rows[0] == '"image","prediction","confidence","problem"'
    assert [row.split(",")[0] for row in rows[1:]] == ['"a.png"', '"broken.png"', '"deep/b.jpg"']


def test_predictions_are_put_at_an_address(ended, builds, tmp_path, memory):
    """They are those that are written to a file."""
    for place in (str(tmp_path / "p.csv"), "memory://bucket/p.csv"):
        words = ["predict", str(ended), str(builds), "--device", "cpu", "--out", place]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith(f"{place}: predictions of ")
    assert (tmp_path / "p.csv").read_bytes() == memory.cat_file("/bucket/p.csv")


def test_if_no_image_can_be_read_that_is_an_error(ended, tmp_path):
    """So is a folder without images, or none at all."""
    predictor = Predictor(ended, "cpu")
    (tmp_path / "images").mkdir()
    with pytest.raises(ValueError, match="there is no image here: give a folder of image files"):
        predict_own_images(ended, tmp_path / "images", predictor)
    (tmp_path / "images" / "a.png").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"none of the 1 images can be read: a\.png \(not"):
        predict_own_images(ended, tmp_path / "images", predictor)
    with pytest.raises(
        FileNotFoundError, match="there is no such file or folder: give a folder of images"
    ):
        predict_own_images(ended, tmp_path / "nowhere", predictor)


def test_a_fault_of_the_machine_is_no_unreadable_image(ended):
    """Too many open files end the command."""

    def read():
        raise OSError(24, "Too many open files")

    with pytest.raises(OSError, match="Too many open files"):
        predict_images(Predictor(ended, "cpu"), [NamedImage("a", read)], 1)


def test_what_the_folder_of_a_run_lacks_is_named(ended, make_trainer, tmp_path, with_norm):
    """The best weights, what the network takes, the end, a network or a method of one's own."""
    with pytest.raises(
        ValueError, match=r"best\.pt: this run did not keep .*: train it with --keep"
    ):
        Predictor(ended, "cpu", best=True)
    (ended / "result.json").rename(tmp_path / "result.json")
    with pytest.raises(ValueError, match="has not ended: finish it with `cnlw train --resume`"):
        Predictor(ended, "cpu")
    (tmp_path / "result.json").rename(ended / "result.json")
    (ended / "network_input.json").unlink()
    with pytest.raises(ValueError, match=r"network_input\.json: the file is missing: .* train it"):
        Predictor(ended, "cpu")

    own = make_trainer(method=Inverted, out=tmp_path / "own", changes={"epochs": 1})
    own.fit()
    with pytest.raises(ValueError, match=r"Inverted is a method of your own, .* method=\.\.\."):
        Predictor(own.folder, "cpu", make_net=Small)
    with pytest.raises(ValueError, match=r"Small is a network of your own, .* net=\.\.\."):
        Predictor(own.folder, "cpu", method=Inverted)
    with pytest.raises(ValueError, match="its network Small has other layers than the one given"):
        Predictor(own.folder, "cpu", method=Inverted, make_net=with_norm)


def test_a_run_says_what_its_network_takes(ended):
    """Classes by label, the size of images, how they are stored, and the scale."""
    content = json.loads((ended / "network_input.json").read_text())

    assert content["classes"][0] == "bicycle"
    assert (content["height"], content["width"], content["storage"]["size"]) == (16, 16, 16)
    assert len(content["mean"]) == len(content["std"]) == 3


def test_any_json_is_what_a_network_takes_or_an_error(ended, fuzz):
    """The error names the file."""
    path = ended / "network_input.json"

    def once(raw):
        path.write_text(json.dumps(raw))
        read_network_input(ended)

    fuzz(json.loads(path.read_text()), once, str(path))
