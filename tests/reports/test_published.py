"""Numbers of the papers beside ours."""

import json
from dataclasses import replace

import pytest

from cnlw_tools import files
from cnlw_tools.reports import runs
from cnlw_tools.reports.published import compare_with_paper, read_paper_tables
from cnlw_tools.reports.trials import best_trials, group_trials
from cnlw_tools.study.spec import FOLDER, Published, Study, read_study, study_scales

TABLES = {
    "table1": {
        "source": "a paper",
        "caption": "A table",
        "rows": [
            {
                "label": "Plain",
                "data": "A",
                "cells": {"low": {"raw": "81.0±1", "value": 81.0}, "both": {"raw": "60"}},
            },
            {
                "label": "Mixed",
                "data": "B",
                "cells": {"low": {"raw": "0.5", "value": 0.5}, "both": {"raw": "—"}},
            },
        ],
        "notes": ["elsewhere it is 80"],
    }
}


STUDY = Study("toy", (), ())


@pytest.fixture
def our_trials(study):
    """The best trials of the hand-made runs."""
    return best_trials(group_trials(runs.make_runs_table(runs.read_run_folders(study))))


def test_ours_stand_beside_with_the_difference(our_trials):
    """A cell is compared with one config or the mean of several; disagreeing sources become a note."""
    columns = {"low": "blue_00", "both": ["blue_00", "blue_40"]}
    table = compare_with_paper(
        Published("table1", columns, {"Plain": "vanilla"}), STUDY, TABLES, our_trials
    )

    assert table.rows == [
        ["Plain", "low", "81.0±1", "80.50", "−0.50"],
        ["Plain", "both", "60", "65.50", "–"],
    ]
    assert table.notes == ["elsewhere it is 80"]


def test_notes_on_rows_stand_only_below_rows_that_are_shown(our_trials):
    """Those on the table are always there; "Ours" in the name of a row is explained."""
    rows = [
        {**TABLES["table1"]["rows"][0], "label": "Ours", "notes": ["from the slides"]},
        {**TABLES["table1"]["rows"][1], "notes": ["of a row that is not shown"]},
    ]
    tables = {"table1": {**TABLES["table1"], "rows": rows}}
    entry = Published("table1", {"low": "blue_00"}, {"Ours": "vanilla"})
    table = compare_with_paper(entry, STUDY, tables, our_trials)

    assert table.notes == ["elsewhere it is 80", "from the slides"]
    assert table.caption.endswith('"Ours" means the authors of the published table.')


def test_a_cell_that_was_not_run_says_so(our_trials):
    """There is no method of ours for the row, or a config is missing."""
    columns = {"low": "blue_00", "both": ["blue_00", "blue_80"]}
    table = compare_with_paper(
        Published("table1", columns, {"Plain": "vanilla", "Mixed": ""}), STUDY, TABLES, our_trials
    )

    assert [row[3] for row in table.rows] == ["80.50", "not run", "not run", "not run"]


def test_sizes_stand_beside_what_is_built():
    """Images of a split and classes are compared; a config that is not built says so."""
    text = [
        {"Dataset": "Red", "#Class": "10", "Train Size": "5,000"},
        {"Dataset": "Blue", "#Class": "10", "Train Size": "5"},
    ]
    tables = {"sizes": {"source": "a paper", "caption": "Sizes", "rows": text, "notes": []}}
    entry = Published(
        "sizes", {"#Class": "classes", "Train Size": "train"}, {"Red": "red_00", "Blue": "blue_00"}
    )
    table = compare_with_paper(
        entry, STUDY, tables, [], {("toy", "red_00"): {"classes": 10, "train": 3800}}
    )

    assert table.rows == [
        ["Red", "#Class", "10", "10", "+0"],
        ["Red", "Train Size", "5,000", "3,800", "−1,200"],
        ["Blue", "#Class", "10", "not built", "–"],
        ["Blue", "Train Size", "5", "not built", "–"],
    ]


