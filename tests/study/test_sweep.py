"""A study, run: two cells on a small build, one of which cannot work."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cnlw_tools.card import metadata
from cnlw_tools.executor import SERIAL
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.study import sweep, workers
from cnlw_tools.study.expand import cells
from cnlw_tools.study.spec import parse_study
from cnlw_tools.study.sweep import part, remaining, result, run
from cnlw_tools.study.workers import Outcome, SweepPaths

PRESET = 'net = "mlp1"\nepochs = 1\nbatch_size = 40\nlr = 0.01\nsize = 8\n'
STUDY = {
    "dataset": "shapes",
    "configs": [{"noise": "blue", "levels": [40], "size": 8}],
    "methods": [
        {"name": "vanilla"},
        {"name": "l2r"},
    ],  # the second wants a probe set, and there is none
}


@contextmanager
def here(workers):
    """Run tasks in this process, and not in one of their own; a test of that stands below."""
    yield SERIAL


@pytest.fixture(scope="module")
def swept(tmp_path_factory, tiny):
    """Where the study was run, its cells, and what became of them."""
    folder = tmp_path_factory.mktemp("sweep")
    root = tiny(folder / "root")
    (root / "pipelines" / "train" / "shapes.toml").write_text(PRESET)
    place = SweepPaths(
        folder / "runs", Inputs(root), folder / "builds", device="cpu", cache=folder / "cache"
    )
    every = cells(parse_study(STUDY, "test"), root)
    sweep.note(parse_study(STUDY, "test"), every, "toy", "", place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers.local, "isolated", here)
        return place, every, list(run(every, place))


def test_what_is_missing_is_built_and_what_fails_is_reported(swept):
    """The other cell has its result."""
    place, _, outcomes = swept
    done, failed = sorted(outcomes, key=lambda o: o.state)

    assert (done.state, failed.state) == ("done", "failed")
    assert (place.builds / "shapes" / "README.md").is_file()
    assert done.result == json.loads((place.out / "blue_40/vanilla_s0/result.json").read_text())
    assert "L2R needs a trusted set" in failed.why


def test_a_finished_cell_is_skipped(swept, monkeypatch):
    """And no process is begun for it; the result is the same."""
    place, every, outcomes = swept
    monkeypatch.setattr(workers.local, "isolated", None)
    (again,) = run(every[:1], place)

    assert again.state == "skipped"
    assert again.result in [o.result for o in outcomes]


def test_a_cell_of_other_choices_is_not_taken_for_this_one(swept):
    """The message says what differs; the cell counts as failed."""
    place, every, _ = swept
    other = replace(every[0], changes={"lr": 0.02})
    (outcome,) = run([other], place)

    assert outcome.state == "failed"
    assert "the run there has preset = " in outcome.why
    with pytest.raises(ValueError, match="give another --out"):
        result(other, place)


def test_a_killed_cell_goes_on(swept, tmp_path):
    """From its checkpoint, to the same numbers."""
    place, every, _ = swept
    shutil.copytree(place.out, tmp_path / "runs")
    killed = replace(place, out=tmp_path / "runs")
    before = result(every[0], killed)
    (tmp_path / "runs" / every[0].name / "result.json").unlink()

    assert result(every[0], killed) is None
    assert workers._cell(workers._Job(every[0], killed, 0, None)).result == before


def test_a_build_that_fails_fails_its_cells_alone(swept, tmp_path, monkeypatch):
    """80 % cannot be had; another level of the same noise is built, and trained on."""
    place, _, _ = swept
    place = replace(place, builds=tmp_path / "builds", out=tmp_path / "runs")
    red = {"noise": "red", "levels": [5, 80], "size": 8, "options": {"top": 5}}
    found = cells(
        parse_study(STUDY | {"configs": [red], "methods": [{"name": "vanilla"}]}, "test"),
        place.inputs.root,
    )
    monkeypatch.setattr(
        sweep, "train", lambda cells, paths, jobs: [Outcome(cell, "done", {}) for cell in cells]
    )
    outcomes = {o.cell.level: o for o in run(found, place)}

    assert (outcomes[5].state, outcomes[80].state) == ("done", "failed")
    assert outcomes[80].why.startswith("its build failed: level 80 ")
    assert list(metadata.read_card(tmp_path / "builds" / "shapes").configs) == [found[0].config]


def test_a_cell_without_a_method_is_built_alone(swept, monkeypatch):
    """It is done as soon as its build stands; nothing is trained, and no time is left."""
    place, _, _ = swept
    alone = cells(parse_study(STUDY | {"methods": []}, "test"), place.inputs.root)
    monkeypatch.setattr(workers, "_cell", None)
    (outcome,) = run(alone, place)
    (anew,) = run(alone, replace(place, builds=place.builds.parent / "anew"))

    assert (outcome.state, outcome.result) == ("skipped", {})
    assert anew.state == "done"
    assert remaining(alone, place) == 0


def test_a_process_that_dies_is_a_failed_cell(swept, monkeypatch, tmp_path):
    """As it does when memory runs out."""
    place, every, _ = swept

    def dies(*_, **__):
        raise OSError("a worker process died")

    monkeypatch.setattr(workers.local, "isolated", dies)
    (outcome,) = run(every[:1], replace(place, out=tmp_path))

    assert (outcome.state, outcome.why) == ("failed", "a worker process died")


@pytest.mark.slow
def test_cells_train_in_processes_of_their_own(swept, tmp_path):
    """Two at once, to the same numbers as one."""
    place, every, outcomes = swept
    found = {o.cell.method: o for o in run(every, replace(place, out=tmp_path), jobs=2)}

    assert {method: o.state for method, o in found.items()} == {"vanilla": "done", "l2r": "failed"}
    assert found["vanilla"].result == next(o.result for o in outcomes if o.state == "done")


def test_time_is_estimated_by_what_ran(swept, tmp_path):
    """Nothing for what is done; by the same method, else by all; nothing is known of nothing."""
    place, every, _ = swept
    took = json.loads((place.out / "blue_40/vanilla_s0/metrics.jsonl").read_text())["seconds"]

    assert remaining(every[:1], place) == 0
    assert remaining(every, place) == took  # an epoch of l2r, by one of vanilla
    assert remaining([every[0], replace(every[1], changes={"epochs": 3})], place) == 3 * took
    assert remaining(every, replace(place, out=tmp_path)) is None


def test_machines_share_the_cells():
    """Every cell is one's, and one's alone."""
    parts = [part(list(range(11)), f"{i}/3") for i in (1, 2, 3)]

    assert parts[1] == [1, 4, 7, 10]
    assert sorted(parts[0] + parts[1] + parts[2]) == list(range(11))


@pytest.mark.parametrize("said", ["2", "0/3", "4/3", "a/b", "1/"])
def test_a_share_that_there_is_not(said):
    """The message says how to write it."""
    with pytest.raises(ValueError, match="write it as 2/5"):
        part([], said)
