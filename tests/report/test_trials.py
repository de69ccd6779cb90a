"""Trials and the best of them."""

from cnlw_tools.report import runs
from cnlw_tools.report.trials import best, curves, mean_curve, natural, shown, trials


def of(found, config, method):
    """The trials of a method on a config."""
    return [t for t in found if (t.config, t.method) == (config, method)]


def test_a_trial_is_runs_that_differ_in_the_seed(study):
    """Mean over two seeds; the run that has not ended takes no part in it."""
    found = trials(runs.table(runs.load(study)))
    (vanilla,) = of(found, "blue_40", "vanilla")

    assert vanilla.runs == ("blue_40/vanilla_s0", "blue_40/vanilla_s1", "blue_40/vanilla_s2")
    assert vanilla.came_to["last"][::2] == (50.5, 2)
    assert vanilla.came_to["drop"].mean == 10
    assert (vanilla.family, vanilla.level) == ("blue", 40)


def test_a_study_may_name_the_method_of_a_run(tmp_path, run_maker):
    """Then its network, which the others show, is no part of the name."""
    for name, net in (("a", "mlp1"), ("b", "mlp2"), ("c", "mlp2")):
        run_maker(tmp_path / name, [50.0], net=net, method="ieg")
    found = trials(runs.table(runs.load(tmp_path), {"b": "Ours"}), labels=["Ours"])

    assert sorted((t.method, t.runs) for t in found) == [
        ("Ours", ("b",)),
        ("ieg net=mlp1", ("a",)),
        ("ieg net=mlp2", ("c",)),
    ]


def test_the_best_trial_has_the_highest_mean(study):
    """mixup of alpha 8, by what came last as by what was best."""
    found = trials(runs.table(runs.load(study)))

    assert len(of(found, "red_40", "mixup")) == 2
    for rule in ("last", "best", "mean10"):
        (chosen,) = of(best(found, rule), "red_40", "mixup")
        assert chosen.options == {"alpha": 8}


def test_rules_can_disagree(tmp_path, run_maker):
    """One has the higher peak, the other the better end."""
    for alpha, curve in ((1, [90.0, 50.0]), (2, [70.0, 70.0])):
        run_maker(tmp_path / f"a{alpha}", curve, options={"alpha": alpha}, method="mixup")
    found = trials(runs.table(runs.load(tmp_path)))

    assert [best(found, rule)[0].options["alpha"] for rule in ("last", "best")] == [2, 1]


def test_of_equals_the_first_is_chosen(tmp_path, run_maker):
    """In the order of options, whatever the order of folders."""
    for name, alpha in (("z", 1), ("a", 2)):
        run_maker(tmp_path / name, [50.0], options={"alpha": alpha}, method="mixup")

    assert best(trials(runs.table(runs.load(tmp_path))))[0].options == {"alpha": 1}


def test_what_is_apart_is_a_method_of_its_own(tmp_path, run_maker):
    """Networks always, other options if one says so."""
    for net in ("mlp1", "mlp2"):
        for alpha in (1, 2):
            run_maker(
                tmp_path / f"{net}{alpha}",
                [50.0],
                net=net,
                options={"alpha": alpha},
                method="mixup",
            )
    table = runs.table(runs.load(tmp_path))

    assert [t.method for t in best(trials(table))] == ["mixup net=mlp1", "mixup net=mlp2"]
    assert len(best(trials(table, apart=["alpha"]))) == 4


def test_what_has_not_ended_is_not_chosen(tmp_path, run_maker):
    """There is nothing to choose it by."""
    run_maker(tmp_path / "a", [50.0], ended=False)
    found = trials(runs.table(runs.load(tmp_path)))

    assert len(found) == 1
    assert best(found) == []


def test_a_mean_curve_is_of_runs_that_ended_and_as_long_as_the_shortest(study, run_maker):
    """Of four seeds one has not ended; one that has had two epochs."""
    run_maker(study / "blue_40" / "vanilla_s3", [52.0, 65.0], config="blue_40", seed=3)
    table = runs.table(runs.load(study))
    (vanilla,) = of(trials(table), "blue_40", "vanilla")

    assert mean_curve(vanilla, curves(table)) == [(50 + 51 + 52) / 3, (60 + 61 + 65) / 3]


def test_names_are_in_the_order_of_their_numbers():
    """Decimals too; words by their letters."""
    names = ["a20", "a5_clean300", "b", "a5_clean1000", "a0.25", "a0.5", "a"]

    assert sorted(names, key=natural) == [
        "a",
        "a0.25",
        "a0.5",
        "a5_clean300",
        "a5_clean1000",
        "a20",
        "b",
    ]


def test_options_are_shown_in_a_line():
    """Sorted, words bare."""
    assert shown({"preset.lr": 0.1, "kind": "hard", "flag": True}) == "flag=true kind=hard lr=0.1"
