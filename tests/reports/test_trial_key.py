"""What makes two runs one trial."""

import json
import shutil

import pytest

from cnlw_tools.reports import runs
from cnlw_tools.reports.trials import best_trials, group_trials

OTHER_DATA = {"train": "2" * 64, "validation": "3" * 64}
OLD_KEYS = ("split", "architecture", "marks_noise")


def read_trials(folder):
    """All trials of a folder, copies left out; and what was said about copies."""
    run_folders, sentences = runs.drop_copies(runs.read_run_folders(folder))
    return group_trials(runs.make_runs_table(run_folders)), sentences


@pytest.mark.parametrize(
    ("changes", "datasets", "methods"),
    [
        ({"weights": "ab" * 32}, ["toy"], ["vanilla", "vanilla weights=abababab"]),
        (
            {"build": "b32/toy", "data": OTHER_DATA},
            ["b32/toy", "builds/toy"],
            ["vanilla"],
        ),
        ({"split": "probe"}, ["toy"], ["vanilla", "vanilla split=probe"]),
        ({"options": {"predict": "mean"}}, ["toy"], ["vanilla", "vanilla predict=mean"]),
        ({"ranks": 2}, ["toy"], ["vanilla ranks=1", "vanilla ranks=2"]),
        ({"net": "mlp2"}, ["toy"], ["vanilla net=mlp1", "vanilla net=mlp2"]),
        ({"preset": {"epochs": 3, "lr": 0.1, "size": 32}}, ["toy"], ["vanilla"]),
        ({"preset": {"epochs": 4, "lr": 0.1}}, ["toy"], ["vanilla"]),
        ({"options": {"alpha": 1}}, ["toy"], ["vanilla"]),
        ({"method": "mixup"}, ["toy"], ["mixup", "vanilla"]),
        ({"pretrained": True}, ["toy"], ["vanilla"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_whatever_decides_over_the_numbers_makes_another_trial(
    tmp_path, run_maker, changes, datasets, methods
):
    """Seed 0 and seed 1 differ in one thing more, so there is no mean of the two."""
    run_maker(tmp_path / "a", [10.0], seed=0)
    run_maker(tmp_path / "b", [30.0], seed=1, **changes)
    trials, sentences = read_trials(tmp_path)

    assert sorted(trial.results["last"].mean for trial in trials) == [10, 30]
    assert {trial.results["last"].n for trial in trials} == {1}
    assert sorted({trial.dataset for trial in trials}) == datasets
    assert sorted({trial.method for trial in trials}) == methods
    assert sentences == []


def test_functions_of_one_name_are_networks_by_their_layers(tmp_path, run_maker):
    """Two lambdas are two networks, and two seeds of one of them are one trial."""
    for seed, digest in enumerate(["1a" * 32, "2b" * 32, "2b" * 32]):
        run_maker(
            tmp_path / f"s{seed}", [50.0 + seed], net="<lambda>", architecture=digest, seed=seed
        )
    trials, _ = read_trials(tmp_path)

    assert [(trial.method, trial.results["last"].n) for trial in trials] == [
        ("vanilla net=<lambda> 1a1a1a1a", 1),
        ("vanilla net=<lambda> 2b2b2b2b", 2),
    ]


def test_a_build_that_was_replaced_in_its_place_is_other_data(tmp_path, run_maker):
    """Its path is the same, and its digests are not; the trial names the digest."""
    run_maker(tmp_path / "a", [10.0], seed=0)
    run_maker(tmp_path / "b", [30.0], seed=1, data=OTHER_DATA)
    trials, _ = read_trials(tmp_path)

    assert [trial.results["last"].n for trial in trials] == [1, 1]
    assert all(trial.method.startswith("vanilla data=") for trial in trials)
    assert len(best_trials(trials)) == 2


def test_a_run_of_labels_by_an_older_version_is_not_pooled(tmp_path, run_maker):
    """It did not record its split, but its training data have the digest of the probe."""
    run_maker(tmp_path / "a", [10.0], seed=0)
    data = {"train": "7" * 64, "validation": "1" * 64}
    run_maker(tmp_path / "labels", [30.0], seed=1, data=data)
    trials, _ = read_trials(tmp_path)

    assert [trial.results["last"].n for trial in trials] == [1, 1]


@pytest.mark.parametrize("build", ["elsewhere/toy", "builds/renamed"])
def test_a_build_that_was_moved_or_renamed_is_the_same_data(tmp_path, run_maker, build):
    """The digests count, and not the name of the folder."""
    run_maker(tmp_path / "a", [10.0], seed=0)
    run_maker(tmp_path / "b", [30.0], seed=1, build=build)
    ((trial,), _) = read_trials(tmp_path)

    assert (trial.dataset, trial.results["last"].n) == ("toy", 2)


def test_builds_of_a_study_keep_their_names(tmp_path, run_maker):
    """A study plans cells for both, though their data are the same at this level."""
    run_maker(tmp_path / "a", [10.0], build=str(tmp_path / "builds" / "one"))
    run_maker(tmp_path / "b", [30.0], build=str(tmp_path / "builds" / "two"))
    study_builds = {(tmp_path / "builds" / name).resolve() for name in ("one", "two")}
    run_folders = runs.read_run_folders(tmp_path, study_builds=study_builds)

    assert [run.dataset for run in run_folders] == ["one", "two"]


def test_a_holdout_is_no_other_data(tmp_path, run_maker):
    """Methods that keep one load it beside the training set, whose digest is that of all of it."""
    run_maker(tmp_path / "a", [10.0])
    data = {"train": "0" * 64, "validation": "1" * 64, "holdout": "0" * 64}
    run_maker(tmp_path / "b", [30.0], method="incv", data=data)
    trials, _ = read_trials(tmp_path)

    assert [trial.method for trial in trials] == ["incv", "vanilla"]


def test_copies_of_a_folder_count_once(tmp_path, run_maker):
    """Five seeds and their backup are five seeds, and each copy is named."""
    for seed in range(5):
        run_maker(tmp_path / "s" / f"s{seed}", [40.0 + seed], seed=seed)
    shutil.copytree(tmp_path / "s", tmp_path / "a" / "backup")
    ((trial,), sentences) = read_trials(tmp_path)

    assert trial.results["last"][::2] == (42, 5)
    assert sentences[0] == "a/backup/s0: a copy of s/s0, so it does not count"
    assert len(sentences) == 5


def test_the_same_run_again_counts_once(tmp_path, run_maker):
    """It took another time and was written by another version, but its numbers are the same."""
    run_maker(tmp_path / "a", [40.0])
    again = run_maker(tmp_path / "b", [40.0], command=["cnlw", "sweep"], split="train")
    metrics = json.loads((again / "metrics.jsonl").read_text())
    (again / "metrics.jsonl").write_text(json.dumps(metrics | {"seconds": 9.0}) + "\n")
    ((trial,), sentences) = read_trials(tmp_path)

    assert trial.results["last"].n == 1
    assert len(sentences) == 1


def test_a_copy_of_a_run_of_the_study_is_the_one_that_does_not_count(tmp_path, run_maker):
    """The order of names would keep the copy, which the study does not know."""
    for name in ("backup/blue_40", "blue_40"):
        run_maker(tmp_path / name, [40.0])
    kept, _ = runs.drop_copies(runs.read_run_folders(tmp_path), {"blue_40"})

    assert [run.name for run in kept] == ["blue_40"]


def test_a_run_of_one_stage_is_told(tmp_path, run_maker):
    """Of a method in stages, one epoch is less than the method; of others it is a short run."""
    run_maker(tmp_path / "glc_1", [40.0], method="glc", is_staged=True)
    run_maker(tmp_path / "glc_2", [40.0, 50.0], method="glc", is_staged=True)
    run_maker(tmp_path / "vanilla_1", [40.0], is_staged=False)

    assert runs.describe_single_stages(runs.read_run_folders(tmp_path)) == [
        "glc_1: one epoch is one stage of glc: the result is not that of the method"
    ]


def test_a_seed_with_two_different_runs_is_not_averaged(tmp_path, run_maker):
    """The report says which seed and which runs, and what to do."""
    for name, accuracy in (("a", 50.0), ("b", 60.0)):
        run_maker(tmp_path / name, [accuracy])
    run_maker(tmp_path / "c", [70.0], seed=1)
    ((trial,), _) = read_trials(tmp_path)

    assert trial.results == {}
    assert trial.problem == (
        "toy, blue_40, vanilla: seed 0 has 2 runs with different numbers (a, b): not averaged. "
        "Keep one run of each seed, all of one length"
    )


def test_runs_of_unlike_length_are_not_averaged(tmp_path, run_maker):
    """Two runs were asked for the same, and one has an epoch more."""
    run_maker(tmp_path / "a", [50.0, 60.0])
    run_maker(tmp_path / "b", [50.0, 60.0, 70.0], seed=1)
    ((trial,), _) = read_trials(tmp_path)

    assert trial.results == {}
    assert "the runs differ in their number of epochs (a has 2, b has 3)" in trial.problem


def test_a_run_that_has_not_ended_is_no_second_run_of_its_seed(tmp_path, run_maker):
    """It was begun again elsewhere, and it has no result to average."""
    run_maker(tmp_path / "a", [50.0, 60.0])
    run_maker(tmp_path / "b", [50.0], ended=False)
    ((trial,), _) = read_trials(tmp_path)

    assert (trial.problem, trial.results["last"].n) == ("", 1)


def test_runs_of_older_versions_are_read(tmp_path, run_maker):
    """They do not record their split, the layers of their network or how their method marks."""
    config = runs.read_run_folders(run_maker(tmp_path / "a", [50.0]).parent)[0].config

    assert [getattr(config, key) for key in OLD_KEYS] == [None] * 3


@pytest.mark.parametrize("net", ["mlp1", "<lambda>"])
def test_methods_and_networks_of_one_name_are_told_apart_by_their_code(tmp_path, run_maker, net):
    """Seed 0 ran with other code than seeds 1 and 2, which are one trial."""
    for seed, code in enumerate(["1a" * 32, "2b" * 32, "2b" * 32]):
        run_maker(
            tmp_path / f"s{seed}", [50.0 + seed], method="Mine", net=net, code=code, seed=seed
        )
    run_maker(tmp_path / "vanilla", [40.0])
    trials, _ = read_trials(tmp_path)

    means = {trial.method: trial.results["last"].mean for trial in trials}
    suffix = "" if net == "mlp1" else " net=<lambda>"
    assert {name.removesuffix(suffix): mean for name, mean in means.items()} == {
        "Mine code=1a1a1a1a": 50,
        "Mine code=2b2b2b2b": 51.5,
        "vanilla" if net == "mlp1" else "vanilla net=mlp1": 40,
    }


def test_the_code_of_one_method_is_no_part_of_its_name(tmp_path, run_maker):
    """Beside a method of the package, which has none, it is called by its name alone."""
    run_maker(tmp_path / "a", [50.0], method="Mine", code="1a" * 32)
    run_maker(tmp_path / "b", [40.0])
    trials, _ = read_trials(tmp_path)

    assert sorted(trial.method for trial in trials) == ["Mine", "vanilla"]
