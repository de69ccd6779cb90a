"""`croissant.json` says what a build holds, and mlcroissant reads it."""

import json
import sys
from dataclasses import replace

import pytest

from cnlw_tools.card.about import About
from cnlw_tools.card.file_list import CROISSANT
from cnlw_tools.card.metadata import CARD, read_block, read_card, read_text
from cnlw_tools.checks import CHECKS, collect_evidence
from cnlw_tools.checks.finding import Finding
from cnlw_tools.files.yaml_text import dump_yaml
from tests.checks.conftest import run_checks
from tests.checks.test_faults import change, errors, recorded_anew, shard


def findings(folder, name):
    """Return what one check finds."""
    return [finding for _, finding in run_checks(collect_evidence(folder), [name])]


def why_skipped(folder):
    """Return why mlcroissant does not read a build; None if it does."""
    (check,) = (check for check in CHECKS if check.name == "records")
    return check.reason_to_skip(collect_evidence(folder))


def edit(folder, change):
    """Change the content of the file."""
    path = folder / CROISSANT
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def drop_split(content):
    content["recordSet"].pop()


def change_table(content):
    content["distribution"][0]["sha256"] = "0" * 64


def add_file(content):
    file = {"@type": "cr:FileObject", "@id": "x", "contentUrl": "https://example.org/x"}
    content["distribution"].append(file | {"encodingFormat": "text/csv", "sha256": "0" * 64})


def drop_limits(content):
    del content["rai:dataLimitations"]


def change_licence(content):
    content["license"] = "https://spdx.org/licenses/MIT.html"
    content["citeAs"] = "nobody"


@pytest.mark.parametrize(
    ("fault", "keys"),
    [
        (drop_split, "recordSet"),
        (change_table, "distribution"),
        (add_file, "distribution"),
        (drop_limits, "rai:dataLimitations"),
        (change_licence, "citeAs"),
    ],
)
def test_a_changed_file_is_an_error(copy, fault, keys):
    """The error names the keys, and mlcroissant does not go where a changed file leads."""
    edit(copy, fault)
    (found, *notes) = findings(copy, "croissant")

    assert found.severity == "error"
    assert found.message == f"not what the build gives: {keys}"
    assert all(finding.severity == "note" for finding in notes)
    assert why_skipped(copy) == "croissant.json is not what the build gives"


def test_a_key_of_the_users_is_a_note(copy):
    """An address that somebody adds, as a checker may ask for, is kept and read by people."""
    edit(copy, lambda content: content.update(url="https://example.org/shapes"))

    assert findings(copy, "croissant") == [
        Finding(
            "note",
            "keys that `cnlw build` did not write, so nothing proves them: url",
            CROISSANT,
            1,
            "read them; what you wrote yourself may stay",
        )
    ]


def test_a_build_of_an_earlier_version(copy):
    """Its card has the hashes: it has no errors, and a note says how to get the new file."""
    card = read_card(copy)
    block, text = read_block(copy), read_text(copy)
    del block["cnlw"]["about"], block["dataset_info"]
    block["cnlw"]["shards"] = card.shards
    (copy / CARD).write_text(f"---\n{dump_yaml(block)}---\n{text}")
    (copy / CROISSANT).unlink()
    (found,) = findings(copy, "croissant")

    assert read_card(copy) == replace(card, about=About())
    assert errors(copy) == set()
    assert (found.severity, found.message) == (
        "note",
        "an earlier version made this build, without croissant.json",
    )
    assert "run the same `cnlw build` again" in found.fix
    assert why_skipped(copy) == found.message


def test_without_mlcroissant(copy, monkeypatch):
    """Nothing is read, the check says so, and how to install what is missing."""
    monkeypatch.setitem(sys.modules, "mlcroissant", None)
    reason = why_skipped(copy)

    assert reason.startswith("mlcroissant is not installed, so nothing was read: pip install")
    assert reason.endswith("[croissant]'")


def test_the_records_of_a_sound_build(copy):
    """mlcroissant reads the first row of every split, with its picture."""
    assert why_skipped(copy) is None
    assert findings(copy, "records") == []


def test_a_picture_that_cannot_be_read(copy):
    """The error names config and split, whatever the recorded hashes say."""
    path = shard(copy, "red_40", noisy=False, split="validation")
    change(path, lambda row: row.update(image={"bytes": b"x", "path": None}))
    recorded_anew(copy)
    found = findings(copy, "records")

    assert {finding.location for finding in found} == {"red_20", "red_40", "blue_40"}
    assert all(f.message.startswith("validation: mlcroissant: ") for f in found)
