"""Sentences that say who is ahead."""

import pytest

from cnlw_tools.reports import runs
from cnlw_tools.reports.conclusion import find_conclusions
from cnlw_tools.reports.method_order import sort_trials
from cnlw_tools.reports.tables import result_tables
from cnlw_tools.reports.trials import DatasetConfig, PlannedRun, best_trials, group_trials


def find(folder, planned_runs=()):
    """Return the subjects with their sentences, in one text each."""
    trials = sort_trials(group_trials(runs.make_runs_table(runs.read_run_folders(folder))))
    conclusions = find_conclusions(best_trials(trials), "last", planned_runs, all_trials=trials)
    return {conclusion.subject: " ".join(conclusion.sentences) for conclusion in conclusions}


@pytest.fixture
def finder(tmp_path, run_maker):
    """Write a run for each accuracy, a seed each, and return what is said of them."""

    def write_and_find(accuracies, **changes):
        for config, methods in accuracies.items():
            for method, values in methods.items():
                for seed, value in enumerate(values):
                    folder = tmp_path / config / f"{method}_s{seed}"
                    common = {"config": config, "method": method, "seed": seed}
                    run_maker(folder, [value], **common, **changes)
        return find(tmp_path)

    return write_and_find


@pytest.mark.parametrize(
    ("accuracies", "sentences"),
    [
        (  # two seeds that are a point apart have an interval of ± 6.35
            {"vanilla": [46.0, 47.0], "mixup": [60.0, 61.0]},
            "At level 40, mixup is ahead of vanilla by 14.00 percentage points: 60.50 ± 6.35 % against "
            "46.50 ± 6.35 % (2 seeds each).",
        ),
        (
            {"vanilla": [50.0, 51.0], "mixup": [60.0, 61.0]},
            "At level 40, mixup has the highest mean, 60.50 ± 6.35 %. This is 10.00 percentage "
            "points above the mean of vanilla, 50.50 ± 6.35 % (2 seeds each). The intervals of mixup "
            "and vanilla overlap, so the difference may be due to chance.",
        ),
        (
            {"vanilla": [50.0], "mixup": [60.0]},
            "At level 40, mixup has the highest mean, 60.00 %. This is 10.00 percentage points above "
            "the mean of vanilla, 50.00 % (one seed each). mixup and vanilla have one seed each, so "
            "there is no interval, and the difference may be due to chance.",
        ),
        (
            {"vanilla": [50.0], "mixup": [60.0, 61.0]},
            "At level 40, mixup has the highest mean, 60.50 ± 6.35 %. This is 10.50 percentage "
            "points above the mean of vanilla, 50.00 % (2 seeds against 1). vanilla has one seed, "
            "so there is no interval, and the difference may be due to chance.",
        ),
        (
            {"vanilla": [50.0, 50.0], "mixup": [50.0, 50.0]},
            "At level 40, vanilla and mixup share the highest mean, 50.00 ± 0.00 % (2 seeds each).",
        ),
        (
            {"vanilla": [50.0, 51.0]},
            "The accuracy of vanilla is 50.50 ± 6.35 % at level 40 (2 seeds).",
        ),
        ({"vanilla": [50.0]}, "The accuracy of vanilla is 50.00 % at level 40 (one seed)."),
        (
            {"vanilla": [20.0, 21.0], "gce": [40.0, 41.0], "mixup": [60.0, 61.0]},
            "At level 40, mixup is ahead of the 2 other methods by 20.00 percentage points: 60.50 ± 6.35 % "
            "against 40.50 ± 6.35 % for the runner-up, gce (2 seeds each). Compared with the interval "
            "of vanilla at level 40 (20.50 ± 6.35 %), the intervals of mixup and gce are higher.",
        ),
        (
            {"vanilla": [60.0, 61.0], "gce": [40.0, 41.0], "mixup": [55.0, 56.0]},
            "At level 40, vanilla has the highest mean, 60.50 ± 6.35 %. This is 5.00 percentage "
            "points above the mean of mixup, 55.50 ± 6.35 % (2 seeds each). The intervals of vanilla "
            "and mixup overlap, so the difference may be due to chance. Compared with the interval "
            "of vanilla at level 40 (60.50 ± 6.35 %), the interval of gce is lower and that of "
            "mixup overlaps with it.",
        ),
    ],
)
def test_it_says_who_is_ahead_and_how_surely(finder, accuracies, sentences):
    """By how much, with what spread, over how many seeds; honest where that shows nothing."""
    assert finder({"blue_40": accuracies}) == {"toy, blue": sentences}


def test_levels_with_one_leader_are_one_sentence(finder):
    """It says the widest lead in full, and of the others how wide they are."""
    texts = finder(
        {
            "blue_20": {"vanilla": [60.0, 60.1], "mixup": [70.0, 70.1]},
            "blue_40": {"vanilla": [50.0, 50.1], "mixup": [64.0, 64.1]},
            "blue_60": {"vanilla": [50.0, 59.0], "mixup": [40.0, 50.0]},
            "blue_80": {"vanilla": [50.0, 59.0], "mixup": [60.0, 50.0]},
            "red_20": {"gce": [50.0, 50.1]},
        }
    )

    assert texts == {
        "toy, blue": (
            "At levels 20 and 40, mixup is ahead of vanilla by 10.00 to 14.00 percentage points. "
            "The lead is largest at level 40, with 64.05 ± 0.64 % against 50.05 ± 0.64 % (2 seeds "
            "each). At levels 60 and 80, neither method is ahead, because intervals over seeds "
            "overlap. The highest means are those of vanilla at level 60 and mixup at level 80. They "
            "exceed the second-highest means by 0.50 to 9.50 percentage points."
        ),
        "toy, red": "The accuracy of gce is 50.05 ± 0.64 % at level 20 (2 seeds).",
    }


