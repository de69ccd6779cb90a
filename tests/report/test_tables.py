"""Tables of words."""

from cnlw_tools.report import runs
from cnlw_tools.report.statistics import spread
from cnlw_tools.report.tables import Sheet, every_trial, latex, markdown, number, results
from cnlw_tools.report.trials import DatasetConfig, PlannedRun, best, trials


def found(folder):
    """All trials of a folder."""
    return trials(runs.table(runs.load(folder)))


def test_a_number_has_its_interval_and_how_many_it_is_of():
    """None of one."""
    assert number(spread([1.0, 3.0])) == "2.00 ± 12.71 (2)"
    assert number(spread([2.0])) == "2.00 (1)"
    assert number(None) == "–"


def test_results_are_methods_by_level(study):
    """A table a kind of noise, the highest of each column marked."""
    blue, red = results(best(found(study)), "last")

    assert blue.title == "Last epoch: toy, blue"
    assert blue.head == red.head == ["Method", "0 %", "40 %", "Mean"]
    assert [row[0] for row in blue.rows] == ["mixup", "vanilla"]
    assert blue.rows[1][1:3] == ["80.50 ± 6.35 (2)", "50.50 ± 6.35 (2)"]
    assert blue.rows[1][3].startswith("65.5 ± ")
    assert blue.strong == {(0, 1), (0, 2)}


def test_last_best_and_mean_of_ten_are_kept_apart(study):
    """Of vanilla on red 40: 70.5 less 5; 70.5; (60.5 + 70.5 + 65.5) / 3."""
    chosen = best(found(study))
    cells = [
        results(chosen, metric)[1].rows[1][2].split()[0] for metric in ("last", "best", "mean10")
    ]

    assert cells == ["65.50", "70.50", "65.50"]


def test_equals_are_all_marked(tmp_path, run_maker):
    """Two methods of one accuracy."""
    for method in ("mixup", "vanilla"):
        run_maker(tmp_path / method, [50.0], method=method)

    assert results(best(found(tmp_path)), "last")[0].strong == {(0, 1), (1, 1)}


def test_a_planned_cell_without_a_run_says_so(tmp_path, run_maker):
    """A config, a method, and a kind of noise that were never begun."""
    run_maker(tmp_path / "a", [50.0])
    configs = [
        DatasetConfig("toy", "blue_40", "blue", 40),
        DatasetConfig("toy", "blue_60", "blue", 60),
        DatasetConfig("toy", "mix_a20", "mix_a20", None),
        DatasetConfig("toy", "mix_a5", "mix_a5", None),
    ]
    planned = [PlannedRun(config, method) for config in configs for method in ("mixup", "vanilla")]
    blue, mixed = results(best(found(tmp_path)), "last", planned)

    assert blue.rows == [
        ["mixup", "not run", "not run", "–"],
        ["vanilla", "50.00 (1)", "not run", "–"],
    ]
    assert mixed.head == ["Config", "mixup", "vanilla"]
    assert mixed.rows == [["mix_a5", "not run", "not run"], ["mix_a20", "not run", "not run"]]


def test_every_trial_is_there_and_the_chosen_ones_are_strong(study):
    """Two of mixup, one of vanilla, on four configs."""
    every = found(study)
    sheet = every_trial(every, best(every), "last")

    assert len(sheet.rows) == 12
    assert len(sheet.strong) == 8
    assert sheet.rows[0][:4] == ["toy", "blue_00", "mixup", "alpha=1"]
    assert sheet.rows[0][-1] == "0.71"  # of 81 and 82


SHEET = Sheet(
    "A & B", ["x", "y_1"], [["a|b", "1 ± 2"]], "50 %", ["first", "second"], frozenset({(0, 1)})
)


def test_markdown():
    """Bars are escaped, notes numbered."""
    assert markdown(SHEET).splitlines() == [
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
    """Signs of its own are escaped, words to the left, numbers to the right."""
    lines = latex(SHEET).splitlines()

    assert "\\caption{A \\& B. 50 \\%}" in lines
    assert "\\begin{tabular}{lr}" in lines
    assert "x & y\\_1 \\\\" in lines
    assert "a|b & \\textbf{1 $\\pm$ 2} \\\\" in lines
