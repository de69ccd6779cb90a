"""Runs of a study that failed are said to have failed, with the reason."""

import json
from dataclasses import replace

import pytest

from cnlw_tools import files
from cnlw_tools.reports.study_file import dataset_config, read_study_record
from cnlw_tools.reports.tables import result_tables
from cnlw_tools.reports.trials import PlannedRun
from cnlw_tools.study.expand import expand_study
from cnlw_tools.study.spec import parse_study
from cnlw_tools.study.study_file import StudyFile, write_failure, write_study_file

STUDY = {
    "dataset": "shapes",
    "seeds": [0, 1],
    "configs": [{"noise": "blue", "levels": [20, 40]}],
    "methods": [{"name": "vanilla"}, {"name": "l2r"}],
}


@pytest.fixture
def folder(tmp_path):
    """A study of which two runs failed, one with a result from before, and two are not run."""
    study = parse_study(STUDY, "test")
    runs = tuple(expand_study(study, files.default_root()))
    write_study_file(tmp_path, StudyFile("toy", "", study, runs, "builds", ("cnlw",)))
    for name in ("blue_20/l2r_s0", "blue_20/l2r_s1", "blue_40/vanilla_s0"):
        write_failure(tmp_path / name, "L2R needs a trusted set")
    (tmp_path / "blue_40/vanilla_s0/result.json").write_text(json.dumps({"epochs": 1}))
    return tmp_path


def test_a_failed_cell_says_so_and_the_reason_stands_beside(folder):
    """One sentence a reason; what failed is not called not run."""
    record = read_study_record(folder)
    (table,) = result_tables(
        [], "last", record.planned_runs(), ["vanilla", "l2r"], record.failed_runs()
    )

    assert [row[:3] for row in table.rows] == [
        ["vanilla", "not run", "not run"],
        ["l2r", "failed", "not run"],
    ]
    assert record.describe_failures() == [
        "blue_20/l2r_s0, blue_20/l2r_s1 failed: L2R needs a trusted set"
    ]
    assert record.describe_missing([]) == (
        "Not run: blue_20 vanilla, blue_40 l2r, blue_40 vanilla."
    )


def test_a_damaged_note_of_a_failure_does_not_end_the_report(folder):
    """What is wrong with it stands in its place."""
    (folder / "blue_20/l2r_s0/failure.json").write_text("{")
    failures = read_study_record(folder).failures

    assert failures["blue_20/l2r_s1"] == "L2R needs a trusted set"
    assert "failure.json" in failures["blue_20/l2r_s0"]


def test_without_failures_nothing_is_said(folder):
    """As of a study whose runs are done."""
    record = replace(read_study_record(folder), failures={})

    assert record.failed_runs() == set()
    assert record.describe_failures() == []
    spec = record.run_specs[0]
    assert PlannedRun(dataset_config(spec), spec.method) in record.planned_runs()
