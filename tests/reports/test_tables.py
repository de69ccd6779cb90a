"""Tables of text."""

import pytest

from cnlw_tools.reports import runs
from cnlw_tools.reports.statistics import mean_interval
from cnlw_tools.reports.tables import (
    Table,
    format_mean_interval,
    result_tables,
    to_markdown,
    trials_table,
)
from cnlw_tools.reports.trials import DatasetConfig, PlannedRun, best_trials, group_trials


def read_trials(folder):
    """All trials of a folder."""
    return group_trials(runs.make_runs_table(runs.read_run_folders(folder)))


def test_a_mean_has_its_interval_and_the_number_of_values():
    """One value has no interval."""
    assert format_mean_interval(mean_interval([1.0, 3.0])) == "2.00 ± 12.71 (2)"
    assert format_mean_interval(mean_interval([2.0])) == "2.00 (1)"
    assert format_mean_interval(None) == "–"


def test_results_are_methods_by_level(study):
    """Each kind of noise has a table; only on 40 % do the intervals of both methods part."""
    blue, red = result_tables(best_trials(read_trials(study)), "last")

    assert blue.title == "Last epoch: toy, blue"
    assert blue.header == red.header == ["Method", "0 %", "40 %", "Mean"]
    assert [row[0] for row in blue.rows] == ["vanilla", "mixup"]
    assert blue.rows[0][1:3] == ["80.50 ± 6.35 (2)", "50.50 ± 6.35 (2)"]
    assert blue.rows[0][3].startswith("65.5 ± ")
    assert blue.bold == {(1, 2)}  # 88.5 and 80.5, and 68.5 and 50.5, all ± 6.35


def test_last_best_and_mean_of_ten_are_kept_apart(study):
    """Vanilla on red 40 has 70.5 - 5 = 65.5, 70.5, and (60.5 + 70.5 + 65.5) / 3 = 65.5."""
    selected = best_trials(read_trials(study))
    cells = [
        result_tables(selected, metric)[1].rows[0][2].split()[0]
        for metric in ("last", "best", "mean10")
    ]

    assert cells == ["65.50", "70.50", "65.50"]


def make_seeds(run_maker, folder, **accuracies_by_method):
    """Write a run for each accuracy of each method, a seed each."""
    for method, accuracies in accuracies_by_method.items():
        for seed, accuracy in enumerate(accuracies):
            run_maker(folder / f"{method}_s{seed}", [accuracy], method=method, seed=seed)


@pytest.mark.parametrize(
    ("accuracies", "bold"),
    [
        ({"mixup": [60.0], "vanilla": [50.0]}, set()),  # a seed has no interval
        ({"mixup": [60.0, 60.1], "vanilla": [50.0]}, set()),
        ({"mixup": [60.0, 61.0], "vanilla": [52.0, 53.0]}, set()),  # each mean ± 6.35
        ({"mixup": [60.0, 61.0], "vanilla": [46.0, 47.0]}, {(1, 1)}),
        ({"mixup": [46.0, 47.0], "vanilla": [60.0, 61.0]}, {(0, 1)}),
        ({"vanilla": [60.0, 61.0]}, set()),  # better than nothing
        ({"mixup": [50.0, 50.0], "vanilla": [50.0, 50.0]}, set()),
    ],
)
def test_bold_is_a_mean_whose_interval_overlaps_with_no_other(
    tmp_path, run_maker, accuracies, bold
):
    """The caption states the rule."""
    make_seeds(run_maker, tmp_path, **accuracies)
    (table,) = result_tables(best_trials(read_trials(tmp_path)), "last")

    assert table.bold == bold
    has_intervals = min(map(len, accuracies.values())) > 1 and len(accuracies) > 1
    assert ("In each column, the highest mean is bold if" in table.caption) == has_intervals
    assert "a column that has a result of a single seed" not in table.caption
    has_seeds = max(map(len, accuracies.values())) > 1
    assert ("95 % t-interval" in table.caption) == has_seeds


def test_the_caption_says_which_columns_have_no_bold_mean(tmp_path, run_maker):
    """At one level, a method has a single seed."""
    for config, level in (("blue_20", 20), ("blue_40", 40)):
        for method in ("mixup", "vanilla"):
            for seed in (0, 1) if level == 20 or method == "mixup" else (0,):
                folder = tmp_path / f"{config}_{method}_{seed}"
                run_maker(folder, [50.0], config=config, level=level, method=method, seed=seed)
    (table,) = result_tables(best_trials(read_trials(tmp_path)), "last")

    assert "No mean is bold in a column that has a result of a single seed." in table.caption


