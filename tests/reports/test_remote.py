"""A report of runs at an address, and a report that is written to one."""

import pytest
from click.testing import CliRunner

import cnlw_tools as cnlw
from cnlw_tools.cli import main
from cnlw_tools.files.folders import list_names
from cnlw_tools.reports.remote import copy_runs

ADDRESS = "memory://bucket/runs"


@pytest.fixture
def at_address(memory, study):
    """Put the runs of a study at an address, with files that no report shows."""
    for name in list_names(study):
        memory.pipe_file(f"/bucket/runs/{name}", (study / name).read_bytes())
    run = next(name.rpartition("/")[0] for name in list_names(study) if "config.json" in name)
    for name in ("checkpoint.pt", "best.pt", "tensorboard/events.out.tfevents.1", "thesis.pdf"):
        memory.pipe_file(f"/bucket/runs/{run}/{name}", b"large")
    return ADDRESS


def text_of(memory, name):
    return memory.cat_file(f"/bucket/{name}").decode()


def test_what_no_report_shows_is_not_copied(at_address, study):
    """Weights, curves of TensorBoard, and what is of no run."""
    assert list_names(study) == list_names(copy_runs(at_address))


def test_a_report_of_an_address_is_written_there(at_address, memory, study):
    """Beside the runs, as the default is for a folder; it is that of the same runs in a folder."""
    result = CliRunner().invoke(main, ["report", at_address])

    assert 0 == result.exit_code, result.output
    assert f"{ADDRESS}/report/index.html" == result.stdout.strip()
    cnlw.report(study)
    local = study / "report"
    there = {
        name.removeprefix("/bucket/runs/report/") for name in memory.find("/bucket/runs/report")
    }
    assert set(list_names(local)) == there
    assert (local / "tables.md").read_text() == text_of(memory, "runs/report/tables.md")
    assert memory.created("/bucket/runs/report/index.html") == max(
        memory.created(f"/bucket/runs/report/{name}") for name in there
    )


def test_a_second_report_does_not_show_the_first(at_address, tmp_path):
    """Its files are of no run. The second one is written where `out` says."""
    first = cnlw.report(at_address)
    second = cnlw.report(at_address, tmp_path / "here")

    assert first.notes == second.notes
    assert f"{ADDRESS}/report/index.html" == first.page
    assert tmp_path / "here" / "index.html" == second.page
    assert second.page.is_file()


def test_no_runs_at_an_address(memory):
    """One line that names it, and nothing is written there."""
    result = CliRunner().invoke(main, ["report", "memory://bucket/none"])

    assert 1 == result.exit_code
    assert (
        "Error: memory://bucket/none: there is nothing at this address: check it" in result.stderr
    )
    memory.pipe_file("/bucket/none/x", b"x")
    result = CliRunner().invoke(main, ["report", "memory://bucket/none"])
    assert "Error: memory://bucket/none: there is no run here" in result.stderr
    assert ["/bucket/none/x"] == memory.find("/bucket/none")