def test_a_method_above_vanilla_at_a_lower_level_is_named(finder):
    """So it is though another method has the highest mean; a leader is not named again."""
    texts = finder(
        {
            "blue_20": {"vanilla": [20.0, 20.1], "gce": [60.0, 60.1], "mixup": [61.0, 50.0]},
            "blue_40": {"vanilla": [20.0, 20.1], "gce": [60.0, 60.1], "mixup": [70.0, 70.1]},
            "blue_60": {"vanilla": [20.0, 29.0], "gce": [25.0, 20.0], "mixup": [26.0, 21.0]},
        }
    )

    assert texts["toy, blue"].endswith(
        "the interval of vanilla (24.50 ± 57.18 %) overlaps with the intervals of all other methods. "
        "At levels 20 and 40, gce is ahead of vanilla."
    )


def test_one_method_on_several_levels_has_its_range(finder):
    """From the lowest mean to the highest."""
    texts = finder({"blue_20": {"gce": [60.0]}, "blue_40": {"gce": [50.0]}})

    assert texts["toy, blue"] == (
        "The accuracy of gce ranges from 50.00 % at level 40 to 60.00 % at level 20 (one seed each)."
    )


def test_methods_that_never_meet_are_not_compared(finder):
    """Each has a config of its own."""
    texts = finder({"blue_20": {"gce": [60.0]}, "blue_40": {"mixup": [50.0]}})

    assert texts["toy, blue"] == (
        "No two methods have a result on the same config. There are results for gce at level 20 "
        "and mixup at level 40."
    )


def test_configs_without_levels_have_their_names(finder):
    """Their subject is the dataset."""
    texts = finder({"mix": {"gce": [60.0, 60.1], "vanilla": [50.0, 50.1]}}, noise="mix", level=None)

    assert texts["toy"].startswith("On mix, gce is ahead of vanilla by 10.00 percentage points: ")


def test_the_lead_over_the_runner_up_is_a_range_on_several_configs(finder):
    """A sentence of its own says on which config the lead is largest."""
    results = {"vanilla": [50.0, 50.1], "gce": [40.0, 40.1]}
    texts = finder(
        {
            "blue_20": {**results, "mixup": [70.0, 70.1]},
            "blue_40": {**results, "mixup": [64.0, 64.1]},
        }
    )

    assert texts["toy, blue"].startswith(
        "At levels 20 and 40, mixup is ahead of all others; its lead over the runner-up is 14.00 to "
        "20.00 percentage points. The lead is largest at level 20, with 70.05 ± 0.64 % against 50.05 "
        "± 0.64 % for the runner-up, vanilla (2 seeds each)."
    )


def test_what_is_missing_is_said(tmp_path, run_maker):
    """A method that was planned and not run, and one that is not averaged; no result, no conclusion."""
    for name, accuracy in (("a", 50.0), ("b", 60.0)):
        run_maker(tmp_path / name, [accuracy], method="gce")
    for seed in (0, 1):
        run_maker(tmp_path / f"v{seed}", [50.0], seed=seed)
        run_maker(tmp_path / f"m{seed}", [70.0], seed=seed, method="mixup")
    config = DatasetConfig("toy", "blue_40", "blue", 40)
    planned = [PlannedRun(config, "bootstrap"), PlannedRun(config, "mixup")]
    trials = group_trials(runs.make_runs_table(runs.read_run_folders(tmp_path)))
    red = PlannedRun(DatasetConfig("toy", "red_40", "red", 40), "mixup")
    (conclusion,) = find_conclusions(trials, "last", [*planned, red])

    assert conclusion.sentences[0].startswith(
        "At level 40, mixup is ahead of vanilla by 20.00 percentage points"
    )
    assert conclusion.sentences[1:] == [
        "There is no result for bootstrap at level 40 and gce at level 40.",
    ]


def test_unlike_lengths_and_the_choice_of_a_trial_are_said(tmp_path, run_maker):
    """Both make a comparison less than fair."""
    run_maker(tmp_path / "v", [50.0])
    for alpha, accuracy in ((1, 60.0), (8, 70.0)):
        options = {"alpha": alpha}
        run_maker(tmp_path / f"m{alpha}", [1.0, accuracy], method="mixup", options=options)
    text = find(tmp_path)["toy, blue"]

    assert "mixup has the highest mean, 70.00 %." in text
    assert (
        "At level 40, the methods were trained for different numbers of epochs: vanilla for 1; mixup "
        "for 2."
    ) in text
    assert text.endswith(
        "If a method has several trials, the best one is used (2 trials of mixup); it was chosen on "
        "the same validation images."
    )


@pytest.mark.parametrize("gap", [10.0, 12.0, 13.0, 20.0])
def test_ahead_is_what_the_tables_print_in_bold(finder, tmp_path, gap):
    """Intervals of ± 6.35 part when the means are more than 12.7 apart."""
    text = finder({"blue_40": {"vanilla": [50.0, 51.0], "mixup": [50.0 + gap, 51.0 + gap]}})
    trials = group_trials(runs.make_runs_table(runs.read_run_folders(tmp_path)))
    (table,) = result_tables(best_trials(trials), "last")

    assert bool(table.bold) == ("is ahead of vanilla" in text["toy, blue"]) == (gap > 12.7)


def test_unlike_lengths_on_different_configs_are_no_comparison(tmp_path, run_maker):
    """A study may train longer where there are fewer images."""
    run_maker(tmp_path / "a", [50.0], config="blue_20", level=20)
    run_maker(tmp_path / "b", [40.0, 50.0], config="blue_40", level=40)

    assert "numbers of epochs" not in find(tmp_path)["toy, blue"]
