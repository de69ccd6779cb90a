"""The order of methods."""

from cnlw_tools.reports import runs
from cnlw_tools.reports.method_order import method_sort_key, sort_trials
from cnlw_tools.reports.study_file import StudyRecord
from cnlw_tools.reports.tables import result_tables, trials_table
from cnlw_tools.reports.trials import best_trials, group_trials
from cnlw_tools.study.spec import MethodEntry, Study


def test_methods_stand_as_the_study_lists_them_then_vanilla_then_by_name():
    """Numbers in names sort by their size, and variants of a method stand together."""
    names = [("net2", "net2"), ("gce", "gce"), ("net10", "net10"), ("vanilla", "vanilla")]
    names += [("mixup", "mixup alpha=8"), ("mixup", "mixup alpha=1")]

    def order(study_methods):
        keys = {pair: method_sort_key(*pair, study_methods) for pair in names}
        return [variant for _, variant in sorted(names, key=keys.get)]

    mixups = ["mixup alpha=1", "mixup alpha=8"]
    assert order([]) == ["vanilla", "gce", *mixups, "net2", "net10"]
    assert order(["net10", "mixup"]) == ["net10", *mixups, "vanilla", "gce", "net2"]


def test_tables_have_the_order_of_the_study(tmp_path, run_maker):
    """A label counts as the name; without a study vanilla comes first."""
    methods = ("vanilla", "gce", "mixup", "bootstrap")
    for method in methods:
        run_maker(tmp_path / method, [50.0], method=method)
    entries = tuple(MethodEntry("x", label=name) for name in ("mixup", "vanilla", "mixup"))
    record = StudyRecord(study=Study("toy", (), (*entries, MethodEntry("gce"))))
    table = runs.make_runs_table(runs.read_run_folders(tmp_path))
    order = record.method_names()
    trials = sort_trials(group_trials(table), order)
    (results,) = result_tables(best_trials(trials), "last", study_methods=order)

    assert order == ["mixup", "vanilla", "gce"]
    assert [row[0] for row in results.rows] == [*order, "bootstrap"]
    assert [row[2] for row in trials_table(trials, [], "last").rows] == [*order, "bootstrap"]
    unordered = sort_trials(group_trials(table))
    assert [trial.method for trial in unordered] == ["vanilla", "bootstrap", "gce", "mixup"]
