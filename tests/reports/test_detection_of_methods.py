"""How well each method detects noise, counted again from its files and the rows of `datasets`."""

import math

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from cnlw_tools.builds.build import build
from cnlw_tools.builds.ground_truth import load
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.reports import runs
from cnlw_tools.reports.detection import detect_noise
from cnlw_tools.trainer import Trainer
from tests.trainer.conftest import Small

CONFIG = "blue_40_probe2_verified2"
PRESET = Preset(
    net="conv_small",
    epochs=6,
    batch_size=20,
    lr=0.1,
    views={"standard": ("flip",), "policy": ("flip", "cutout")},
)
OPTIONS = {  # with which six epochs are enough to mark some examples
    "backward": {"q": "symmetric:0.4"},
    "cleannet": {"references": 3},
    "curriculumnet": {"noisy": 0.2, "highly": 0.0},
    "data_parameters": {"instance_lr": 20.0},
    "gce": {"q": 1.0},
    "gce_truncated": {"k": 0.15, "every": 1},
    "ieg": {"probe_size": 10},
    "incv": {"iterations": 1, "validation": 0.7},
    "self_learning": {"start": 2, "samples": 50},
}
# These keep every label and weigh all examples alike.
TRUSTING = {
    "vanilla", "weight_decay", "dropout", "bootstrap", "h_alpha", "mixup", "forward", "backward",
    "s_model", "noise_layer", "glc", "rog",
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny):
    """A build of blue 40 with a probe and verified labels, and what `datasets` says is noisy."""
    folder = tmp_path_factory.mktemp("methods")
    keys = {"dataset": "shapes", "noise": "blue", "levels": [40], "size": 16}
    keys |= {"probe": 2, "verified": 2}
    build(recipe.parse_recipe(keys, "test"), Inputs(tiny(folder / "root")), folder / "shapes")
    rows = load_dataset(str(folder / "shapes"), CONFIG, split="train", cache_dir=str(folder / "hf"))
    return folder / "shapes", rows["is_noisy"][:]


def count_again(path, is_noisy, mark):
    """Precision, recall and the number of examples, one example after the other."""
    records = [record for record in pq.read_table(path).to_pylist() if record["weight"] is not None]
    mean = math.fsum(record["weight"] for record in records) / len(records)
    marked = []
    for record in records:
        is_marked = {
            "removed": record["weight"] == 0,
            "down_weighted": record["weight"] < mean / 2,
            "relabelled": record["own"] == 0,
        }
        if is_marked[mark]:
            marked.append(record["row"])
    n_noisy = sum(is_noisy[record["row"]] for record in records)
    if not marked:
        return math.nan, math.nan, len(records)
    n_caught = sum(is_noisy[row] for row in marked)
    return n_caught / len(marked), n_caught / n_noisy, len(records)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_precision_and_recall_are_those_of_counting(built, tmp_path, name):
    """Every method that takes labels for wrong is counted, o2u and incv with what they removed."""
    folder, is_noisy = built
    options = dict(OPTIONS.get(name, {}))
    if "noise_rate" in METHODS[name].requires:
        options["noise_rate"] = 0.4
    Trainer(
        folder,
        CONFIG,
        method=name,
        net=Small,
        preset=PRESET,
        options=options,
        changes={"lr": 0.3} if name.startswith("gce") else {},
        device="cpu",
        out=tmp_path / "run",
        cache=folder.parent / "cache",
        decode_threads=1,
    ).fit()
    (run,) = runs.read_run_folders(tmp_path)
    detections = detect_noise(run, load(folder, CONFIG))
    path = run.folder / "examples.parquet" / "epoch-0006.parquet"

    assert tuple(detections) == METHODS[name].marks_noise
    for mark, detection in detections.items():
        again = count_again(path, is_noisy, mark)
        counted = (detection.precision, detection.recall, detection.n_examples)
        assert counted == pytest.approx(again, nan_ok=True)
        assert math.isnan(detection.precision) == (name in TRUSTING), mark
    if name == "o2u":
        assert detections["removed"].n_examples == 64 + 80  # removed, and four batches of the rest
        assert math.isnan(detections["removed"].loss_precision)
