"""A study, run: two runs on a small build, one of which cannot start."""

import json
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cnlw_tools.card import metadata
from cnlw_tools.executor import SERIAL, lease, open_executor
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.run_files import RESULT, read_metrics
from cnlw_tools.study import remote_runs, sweep, workers
from cnlw_tools.study.expand import expand_study
from cnlw_tools.study.spec import parse_study, read_study
from cnlw_tools.study.sweep import (
    estimate_seconds,
    find_result,
    plan_sweep,
    run_sweep,
)
from cnlw_tools.study.workers import Outcome, SweepPaths
from tests.dask_clusters import address_of, in_process_cluster

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
    """Where the study was run, its runs, and what became of them."""
    folder = tmp_path_factory.mktemp("sweep")
    root = tiny(folder / "root")
    (root / "pipelines" / "train" / "shapes.toml").write_text(PRESET)
    place = SweepPaths(
        folder / "runs", Inputs(root), folder / "builds", device="cpu", cache=folder / "cache"
    )
    every = expand_study(parse_study(STUDY, "test"), root)
    sweep.record_study(parse_study(STUDY, "test"), every, "toy", "", place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers.local, "isolated", here)
        return place, every, list(run_sweep(plan_sweep(every, place)))


def test_what_is_missing_is_built_and_what_fails_is_reported(swept):
    """The other run has its result."""
    place, _, outcomes = swept
    done, failed = sorted(outcomes, key=lambda o: o.state)

    assert (done.state, failed.state) == ("done", "failed")
    assert (place.builds / "shapes" / "README.md").is_file()
    assert done.result == json.loads((place.out / "blue_40/vanilla_s0/result.json").read_text())
    assert "L2R needs a trusted set" in failed.reason


def test_a_finished_run_is_skipped(swept, monkeypatch):
    """And no process is begun for it; the result is the same."""
    place, every, outcomes = swept
    monkeypatch.setattr(workers.local, "isolated", None)
    (again,) = run_sweep(plan_sweep(every[:1], place))

    assert again.state == "skipped"
    assert again.result in [o.result for o in outcomes]


def test_a_run_of_other_choices_is_not_taken_for_this_one(swept):
    """The message says what differs; the run counts as failed."""
    place, every, _ = swept
    other = replace(every[0], changes={"lr": 0.02})
    (outcome,) = run_sweep(plan_sweep([other], place))

    assert outcome.state == "failed"
    assert "has preset.lr = 0.01, and the study now has 0.02: use another --out" in outcome.reason
    with pytest.raises(ValueError, match="use another --out"):
        find_result(other, place)


def test_the_weights_of_the_best_epoch_are_kept_if_asked_for(swept, tmp_path, monkeypatch):
    """By every run; one that ended without them is not taken for one that has them."""
    place, every, _ = swept
    monkeypatch.setattr(workers.local, "isolated", here)
    keeping = replace(place, out=tmp_path, keep_best=True)
    (outcome,) = run_sweep(plan_sweep(every[:1], keeping))
    (problem,) = plan_sweep(every[:1], replace(place, keep_best=True)).problems

    assert outcome.state == "done"
    assert (tmp_path / every[0].name / "best.pt").is_file()
    assert find_result(every[0], replace(keeping, keep_best=False)) == outcome.result
    assert "has ended without best.pt: omit --keep-best, or use another --out" in problem.reason


def test_a_killed_run_goes_on(swept, tmp_path):
    """From its checkpoint, to the same numbers."""
    place, every, _ = swept
    shutil.copytree(place.out, tmp_path / "runs")
    killed = replace(place, out=tmp_path / "runs")
    before = find_result(every[0], killed)
    (tmp_path / "runs" / every[0].name / "result.json").unlink()

    assert find_result(every[0], killed) is None
    assert workers.train_run(workers.RunJob(every[0], killed, 0, None)).result == before


def test_a_build_that_fails_fails_its_runs_alone(swept, tmp_path, monkeypatch):
    """80 % cannot be had; another level of the same noise is built, and trained on."""
    place, _, _ = swept
    place = replace(place, builds=tmp_path / "builds", out=tmp_path / "runs")
    red = {"noise": "red", "levels": [5, 80], "size": 8, "options": {"top": 5}}
    found = expand_study(
        parse_study(STUDY | {"configs": [red], "methods": [{"name": "vanilla"}]}, "test"),
        place.inputs.root,
    )
    monkeypatch.setattr(
        sweep, "train_runs", lambda runs, *_, **__: [Outcome(run, "done", {}) for run in runs]
    )
    outcomes = {o.run.level: o for o in run_sweep(plan_sweep(found, place))}

    assert (outcomes[5].state, outcomes[80].state) == ("done", "failed")
    assert outcomes[80].reason.startswith("its data: level 80 ")
    assert list(metadata.read_card(tmp_path / "builds" / "shapes").configs) == [found[0].config]


def test_a_run_without_a_method_is_built_alone(swept, monkeypatch):
    """It is done as soon as its build stands; nothing is trained, and no time is left."""
    place, _, _ = swept
    alone = expand_study(parse_study(STUDY | {"methods": []}, "test"), place.inputs.root)
    monkeypatch.setattr(workers, "train_run", None)
    (outcome,) = run_sweep(plan_sweep(alone, place))
    anew_place = replace(place, builds=place.builds.parent / "anew")
    (anew,) = run_sweep(plan_sweep(alone, anew_place))

    assert (outcome.state, outcome.result) == ("skipped", {})
    assert anew.state == "done"
    assert estimate_seconds(alone, place) == 0


