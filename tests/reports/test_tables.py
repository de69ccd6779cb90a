"""Tables of text."""

from cnlw_tools.reports import runs
from cnlw_tools.reports.statistics import mean_interval
from cnlw_tools.reports.tables import (
    Table,
    format_mean_interval,
    result_tables,
    to_latex,
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
    """Each kind of noise has a table, in which the highest cell of each column is bold."""
    blue, red = result_tables(best_trials(read_trials(study)), "last")

    assert blue.title == "Last epoch: toy, blue"
    assert blue.header == red.header == ["Method", "0 %", "40 %", "Mean"]
    assert [row[0] for row in blue.rows] == ["mixup", "vanilla"]
    assert blue.rows[1][1:3] == ["80.50 ± 6.35 (2)", "50.50 ± 6.35 (2)"]
    assert blue.rows[1][3].startswith("65.5 ± ")
    assert blue.bold == {(0, 1), (0, 2)}


def test_last_best_and_mean_of_ten_are_kept_apart(study):
    """Vanilla on red 40 has 70.5 - 5 = 65.5, 70.5, and (60.5 + 70.5 + 65.5) / 3 = 65.5."""
    selected = best_trials(read_trials(study))
    cells = [
        result_tables(selected, metric)[1].rows[1][2].split()[0]
        for metric in ("last", "best", "mean10")
    ]

    assert cells == ["65.50", "70.50", "65.50"]


def test_equals_are_all_marked(tmp_path, run_maker):
    """Two methods of the same accuracy are both bold."""
    for method in ("mixup", "vanilla"):
        run_maker(tmp_path / method, [50.0], method=method)

    assert result_tables(best_trials(read_trials(tmp_path)), "last")[0].bold == {(0, 1), (1, 1)}


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
        ["mixup", "not run", "not run", "–"],
        ["vanilla", "50.00 (1)", "not run", "–"],
    ]
    assert mixed.header == ["Config", "mixup", "vanilla"]
    assert mixed.rows == [["mix_a5", "not run", "not run"], ["mix_a20", "not run", "not run"]]


def test_all_trials_are_listed_and_the_selected_ones_are_bold(study):
    """There are two trials of mixup and one of vanilla on each of four configs."""
    trials = read_trials(study)
    table = trials_table(trials, best_trials(trials), "last")

    assert len(table.rows) == 12
    assert len(table.bold) == 8
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


def test_latex():
    """Special characters are escaped; text is aligned left, numbers right."""
    lines = to_latex(TABLE).splitlines()

    assert "\\caption{A \\& B. 50 \\%}" in lines
    assert "\\begin{tabular}{lr}" in lines
    assert "x & y\\_1 \\\\" in lines
    assert "a|b & \\textbf{1 $\\pm$ 2} \\\\" in lines
