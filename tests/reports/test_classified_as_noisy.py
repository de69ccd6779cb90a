"""The list of what methods classify as noisy."""

import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from datasets import load_dataset

import cnlw_tools as cnlw
from cnlw_tools.builds.build import build
from cnlw_tools.builds.ground_truth import load
from cnlw_tools.cli import main
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs

CONFIG = "blue_40"


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny):
    """A build of blue 40, in several shards."""
    folder = tmp_path_factory.mktemp("taken")
    keys = {"dataset": "shapes", "noise": "blue", "levels": [40], "size": 8, "shard_rows": 40}
    build(recipe.parse_recipe(keys, "test"), Inputs(tiny(folder / "root")), folder / "shapes")
    return folder / "shapes"


@pytest.fixture
def make_run(built, tmp_path, run_maker):
    """Make a run that recorded some numbers of its examples in a random order."""
    truth = load(built, CONFIG)
    n = len(truth.noisy)

    def make(name, marks, weight, own, data=truth.digest):
        common = {"build": str(built), "config": CONFIG, "data": {"train": data}}
        folder = run_maker(tmp_path / "runs" / name, [50.0], marks_noise=marks, **common)
        (folder / "examples.parquet").mkdir()
        order = np.random.default_rng(0).permutation(n)
        loss = np.where(weight == 0, np.nan, np.arange(n) / 8)
        columns = {"row": np.arange(n), "loss": loss, "weight": weight, "own": own}
        table = pa.table({key: pa.array(values[order]) for key, values in columns.items()})
        pq.write_table(table, folder / "examples.parquet" / "epoch-0001.parquet")
        return folder

    return make


def test_rows_are_named_by_their_images(built, make_run):
    """One by one, as `datasets` reads them; a verdict is what the method declares."""
    rows = load_dataset(str(built), CONFIG, split="train", cache_dir=str(built.parent / "cache"))
    n = len(rows)
    number = np.arange(n)
    weight = np.where(number % 5 == 0, 0.0, np.where(number % 7 == 0, 0.1, 1.0))
    own = np.where(number % 3 == 0, 0.0, 1.0)
    folder = make_run("a/x", ["removed", "relabelled"], weight, own)
    expected = []
    for i in range(n):
        words = ["removed"] * (i % 5 == 0) + ["relabelled"] * (i % 3 == 0)
        if words:
            name = rows.features["label"].names[rows[i]["label"]]
            expected.append((i, rows[i]["image_id"], name, " and ".join(words), weight[i]))
    found = cnlw.Run(folder).classified_as_noisy

    columns = ["row", "image_id", "given_label", "verdict", "weight"]
    assert list(found[columns].itertuples(index=False, name=None)) == expected
    assert set(found["run"]) == {"x"}
    assert list(found["loss"].isna()) == [row % 5 == 0 for row in found["row"]]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_command_lists_all_runs(make_run, tmp_path, built, ending):
    """A run whose build has changed is a note, and the others are listed."""
    n = len(load(built, CONFIG).noisy)
    low = np.where(np.arange(n) < 4, 0.25, 1.0)
    make_run("low", ["down_weighted"], low, np.ones(n))
    make_run("none", ["down_weighted"], np.ones(n), np.ones(n))
    make_run("other", ["down_weighted"], low, np.ones(n), data="0" * 64)
    path = tmp_path / f"noisy.{ending}"
    done = CliRunner().invoke(main, ["report", str(tmp_path / "runs"), "--list-noisy", str(path)])
    found = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)

    assert done.exit_code == 0, done.output
    assert f"{path}: 4 examples classified as noisy" in done.stdout
    assert "note: other: no list of what its method classifies as noisy" in done.stderr
    assert list(found["run"]) == ["low"] * 4
    assert list(found["row"]) == [0, 1, 2, 3]
    assert list(found["verdict"]) == ["down_weighted"] * 4


def test_the_list_is_put_at_an_address(make_run, tmp_path, built, memory):
    """It is that of a file of this machine; a bad address is an error before the report."""
    n = len(load(built, CONFIG).noisy)
    make_run("low", ["down_weighted"], np.where(np.arange(n) < 4, 0.25, 1.0), np.ones(n))
    command = ["report", str(tmp_path / "runs"), "--list-noisy"]
    for place in (str(tmp_path / "noisy.csv"), "memory://bucket/noisy.csv"):
        done = CliRunner().invoke(main, [*command, place])
        assert f"{place}: 4 examples classified as noisy" in done.stdout
    assert (tmp_path / "noisy.csv").read_bytes() == memory.cat_file("/bucket/noisy.csv")

    shutil.rmtree(tmp_path / "runs" / "report")
    done = CliRunner().invoke(main, [*command, "memory://noisy.csv"])
    assert done.exit_code == 1
    assert "memory://noisy.csv names no file: give memory://BUCKET/NAME" in done.output
    assert not (tmp_path / "runs" / "report").exists()


def test_another_ending_is_an_error_before_the_report(make_run, tmp_path, built):
    """Nothing is written."""
    n = len(load(built, CONFIG).noisy)
    make_run("low", ["removed"], np.ones(n), np.ones(n))
    done = CliRunner().invoke(main, ["report", str(tmp_path / "runs"), "--list-noisy", "x.txt"])

    assert done.exit_code == 1
    assert (
        "x.txt: the list is written as .csv or .parquet: give a name with one of these endings"
        in done.output
    )
    assert not (tmp_path / "runs" / "report").exists()
