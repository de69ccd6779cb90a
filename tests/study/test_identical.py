"""Runs that are the same under two names are trained once."""

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cnlw_tools.executor import SERIAL
from cnlw_tools.executor.work_shard import WorkShard
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.run_files import read_config
from cnlw_tools.reports.runs import read_run_folders
from cnlw_tools.study import workers
from cnlw_tools.study.expand import expand_study
from cnlw_tools.study.spec import parse_study
from cnlw_tools.study.sweep import find_result, plan_sweep, run_sweep
from cnlw_tools.study.workers import SweepPaths

PRESET = 'net = "mlp1"\nepochs = 1\nbatch_size = 40\nlr = 0.01\nsize = 8\n'
STUDY = {
    "dataset": "shapes",
    "configs": [
        {"noise": "blue", "levels": [0, 40], "size": 8},
        {"noise": "red", "levels": [0, 40], "size": 8},
    ],
    "methods": [{"name": "vanilla"}],
}


@contextmanager
def here(workers):
    """Run tasks in this process."""
    yield SERIAL


@pytest.fixture(scope="module")
def swept(tmp_path_factory, tiny):
    """Where the study was run, its runs, what became of them, and which were trained."""
    folder = tmp_path_factory.mktemp("identical")
    root = tiny(folder / "root")
    (root / "pipelines" / "train" / "shapes.toml").write_text(PRESET)
    paths = SweepPaths(
        folder / "runs", Inputs(root), folder / "builds", device="cpu", cache=folder / "cache"
    )
    runs = expand_study(parse_study(STUDY, "test"), root)
    trained = []
    train = workers.train_run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers.local, "isolated", here)
        patch.setattr(workers, "train_run", lambda job: trained.append(job.run.name) or train(job))
        outcomes = {o.run.name: o for o in run_sweep(plan_sweep(runs, paths))}
    return paths, runs, outcomes, trained


def test_both_have_the_numbers_of_the_one_that_was_trained(swept):
    """Red and blue noise of 0 % are the same images and labels; of 40 % they are not."""
    paths, _, outcomes, trained = swept

    assert trained == ["blue_00/vanilla_s0", "blue_40/vanilla_s0", "red_40/vanilla_s0"]
    assert {outcome.state for outcome in outcomes.values()} == {"done"}
    copy, original = outcomes["red_00/vanilla_s0"], outcomes["blue_00/vanilla_s0"]
    assert copy.result == original.result
    assert copy.reason == "the same run as blue_00/vanilla_s0"
    runs = {run.name: run for run in read_run_folders(paths.out)}
    assert runs["red_00/vanilla_s0"].history == runs["blue_00/vanilla_s0"].history
    assert runs["red_00/vanilla_s0"].config.config == "red_00"
    assert runs["red_00/vanilla_s0"].config.noise == "red"
    assert runs["red_00/vanilla_s0"].config.copied_from == "blue_00/vanilla_s0"


def test_what_they_learn_from_has_one_digest(swept):
    """The sweep knew it from the plans; the trainer's own digests of images and labels agree."""
    paths, runs, _, _ = swept
    blue, red = (read_config(paths.out / f"{name}_00/vanilla_s0").data for name in ("blue", "red"))
    patched = replace(paths, out=paths.out.parent / "again")
    red_run = next(run for run in runs if run.config == "red_00")
    workers.train_run(workers.RunJob(red_run, patched, 0, None))

    assert blue == red == read_config(patched.out / red_run.name).data
    results = [find_result(red_run, place) for place in (paths, patched)]
    assert results[0] == results[1]


def test_a_finished_sweep_is_skipped(swept):
    """The copy counts as finished."""
    paths, runs, _, _ = swept

    assert len(plan_sweep(runs, paths).results) == 4


def test_a_lost_copy_is_made_again_from_the_finished_one(swept, monkeypatch):
    """Nothing is trained, whichever of the two is lost."""
    paths, runs, _, _ = swept
    monkeypatch.setattr(workers.local, "isolated", None)
    for name in ("red_00/vanilla_s0", "blue_00/vanilla_s0"):
        (paths.out / name / "result.json").unlink()
        states = {o.run.name: o.state for o in run_sweep(plan_sweep(runs, paths))}
        assert states[name] == "done"
        assert json.loads((paths.out / name / "result.json").read_text())


def test_machines_share_out_alike_and_keep_the_same_runs_together(swept, tmp_path):
    """Whether a machine has the builds already or not."""
    paths, runs, _, _ = swept
    parts = []
    for index, place in ((1, paths), (2, replace(paths, builds=tmp_path / "none"))):
        plan = plan_sweep(runs, replace(place, out=tmp_path / "runs"), WorkShard(2, index))
        parts.append([run.name for run in plan.runs])

    assert parts == [
        ["blue_00/vanilla_s0", "red_00/vanilla_s0", "red_40/vanilla_s0"],
        ["blue_40/vanilla_s0"],
    ]


def test_another_seed_method_or_rate_is_another_run(swept):
    """Only what decides nothing may differ."""
    paths, _, _, _ = swept
    study = STUDY | {"seeds": [0, 1], "methods": [{"name": "vanilla"}, {"name": "mixup"}]}
    study["configs"] = [STUDY["configs"][0], STUDY["configs"][1] | {"changes": {"lr": 0.02}}]
    runs = expand_study(parse_study(study, "test"), paths.inputs.root)

    assert all(len(group) == 1 for group in plan_sweep(runs, paths).groups)
