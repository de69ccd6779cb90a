"""What stands at the top of a report."""

import os

from cnlw_tools.reports import runs
from cnlw_tools.reports.study_file import StudyRecord
from cnlw_tools.reports.summary import describe_report, newest_date, report_title
from cnlw_tools.reports.trials import best_trials, group_trials


def test_a_report_is_called_after_the_study_or_the_folder(tmp_path, run_maker):
    """With its methods and datasets, or how many these are."""
    folder = tmp_path / "my_runs"
    for method in ("mixup", "vanilla"):
        run_maker(folder / method, [50.0], method=method)
    trials = best_trials(group_trials(runs.make_runs_table(runs.read_run_folders(folder))))

    assert report_title(folder, StudyRecord(), trials) == "my_runs: mixup and vanilla on toy"
    study = StudyRecord("jiang", "small")
    assert report_title(folder, study, trials[:1]) == "jiang, scale small: mixup on toy"
    assert report_title(folder, study, []) == "jiang, scale small"
    for method in ("gce", "rog"):
        run_maker(folder / method, [50.0], method=method)
    trials = best_trials(group_trials(runs.make_runs_table(runs.read_run_folders(folder))))
    assert report_title(folder, StudyRecord(), trials) == "my_runs: 4 methods on toy"


def test_the_date_is_that_of_the_newest_run(tmp_path, run_maker):
    """In UTC, by the file of its epochs, so that it is the same on the next day."""
    for name, seconds in (("a", 86_400 * 365), ("b", 86_400 * 400 + 86_399)):
        folder = run_maker(tmp_path / name, [50.0], seed=int(name == "b"))
        os.utime(folder / "metrics.jsonl", (seconds, seconds))
    folders = runs.read_run_folders(tmp_path)

    assert newest_date(folders) == "1971-02-05"
    assert describe_report(folders, StudyRecord(), []) == (
        "This report covers 2 finished runs. The newest run is from 1971-02-05."
    )
    assert newest_date([]) == ""


def test_the_number_of_planned_runs_is_said_if_it_is_not_that_of_the_report(
    tmp_path, run_maker, spec_maker
):
    """A study whose runs have all finished, and one of which a run is missing."""
    specs = [spec_maker("blue_40", "vanilla"), spec_maker("blue_40", "mixup")]
    for spec in specs:
        run_maker(tmp_path / spec.name, [50.0], method=spec.method)
    folders = runs.read_run_folders(tmp_path)
    text = describe_report(folders, StudyRecord("toy", run_specs=specs), [])
    fewer = describe_report(folders[:1], StudyRecord("toy", run_specs=specs), [])

    assert text.startswith("This report covers 2 finished runs of the study toy. Not run: ")
    assert fewer.startswith(
        "This report covers 1 finished run of the study toy. The study plans 2 runs."
    )
