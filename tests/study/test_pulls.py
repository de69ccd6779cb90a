"""A sweep whose builds and runs are at addresses goes on anywhere, to the same files."""

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest

import cnlw_tools as cnlw
from cnlw_tools.executor import SERIAL
from cnlw_tools.executor.work_shard import WorkShard
from cnlw_tools.files.folders import list_names
from cnlw_tools.files.mirror import Mirror
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.study import sweep, workers
from cnlw_tools.study.expand import expand_study
from cnlw_tools.study.spec import parse_study
from cnlw_tools.study.sweep import estimate_seconds, plan_sweep, run_sweep
from cnlw_tools.study.workers import SweepPaths

RUNS, BUILDS = "memory://bucket/runs", "memory://bucket/builds"
PRESET = 'net = "mlp1"\nepochs = 2\nbatch_size = 40\nlr = 0.01\nsize = 8\n'
STUDY = {
    "dataset": "shapes",
    "configs": [{"noise": "blue", "levels": [0]}, {"noise": "symmetric", "levels": [0]}],
    "size": 8,
    "methods": [{"name": "vanilla"}, {"name": "l2r"}],  # the second wants a probe set
}


@contextmanager
def here(workers):
    """Run tasks in this process."""
    yield SERIAL


@pytest.fixture
def study(tmp_path, tiny, memory, monkeypatch):
    """The paths of a sweep at addresses, and its runs."""
    root = tiny(tmp_path / "root")
    (root / "pipelines" / "train" / "shapes.toml").write_text(PRESET)
    monkeypatch.setattr(workers.local, "isolated", here)
    fields = {key: value for key, value in STUDY.items() if key != "size"}
    fields["configs"] = [{**config, "size": STUDY["size"]} for config in STUDY["configs"]]
    parsed = parse_study(fields, "test")
    runs = expand_study(parsed, root)
    paths = SweepPaths(RUNS, Inputs(root), BUILDS, device="cpu", cache=tmp_path / "pixels")

    def run(paths=paths):
        sweep.record_study(parsed, runs, "toy", "", paths)
        return {outcome.run.name: outcome for outcome in run_sweep(plan_sweep(runs, paths))}

    return paths, runs, run


def stored(memory, folder):
    """The names of all files below an address."""
    return {name.removeprefix(f"/bucket/{folder}/") for name in memory.find(f"/bucket/{folder}")}


def test_builds_and_runs_are_put(study, memory, tmp_path, monkeypatch):
    """The files are those of a sweep in folders; nothing is done again on another machine."""
    paths, runs, run = study
    outcomes = run()
    local = replace(paths, out=tmp_path / "runs", builds=tmp_path / "builds")
    run(local)

    assert ["done", "done", "failed", "failed"] == sorted(o.state for o in outcomes.values())
    expected = {name for name in list_names(local.out) if "tfevents" not in name}
    there = {name for name in stored(memory, "runs") if "tfevents" not in name}
    assert expected == there
    assert set(list_names(local.builds)) == stored(memory, "builds")
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "another"))
    times = {name: memory.created(name) for name in memory.find("/bucket/runs")}
    again = run()
    assert ["failed", "failed", "skipped", "skipped"] == sorted(o.state for o in again.values())
    changed = {name for name in times if memory.created(name) != times[name]}
    assert {"failure.json", "study.json"} == {name.rpartition("/")[2] for name in changed}
    assert 0 == estimate_seconds([run for run in runs if run.method == "vanilla"], paths)
    report = cnlw.report(RUNS, tmp_path / "report", root=paths.inputs.root)
    assert "vanilla" in report.page.read_text()


def test_a_killed_run_is_resumed_elsewhere(study, memory, tmp_path, monkeypatch):
    """From its checkpoint, whichever of two runs that are the same had begun."""
    _, _, run = study

    class Killed(BaseException):
        pass

    def kill(*args):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("cnlw_tools.trainer.run.RunWriter.write_result", kill)
        with pytest.raises(Killed):
            run()
    assert not any(name.endswith("result.json") for name in stored(memory, "runs"))
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "another"))
    with monkeypatch.context() as patch:
        patch.setattr(
            "cnlw_tools.trainer.loop.TrainingLoop._train_epoch", lambda *_: pytest.fail("trained")
        )
        outcomes = run()

    done = [name for name, outcome in outcomes.items() if outcome.state == "done"]
    assert 2 == len(done)
    for name in done:
        assert 2 == json.loads(memory.cat_file(f"/bucket/runs/{name}/result.json"))["epochs"]


def test_a_run_that_is_being_trained_is_not_finished(study):
    """A worker of a killed command may hold its mirror; the plan waits for nobody."""
    paths, runs, run = study
    finished = [name for name, outcome in run().items() if outcome.state == "done"]
    with Mirror(f"{RUNS}/{finished[0]}").writing():
        plan = plan_sweep(runs, paths)

    assert [*plan.results] == finished[1:]
    assert [run.name for run in plan.unfinished] == finished[:1]


def test_a_failure_is_forgotten_when_the_run_works(study, memory, monkeypatch):
    """Its file is deleted at the address, too."""
    _, _, run = study

    def fail(*args, **choices):
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("cnlw_tools.trainer.Trainer.fit", fail)
        run()
    assert 4 == sum(name.endswith("failure.json") for name in stored(memory, "runs"))
    run()

    assert 2 == sum(name.endswith("failure.json") for name in stored(memory, "runs"))


def test_mixed_counts_of_shards_at_an_address(study, memory, tmp_path, monkeypatch):
    """Another machine is told, too, before it trains."""
    paths, runs, _ = study
    parsed = parse_study({key: STUDY[key] for key in STUDY if key != "size"}, "test")
    sweep.record_study(parsed, runs, "toy", "", paths, WorkShard(2, 1))
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "another"))

    sweep.record_study(parsed, runs, "toy", "", paths, WorkShard(2, 2))
    with pytest.raises(ValueError, match="shards of 2 and 3 sweeps are mixed"):
        sweep.record_study(parsed, runs, "toy", "", paths, WorkShard(3, 2))
    assert {".cnlw-shard-1-of-2", ".cnlw-shard-2-of-2", "study.json"} == stored(memory, "runs")