def test_a_process_that_dies_is_a_failed_run(swept, monkeypatch, tmp_path):
    """As it does when memory runs out."""
    place, every, _ = swept

    def dies(*_, **__):
        raise OSError("a worker process died")

    monkeypatch.setattr(workers.local, "isolated", dies)
    (outcome,) = run_sweep(plan_sweep(every[:1], replace(place, out=tmp_path)))

    assert (outcome.state, outcome.reason) == ("failed", "a worker process died")


@pytest.mark.slow
def test_runs_train_in_processes_of_their_own(swept, tmp_path):
    """Two at once, to the same numbers as one."""
    place, every, outcomes = swept
    plan = plan_sweep(every, replace(place, out=tmp_path))
    found = {o.run.method: o for o in run_sweep(plan, jobs=2)}

    assert {method: o.state for method, o in found.items()} == {"vanilla": "done", "l2r": "failed"}
    assert found["vanilla"].result == next(o.result for o in outcomes if o.state == "done")


def test_time_is_estimated_by_what_ran(swept, tmp_path):
    """Nothing for what is done; by the same method, else by all; nothing is known of nothing."""
    place, every, _ = swept
    took = json.loads((place.out / "blue_40/vanilla_s0/metrics.jsonl").read_text())["seconds"]

    assert estimate_seconds(every[:1], place) == 0
    assert estimate_seconds(every, place) == took  # an epoch of l2r, by one of vanilla
    assert estimate_seconds([every[0], replace(every[1], changes={"epochs": 3})], place) == 3 * took
    assert estimate_seconds(every, replace(place, out=tmp_path)) is None


def test_a_cluster_builds_and_trains(swept, tmp_path, monkeypatch, contents):
    """The build has the same bytes; a run trains in a process of its own, beside the worker."""
    pytest.importorskip("distributed", reason="needs the extra dask")
    place, every, _ = swept
    remote = replace(place, out=tmp_path / "runs", builds=tmp_path / "builds")
    monkeypatch.chdir(tmp_path)
    with in_process_cluster(workers=1) as dask, open_executor(address_of(dask)) as cluster:
        found = {o.run.method: o for o in run_sweep(plan_sweep(every, remote), cluster=cluster)}

    assert {method: o.state for method, o in found.items()} == {"vanilla": "done", "l2r": "failed"}
    assert found["vanilla"].result == find_result(every[0], remote)
    assert contents(remote.builds) == contents(place.builds)


KILLED_STUDY = """
dataset = "shapes"
seeds = [0, 1]
configs = [{ noise = "blue", levels = [40], size = 8 }]
methods = [{ name = "vanilla" }]
changes = { epochs = 3 }
"""

# Trains seed 1 up to its second epoch, and then waits, the first time, until it is asked to stop.
HOLD = """
import time
from pathlib import Path
from cnlw_tools.executor.signals import StopRequest
from cnlw_tools.study import remote_runs, workers

def hold(stage, done, total):
    if stage == "epoch 2/3" and not Path("held").exists():
        Path("held").touch()
        while not StopRequest._open[-1].signal:
            time.sleep(0.05)

def train_run(job):
    workers.no_progress = hold if job.run.seed == 1 else workers.no_progress
    return workers.train_run(job)

remote_runs.train_run = train_run
remote_runs.serve_run()
"""


def wait_until_exists(path: Path) -> None:
    """Wait for a file of another process."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


def results_of(run, paths):
    """What a report shows of a run, but for what it took."""
    rows = read_metrics(paths.run_folder(run))
    numbers = [{key: row[key] for key in row if key.startswith(("train_", "val"))} for row in rows]
    predictions = (paths.run_folder(run) / "predictions.parquet").read_bytes()
    return [row["epoch"] for row in rows], numbers, predictions, find_result(run, paths)


@pytest.mark.slow
def test_a_killed_cluster_sweep_is_started_again(swept, tmp_path, monkeypatch):
    """Finished runs stay, and one that still trains is waited for, and then continued."""
    pytest.importorskip("distributed", reason="needs the extra dask")
    place, *_ = swept
    (tmp_path / "study.toml").write_text(KILLED_STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lease, "LEASE_SECONDS", 4.0)
    monkeypatch.setattr(remote_runs, "PROGRAM", HOLD)
    paths = replace(place, out=tmp_path / "runs")
    finished, held = expand_study(read_study(Path("study.toml"), ""), place.inputs.root)
    command = [sys.executable, "-m", "cnlw_tools", "sweep", "study.toml", "--device", "cpu"]
    command += ["--out", "runs", "--builds", place.builds, "--root", place.inputs.root]
    assert workers.train_run(workers.RunJob(finished, paths, 1, None)).state == "done"
    result = paths.run_folder(finished) / RESULT
    written = result.stat().st_mtime_ns
    with in_process_cluster(workers=2) as dask:
        command += ["--cache", place.cache, "--engine", address_of(dask)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            wait_until_exists(tmp_path / "held")
            process.kill()
        with open_executor(address_of(dask)) as cluster:
            outcomes = list(run_sweep(plan_sweep([finished, held], paths), cluster=cluster))

    assert [outcome.state for outcome in outcomes] == ["skipped", "done"]
    assert result.stat().st_mtime_ns == written
    undisturbed = replace(paths, out=tmp_path / "undisturbed")
    assert workers.train_run(workers.RunJob(held, undisturbed, 1, None)).state == "done"
    assert results_of(held, paths) == results_of(held, undisturbed)