def test_ours_may_be_of_other_images_of_validation(study, run_maker):
    """Of ILSVRC12, for example; a run that measured nothing there counts as not run."""
    folder = run_maker(study / "blue_80" / "vanilla_s0", [50.0, 60.0], config="blue_80")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    new_lines = [
        line | {"val_ilsvrc12_top1": v} for line, v in zip(lines, (40.0, 30.0), strict=True)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in new_lines))
    our_trials = best_trials(group_trials(runs.make_runs_table(runs.read_run_folders(study))))

    words = {
        "last": "after the last epoch",
        "best": "at the best epoch",
        "mean10": "last ten epochs",
    }
    for metric, number in (("last", "30.00"), ("best", "40.00"), ("mean10", "35.00")):
        columns = {"low": "blue_80", "both": "blue_00"}
        entry = Published("table1", columns, {"Plain": "vanilla"}, metric=metric, split="ilsvrc12")
        table = compare_with_paper(entry, STUDY, TABLES, our_trials)
        assert [row[3] for row in table.rows] == [number, "not run"]
        assert f"{words[metric]}, on ilsvrc12, in percent." in table.caption


def test_shares_become_percents(our_trials):
    """The paper says 0.5, which is 50 %; ours is 88.5."""
    table = compare_with_paper(
        Published("table1", {"low": "blue_00"}, {"Mixed": "mixup"}, factor=100),
        STUDY,
        TABLES,
        our_trials,
    )

    assert table.rows == [["Mixed", "low", "0.5", "88.50", "+38.50"]]


def test_errors_are_what_is_left_of_a_hundred(our_trials):
    """Ours is 80.5 % right, so 19.5 % wrong."""
    table = compare_with_paper(
        Published("table1", {"low": "blue_00"}, {"Plain": "vanilla"}, is_error=True),
        STUDY,
        TABLES,
        our_trials,
    )

    assert table.rows == [["Plain", "low", "81.0±1", "19.50", "−61.50"]]


def test_cells_are_of_the_dataset_that_the_table_is_of(our_trials):
    """Two datasets may have configs of the same name."""
    entry = Published("table1", {"low": "blue_00"}, {"Plain": "vanilla"}, dataset="toy")
    study = Study("other", (), (), build="mine")

    assert compare_with_paper(entry, study, TABLES, our_trials).rows[0][3] == "80.50"
    assert (
        compare_with_paper(replace(entry, dataset=""), study, TABLES, our_trials).rows[0][3]
        == "not run"
    )
    assert (
        compare_with_paper(
            replace(entry, dataset=""), replace(study, build="toy"), TABLES, our_trials
        ).rows[0][3]
        == "80.50"
    )


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            Published("tabel1", {}, {}),
            "unknown table of published.json 'tabel1'. Did you mean 'table1'",
        ),
        (
            Published("table1", {"low": "a"}, {"Plane": "b"}),
            "unknown row of table1 'Plane'. Did you mean 'Plain'",
        ),
        (Published("table1", {"hi": "a"}, {"Plain": "b"}), "unknown column of table1 'hi'"),
        (
            Published("table1", {"low": "a"}, {"Plain": "b"}, match={"data": "B"}),
            "unknown row of table1 'Plain'",
        ),
    ],
)
def test_what_is_not_in_the_table_is_an_error(our_trials, entry, message):
    """The message names the table, row or column that was probably meant."""
    with pytest.raises(LookupError, match=message):
        compare_with_paper(entry, STUDY, TABLES, our_trials)


def test_the_tables_of_the_papers_come_with_the_package():
    """Every table names its source."""
    paper_tables = read_paper_tables(files.default_root())

    assert paper_tables["jiang_table2"]["rows"][0]["cells"]["mini/scratch/red"]["value"] == 64.9
    assert all(table["source"] and table["rows"] is not None for table in paper_tables.values())


@pytest.mark.parametrize(
    "path", sorted((files.default_root() / FOLDER).glob("*.toml")), ids=lambda path: path.stem
)
def test_studies_of_the_package_name_rows_and_columns_that_there_are(path):
    """This holds at every scale of a study."""
    for scale in study_scales(path) or [""]:
        study = read_study(path, scale)
        for entry in study.published:
            text = "not run" if study.methods else "not built"
            assert {
                row[3]
                for row in compare_with_paper(
                    entry, study, read_paper_tables(files.default_root()), []
                ).rows
            } == {text}
