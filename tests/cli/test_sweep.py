"""``cnlw sweep``, as a user types it."""

import json
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from cnlw_tools import executor
from cnlw_tools.cli import main
from cnlw_tools.executor.signals import Interrupted
from cnlw_tools.study import sweep
from cnlw_tools.study.sweep import plan_sweep
from cnlw_tools.study.workers import Outcome

STUDY = """# Two methods
dataset = "shapes"
seeds = [0, 1]
[[configs]]
noise = "blue"
levels = [40]
[[methods]]
name = "vanilla"
[[methods]]
name = "mixup"
grid = { alpha = [1, 8] }
"""


@pytest.fixture
def cnlw(tmp_path, monkeypatch):
    """Call it on a study of six runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.toml").write_text(STUDY)
    return lambda *arguments: CliRunner().invoke(main, ["sweep", "toy.toml", *arguments])


def outcomes(*states):
    """What a sweep yields, these states in turn."""

    def run(plan, jobs, workers, progress, watch, cluster):
        figures = {"epochs": 3, "last": 50.0, "best": 60.0, "mean10": 55.0}
        for run, state in zip(plan.runs, states, strict=False):
            yield Outcome(
                run,
                state,
                figures if state in ("done", "skipped") else {},
                "" if state == "done" else "why",
                130 if state in ("stopped", "undone") else 0,
            )

    return run


def test_a_dry_run_prints_the_runs_and_writes_nothing(cnlw, tmp_path):
    """Six, of which nothing ran that time could be estimated by."""
    lines = cnlw("--dry-run").stdout.splitlines()

    assert lines[0] == "todo  blue_40/vanilla_s0"
    assert lines[-1] == "6 runs, 6 to do: the time is known once an epoch has run"
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_without_a_scale_prints_every_scale():
    """What fits a laptop and what the paper did; a sweep that trains has to be told which."""
    lines = CliRunner().invoke(main, ["sweep", "jiang_levels", "--dry-run"]).stdout.splitlines()
    scales = [line for line in lines if line.startswith("--scale")]

    assert scales == ["--scale small:", "--scale paper:"]
    assert CliRunner().invoke(main, ["sweep", "jiang_levels"]).exit_code == 1


def test_a_dry_run_of_builds_alone(cnlw, tmp_path):
    """Where nothing is trained, there is no time to estimate."""
    study = 'methods = []\ndataset = "shapes"\nconfigs = [{ noise = "blue", levels = [40] }]\n'
    (tmp_path / "toy.toml").write_text(study)

    assert cnlw("--dry-run").stdout.splitlines() == [
        "todo  blue_40",
        "1 run, 1 to do: only builds, no training",
    ]


@pytest.mark.parametrize(("arguments", "keeps_best"), [([], False), (["--keep-best"], True)])
def test_the_option_of_train_reaches_every_run(cnlw, monkeypatch, arguments, keeps_best):
    """The weights of the best epochs are kept if that is asked for."""
    seen = []

    def run(plan, *others):
        seen.append(plan.paths.keep_best)
        return iter(())

    monkeypatch.setattr(sweep, "run_sweep", run)
    cnlw(*arguments)

    assert seen == [keeps_best]


def test_a_shard_is_a_machines_share(cnlw):
    """Every third cell from the second on."""
    lines = cnlw("--dry-run", "--shard", "2/3").stdout.splitlines()

    assert lines[:-1] == ["todo  blue_40/vanilla_s1", "todo  blue_40/mixup_alpha-8_s0"]


def test_a_cluster_says_how_many_runs_it_trains(cnlw):
    """So --jobs is refused, before anything is asked of it."""
    done = cnlw("--engine", "dask://h:1", "--jobs", "2")

    assert done.exit_code == 1
    assert "--jobs 2 cannot be used together with --engine dask://h:1: the cluster" in done.stderr


def test_a_dry_run_needs_no_cluster(cnlw):
    """It only says what would be done; an engine that does not exist is an error all the same."""
    assert cnlw("--dry-run", "--engine", "dask://h:1").exit_code == 0
    assert "unknown engine 'dusk'" in cnlw("--dry-run", "--engine", "dusk").stderr


def test_a_cluster_makes_the_runs(cnlw, tmp_path, monkeypatch):
    """Its device is decided before, and it is closed behind them."""
    events = []

    class Cluster:
        """Has two GPUs."""

        gpus, workers = 2, 8

        def check_folder(self, folder: Path) -> None:
            """Be sure that workers see a folder."""
            events.append(f"check {folder.name}")

    @contextmanager
    def open_cluster(workers=None, address="", modules=()):
        events.append(f"open {address}")
        try:
            yield Cluster()
        finally:
            events.append("close")

    def run(plan, jobs, workers, progress, watch, cluster):
        events.append(f"{plan.paths.device} {cluster.gpus}")
        return iter(())

    monkeypatch.setattr(executor, "pick", lambda *_: open_cluster)
    monkeypatch.setattr(sweep, "plan_sweep", lambda *_: plan_sweep(*_[:3]))
    monkeypatch.setattr(sweep, "run_sweep", run)
    (tmp_path / "shared").mkdir()
    cnlw("--engine", "dask://h:1", "--builds", "shared/builds")

    assert events == ["open h:1", "check shared", "cuda 2", "close"]


def test_what_was_estimated_is_said(cnlw, monkeypatch):
    """In minutes, of as many runs at once."""
    monkeypatch.setattr(sweep, "estimate_seconds", lambda runs, paths: 240.0)

    assert (
        cnlw("--dry-run", "--jobs", "2").stdout.splitlines()[-1]
        == "6 runs, 6 to do: about 2 min of training"
    )


def test_runs_are_told_as_they_come_and_failed_ones_in_the_end(cnlw, monkeypatch, tmp_path):
    """Exit code 1; the study is noted beside the runs."""
    monkeypatch.setattr(sweep, "run_sweep", outcomes("skipped", "done", "failed"))
    done = cnlw("--out", "mine")

    assert done.exit_code == 1
    assert done.stdout.splitlines()[2:4] == [
        "   2/6 done    blue_40/vanilla_s1",
        "       last 50.00 %  best 60.00 %  mean of the last 3: 55.00 %",
    ]
    assert done.stdout.splitlines()[-1] == "mine: 1 done, 1 skipped, 1 failed, 0 stopped, 3 undone"
    assert done.stdout.count("why") == 2  # of the skipped, and of the failed
    assert done.stderr.splitlines()[0] == "failed: blue_40/mixup_alpha-1_s0"
    noted = json.loads((tmp_path / "mine" / "study.json").read_text())
    assert len(noted["cells"]) == 6


def test_an_interrupted_sweep_says_what_is_undone(cnlw, monkeypatch):
    """Though no run was stopped: the signal came in the last epoch of one."""
    monkeypatch.setattr(sweep, "run_sweep", outcomes("done", *["undone"] * 5))
    done = cnlw()

    assert done.exit_code == 130
    assert done.stdout.splitlines()[-1].endswith("1 done, 0 skipped, 0 failed, 0 stopped, 5 undone")
    assert " ".join(done.stderr.split()) == (
        "undone: blue_40/vanilla_s1, blue_40/mixup_alpha-1_s0, blue_40/mixup_alpha-1_s1, "
        "blue_40/mixup_alpha-8_s0, blue_40/mixup_alpha-8_s1 "
        "stopped: run the same command again to resume"
    )
    assert max(map(len, done.output.splitlines())) <= 80


@pytest.mark.parametrize(
    ("states", "code"), [(["done"] * 6, 0), (["done", "failed", "stopped"], 130)]
)
def test_exit_codes(cnlw, monkeypatch, states, code):
    """0 when all is done, that of the signal when it was asked to stop."""
    monkeypatch.setattr(sweep, "run_sweep", outcomes(*states))

    assert cnlw().exit_code == code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard", "7"], "write it as 2/5"),
        (["--scale", "small"], "no scale 'small': the study has none, so leave it out"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(cnlw, arguments, message):
    """Exit code 1, no traceback."""
    done = cnlw(*arguments)

    assert done.exit_code == 1
    assert message in done.output
    assert len(done.output.splitlines()) == 1


def test_studies_are_listed(cnlw):
    """By their first lines; an unknown one is an error that says so."""
    listed = CliRunner().invoke(main, ["list", "studies"]).stdout
    unknown = CliRunner().invoke(main, ["sweep", "jiang_level"])

    assert "jiang_levels             Jiang et al. (2020), training from scratch" in listed
    assert "unknown study 'jiang_level'. Did you mean 'jiang_levels'" in unknown.output


def test_what_cannot_work_is_said_once_before_anything(cnlw, tmp_path):
    """For all six runs in one line; nothing is written, with or without --dry-run."""
    (tmp_path / "toy.toml").write_text('preset = "shpes"\n' + STUDY)
    for arguments in ([], ["--dry-run"]):
        done = cnlw(*arguments)

        assert done.exit_code == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("cannot start: all 6 runs: ")
        assert "Did you mean 'shapes'" in line
    assert done.stdout.splitlines()[0] == "fails blue_40/vanilla_s0"
    assert {path.name for path in tmp_path.iterdir()} == {"toy.toml"}


def test_a_dry_run_says_which_runs_are_the_same(cnlw, tmp_path):
    """They are trained once."""
    study = STUDY.replace("[40]", "[0]") + '[[configs]]\nnoise = "red"\nlevels = [0]\n'
    (tmp_path / "toy.toml").write_text(study)

    assert "same  red_00/vanilla_s0   as blue_00/vanilla_s0" in cnlw("--dry-run").stdout


def test_a_reason_that_many_share_is_printed_once(cnlw, monkeypatch):
    """The others refer to the first."""
    monkeypatch.setattr(sweep, "run_sweep", outcomes(*["failed"] * 6))
    done = cnlw()

    assert done.exit_code == 1
    assert done.output.count("why") == 1
    assert "   2/6 failed  blue_40/vanilla_s1  as blue_40/vanilla_s0" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", ["plan_sweep", "run_sweep"])
def test_a_signal_at_any_moment_is_no_success(cnlw, monkeypatch, number, place):
    """While it checks, builds or reports: 130 or 143, and what to do."""

    def interrupt(*_):
        signal.raise_signal(number)

    monkeypatch.setattr(sweep, place, interrupt)
    done = cnlw()

    assert done.exit_code == 128 + number
    assert done.stderr.splitlines()[-1].startswith("stopped: run the same command again")


def test_a_signal_in_the_last_epoch_of_the_last_run_is_no_success_either(cnlw, monkeypatch):
    """Though all runs are done, and it says so."""

    def run(plan, *_):
        yield from outcomes(*["done"] * 6)(plan, *_)
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr(sweep, "run_sweep", run)
    done = cnlw()

    assert done.exit_code == 143
    assert done.stderr == "stopped: all runs are done\n"