@pytest.mark.parametrize(
    ("lengths", "title"),
    [
        ([12, 30], "Mean of the last 10 epochs"),
        ([3, 3], "Mean of the last 3 epochs"),
        ([1, 1], "Mean of the only epoch"),
        ([3, 30], "Mean of the last 10 epochs, or of all in shorter runs"),
    ],
)
def test_a_mean_over_epochs_names_their_true_number(tmp_path, run_maker, lengths, title):
    """There are ten at most; runs of unlike length say theirs in the caption."""
    for method, n_epochs in zip(("mixup", "vanilla"), lengths, strict=True):
        run_maker(tmp_path / method, [50.0] * n_epochs, method=method)
    trials = read_trials(tmp_path)
    (table,) = result_tables(best_trials(trials), "mean10")
    words = (
        f"The runs differ in length: mixup was trained for {lengths[0]} epochs; vanilla for "
        f"{lengths[1]} epochs."
    )

    assert table.title == f"{title}: toy, blue"
    assert (words in table.caption) == (lengths[0] != lengths[1])
    assert title in trials_table(trials, [], "last").header
    assert [row[5] for row in trials_table(trials, [], "last").rows] == list(map(str, lengths))


def test_configs_of_unlike_length_are_named(tmp_path, run_maker):
    """Where all methods on a config were trained alike, the caption gives lengths by config."""
    for name, level, n_epochs in (("a", 20, 1), ("b", 40, 3)):
        config = f"blue_{level}"
        run_maker(tmp_path / name, [50.0] * n_epochs, config=config, level=level)
    (table,) = result_tables(best_trials(read_trials(tmp_path)), "last")

    assert (
        "The runs differ in length: those on blue_20 were trained for 1 epoch; those on blue_40 "
        "for 3 epochs."
    ) in table.caption


def test_a_method_in_stages_is_reported_by_its_last_one(tmp_path, run_maker):
    """Best, mean and drop are over its epochs, and the caption says how many there are."""
    run_maker(tmp_path / "glc", [50.0, 90.0, 40.0, 60.0], method="glc", reported_epochs=2)
    run_maker(tmp_path / "vanilla", [50.0, 90.0, 40.0, 60.0])
    trials = read_trials(tmp_path)
    cells = {
        metric: [row[1] for row in result_tables(best_trials(trials), metric)[0].rows]
        for metric in ("last", "best", "mean10")
    }
    (table,) = result_tables(best_trials(trials), "mean10")

    assert cells == {
        "last": ["60.00 (1)", "60.00 (1)"],
        "best": ["90.00 (1)", "60.00 (1)"],
        "mean10": ["60.00 (1)", "50.00 (1)"],
    }
    assert [row[9] for row in trials_table(trials, [], "last").rows] == ["0.00 (1)", "30.00 (1)"]
    assert table.title.startswith("Mean of the last 10 epochs, or of all in shorter runs")
    assert "the numbers cover only its last stage, which has 2 epochs for glc." in table.caption


def test_a_trial_that_is_not_averaged_says_so_in_its_cells(tmp_path, run_maker):
    """A seed was run twice, with different numbers."""
    for name, accuracy in (("a", 50.0), ("b", 60.0)):
        run_maker(tmp_path / name, [accuracy])
    trials = read_trials(tmp_path)
    (table,) = result_tables(trials, "last")

    assert best_trials(trials) == []
    assert table.rows == [["vanilla", "not averaged"]]
    assert trials_table(trials, [], "last").rows[0][6:10] == ["not averaged"] * 4


def test_a_planned_cell_without_a_run_says_so(tmp_path, run_maker):
    """A config, a method and a kind of noise were never begun."""
    run_maker(tmp_path / "a", [50.0])
    configs = [
        DatasetConfig("toy", "blue_40", "blue", 40),
        DatasetConfig("toy", "blue_60", "blue", 60),
        DatasetConfig("toy", "mix_a20", "mix_a20", None),
        DatasetConfig("toy", "mix_a5", "mix_a5", None),
    ]
    planned = [PlannedRun(config, method) for config in configs for method in ("mixup", "vanilla")]
    blue, mixed = result_tables(best_trials(read_trials(tmp_path)), "last", planned)

    assert blue.rows == [
        ["vanilla", "50.00 (1)", "not run", "–"],
        ["mixup", "not run", "not run", "–"],
    ]
    assert mixed.header == ["Config", "vanilla", "mixup"]
    assert mixed.rows == [["mix_a5", "not run", "not run"], ["mix_a20", "not run", "not run"]]


def test_all_trials_are_listed_with_those_that_are_selected(study):
    """There are two trials of mixup and one of vanilla on each of four configs."""
    trials = read_trials(study)
    table = trials_table(trials, best_trials(trials), "last")

    assert len(table.rows) == 12
    assert [row[4] for row in table.rows].count("yes") == 8
    assert table.bold == frozenset()
    assert table.rows[0][:4] == ["toy", "blue_00", "mixup", "alpha=1"]
    assert table.rows[0][-1] == "0.71"  # of 81 and 82


TABLE = Table(
    "A & B", ["x", "y_1"], [["a|b", "1 ± 2"]], "50 %", ["first", "second"], frozenset({(0, 1)})
)


def test_markdown():
    """Bars are escaped, notes numbered."""
    assert to_markdown(TABLE).splitlines() == [
        "## A & B",
        "",
        "50 %",
        "",
        "| x | y_1 |",
        "| --- | --- |",
        "| a\\|b | **1 ± 2** |",
        "",
        "1. first",
        "2. second",
    ]
