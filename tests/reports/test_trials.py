"""Trials and the best of them."""

from cnlw_tools.reports import runs
from cnlw_tools.reports.trials import (
    best_trials,
    epoch_curves,
    format_options,
    group_trials,
    mean_curve,
    natural_sort_key,
)


def select(trials, config, method):
    """The trials of a method on a config."""
    return [t for t in trials if (t.config, t.method) == (config, method)]


def test_a_trial_is_runs_that_differ_in_the_seed(study):
    """Its result is the mean over two seeds; the run that has not ended does not count."""
    trials = group_trials(runs.make_runs_table(runs.read_run_folders(study)))
    (vanilla,) = select(trials, "blue_40", "vanilla")

    assert vanilla.run_names == ("blue_40/vanilla_s0", "blue_40/vanilla_s1", "blue_40/vanilla_s2")
    assert vanilla.results["last"][::2] == (50.5, 2)
    assert vanilla.results["drop"].mean == 10
    assert (vanilla.family, vanilla.level) == ("blue", 40)


def test_a_study_may_name_the_method_of_a_run(tmp_path, run_maker):
    """The network, which other names show, is then no part of the name."""
    for name, net in (("a", "mlp1"), ("b", "mlp2"), ("c", "mlp2")):
        run_maker(tmp_path / name, [50.0], net=net, method="ieg")
    trials = group_trials(
        runs.make_runs_table(runs.read_run_folders(tmp_path), {"b": "Ours"}), labels=["Ours"]
    )

    assert sorted((t.method, t.run_names) for t in trials) == [
        ("Ours", ("b",)),
        ("ieg net=mlp1", ("a",)),
        ("ieg net=mlp2", ("c",)),
    ]


def test_the_best_trial_has_the_highest_mean(study):
    """It is mixup with alpha = 8 by each of the three rules."""
    trials = group_trials(runs.make_runs_table(runs.read_run_folders(study)))

    assert len(select(trials, "red_40", "mixup")) == 2
    for select_by in ("last", "best", "mean10"):
        (best,) = select(best_trials(trials, select_by), "red_40", "mixup")
        assert best.options == {"alpha": 8}


def test_rules_can_disagree(tmp_path, run_maker):
    """One trial has the higher peak, the other the better last epoch."""
    for alpha, curve in ((1, [90.0, 50.0]), (2, [70.0, 70.0])):
        run_maker(tmp_path / f"a{alpha}", curve, options={"alpha": alpha}, method="mixup")
    trials = group_trials(runs.make_runs_table(runs.read_run_folders(tmp_path)))

    assert [
        best_trials(trials, select_by)[0].options["alpha"] for select_by in ("last", "best")
    ] == [2, 1]


def test_the_first_of_equals_is_best(tmp_path, run_maker):
    """Trials are ordered by their options, whatever the order of folders."""
    for name, alpha in (("z", 1), ("a", 2)):
        run_maker(tmp_path / name, [50.0], options={"alpha": alpha}, method="mixup")

    assert best_trials(group_trials(runs.make_runs_table(runs.read_run_folders(tmp_path))))[
        0
    ].options == {"alpha": 1}


def test_a_variant_is_a_method_of_its_own(tmp_path, run_maker):
    """Networks always are, other options on request."""
    for net in ("mlp1", "mlp2"):
        for alpha in (1, 2):
            run_maker(
                tmp_path / f"{net}{alpha}",
                [50.0],
                net=net,
                options={"alpha": alpha},
                method="mixup",
            )
    table = runs.make_runs_table(runs.read_run_folders(tmp_path))

    assert [t.method for t in best_trials(group_trials(table))] == [
        "mixup net=mlp1",
        "mixup net=mlp2",
    ]
    assert len(best_trials(group_trials(table, variant_options=["alpha"]))) == 4


def test_a_trial_that_has_not_ended_is_never_best(tmp_path, run_maker):
    """It has no result to compare."""
    run_maker(tmp_path / "a", [50.0], ended=False)
    trials = group_trials(runs.make_runs_table(runs.read_run_folders(tmp_path)))

    assert len(trials) == 1
    assert best_trials(trials) == []


def test_a_mean_curve_is_of_runs_that_ended_and_as_long_as_the_shortest(study, run_maker):
    """Of four seeds one has not ended, and one has two epochs alone."""
    run_maker(study / "blue_40" / "vanilla_s3", [52.0, 65.0], config="blue_40", seed=3)
    table = runs.make_runs_table(runs.read_run_folders(study))
    (vanilla,) = select(group_trials(table), "blue_40", "vanilla")

    assert mean_curve(vanilla, epoch_curves(table)) == [(50 + 51 + 52) / 3, (60 + 61 + 65) / 3]


def test_names_are_sorted_by_their_numbers():
    """Decimals are numbers too; words are sorted by their letters."""
    names = ["a20", "a5_clean300", "b", "a5_clean1000", "a0.25", "a0.5", "a"]

    assert sorted(names, key=natural_sort_key) == [
        "a",
        "a0.25",
        "a0.5",
        "a5_clean300",
        "a5_clean1000",
        "a20",
        "b",
    ]


def test_a_matrix_is_cut():
    """Two matrices that begin alike are told apart."""
    texts = {format_options({"q": [[1.0, 0.0] * 40, [0.0, last]]}) for last in (1.0, 0.5)}

    assert len(texts) == 2
    assert all(text.startswith("q=[[1.0, 0.0,") and len(text) < 70 for text in texts)


def test_options_are_shown_in_a_line():
    """Options are sorted, and strings have no quotes."""
    assert (
        format_options({"preset.lr": 0.1, "kind": "hard", "flag": True})
        == "flag=true kind=hard lr=0.1"
    )
