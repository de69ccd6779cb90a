"""One cause is one error: what follows from it stands below it, and nothing is lost."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cnlw_tools.card import metadata
from cnlw_tools.checks import CHECKS, CheckResult, collect_evidence, validate
from cnlw_tools.checks.causes import CAUSES, fold_consequences
from cnlw_tools.checks.finding import error, note
from cnlw_tools.cli import main
from tests.checks import test_faults
from tests.checks.conftest import SLOW_CHECKS
from tests.checks.test_faults import FAULTS, change, recorded_anew, shard

Total = set[tuple[str, str, str]]  # check, location, message


def unfolded(folder: Path) -> list[CheckResult]:
    """Return the results of all checks but slow ones, as they come."""
    evidence = collect_evidence(folder)
    results = []
    for check in CHECKS:
        reason = check.reason_to_skip(evidence) or ("slow" if check.name in SLOW_CHECKS else None)
        findings = [] if reason else list(check.run(evidence))
        results.append(CheckResult(check.name, check.claim, reason, findings))
    return results


def folded(folder: Path) -> list[CheckResult]:
    return fold_consequences(unfolded(folder), metadata.read_card(folder))


def own_errors(results: list[CheckResult]) -> list[tuple[str, str]]:
    """Return check and location of each error that follows from no other."""
    errors = []
    for result in results:
        for finding in result.findings:
            if finding.severity == "error":
                errors.append((result.name, finding.location))
    return errors


def all_errors(results: list[CheckResult]) -> Total:
    """Return all errors, those that follow from others too."""
    errors = set()
    for result in results:
        for finding in result.findings:
            if finding.severity == "error":
                errors.add((result.name, finding.location, finding.message))
            for effect in finding.consequences:
                errors.add((effect.check, effect.location, effect.message))
    return errors


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def turn_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path)[:0], path)


def other_label(path: Path) -> None:
    change(path, lambda row: row.update(label=(row["label"] + 1) % 10))


def no_image(path: Path) -> None:
    change(path, lambda row: row.update(image={"bytes": b"nothing", "path": None}))


@pytest.mark.parametrize(
    "damage", [Path.unlink, cut_off, turn_a_bit, empty, no_rows, other_label, no_image]
)
def test_one_damaged_shard_is_one_error(copy: Path, damage: Callable[[Path], None]) -> None:
    """However it is damaged, and whichever configs share it: the file is named, and nothing else."""
    path = shard(copy, "red_40", False)
    damage(path)
    before = unfolded(copy)
    results = fold_consequences(before, metadata.read_card(copy))

    assert own_errors(results) == [("hashes", f"data/{path.name}")]
    (finding,) = results[0].findings
    assert "noise model" not in finding.message + finding.fix
    assert all_errors(results) == all_errors(before)


def test_two_damaged_shards_are_two_errors(copy: Path) -> None:
    """Each has its own consequences, and none stands below both."""
    paths = {shard(copy, "red_40", True), shard(copy, "blue_40", True)}
    assert len(paths) == 2
    for path in paths:
        cut_off(path)
    results = folded(copy)
    findings = results[0].findings
    effects = [{(e.check, e.location) for e in finding.consequences} for finding in findings]

    assert {location for _, location in own_errors(results)} == {f"data/{p.name}" for p in paths}
    assert ("rows", "red_40") in effects[0] | effects[1]
    assert ("rows", "blue_40") in effects[0] | effects[1]


@pytest.mark.parametrize("table", ["base", "votes", "web"])
def test_a_damaged_table_is_one_error(copy: Path, table: str) -> None:
    """Nothing else can be said of the rows before the tables are read."""
    (copy / "tables" / f"{table}.parquet").write_bytes(b"nothing")

    assert own_errors(folded(copy)) == [("tables", "tables/")]


def test_changed_votes_are_one_error(copy: Path) -> None:
    """Plans, rows and verdicts that differ follow from the table whose digest is another."""
    test_faults.votes_changed(copy)

    assert own_errors(folded(copy)) == [("tables", "tables/votes")]


def test_a_row_that_somebody_changed_is_one_error(copy: Path) -> None:
    """Though all hashes were made to match, and several configs share the row."""
    path = shard(copy, "red_20", True)
    change(path, lambda row: row.update(is_noisy=False))
    recorded_anew(copy)

    assert [place for _, place in own_errors(folded(copy))] == [f"data/{path.name}"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_no_error_is_lost_and_none_invented(copy: Path, fault: Callable[[Path], None]) -> None:
    """Folding moves errors; it takes none away, and an error is never below itself."""
    fault(copy)
    before = unfolded(copy)
    after = fold_consequences(before, metadata.read_card(copy))

    assert all_errors(before) == all_errors(after)
    assert own_errors(after)
    n_effects = sum(len(f.consequences) for result in after for f in result.findings)
    assert len(own_errors(before)) == len(own_errors(after)) + n_effects


def test_causes_come_before_what_they_cause() -> None:
    """So that the cause of an error is never an error that has a cause itself."""
    checks = list(CAUSES)
    for i, check in enumerate(checks):
        assert not (CAUSES[check] - {check}) & {*checks[:i]}
    assert {*CAUSES}.union(*CAUSES.values()) <= {check.name for check in CHECKS}


def test_errors_of_other_places_are_no_consequences(whole: Path) -> None:
    """A config that does not use the damaged file has errors of its own; notes stay where they are."""
    card = metadata.read_card(whole)
    file = f"{card.configs['red_40'].segments['train'][0]}-00000-of-00001.parquet"
    other = next(name for name, config in card.configs.items() if name == "blue_40")
    uses = any(file.startswith(segment) for segment in card.configs[other].segments["train"])
    assert not uses
    results = [
        CheckResult("hashes", "", None, [error("c", f"data/{file}"), note("d", f"data/{file}")]),
        CheckResult("rows", "", None, [error("a", "red_40"), error("b", other)]),
    ]
    hashes, rows = fold_consequences(results, card)

    assert [(f.message, f.severity) for f in hashes.findings] == [("c", "error"), ("d", "note")]
    assert [effect.message for effect in hashes.findings[0].consequences] == ["a"]
    assert [finding.message for finding in rows.findings] == ["b"]
    assert rows.causes == (f"data/{file}",)


@pytest.mark.usefixtures("reads_back_here")
def test_the_command_counts_causes_and_lists_what_follows(copy: Path) -> None:
    """As text and as JSON; the cause comes first."""
    path = shard(copy, "red_20", True)
    cut_off(path)
    text = CliRunner().invoke(main, ["validate", str(copy), "--workers", "1"])
    as_json = CliRunner().invoke(main, ["validate", str(copy), "--workers", "1", "--json"])
    content = json.loads(as_json.stdout)
    effects = content["findings"][0]["consequences"]
    lines = text.output.splitlines()

    assert (text.exit_code, as_json.exit_code) == (1, 1)
    assert lines[0].split()[:2] == ["ERROR", "hashes"]
    assert path.name in lines[1]
    assert (
        f"{len(effects)} errors of other checks follow from it: counts (red_20, red_40)" in lines[2]
    )
    assert f": 1 error with {len(effects)} consequences, " in lines[-1]
    assert "noise model" not in text.output
    assert [line for line in lines if line.startswith("ERROR")] == [lines[0]]
    assert content["errors"] == 1
    assert {"check", "message", "location", "count"} == set(effects[0])
    assert "roundtrip" in {effect["check"] for effect in effects}


@pytest.mark.usefixtures("reads_back_here")
def test_nothing_is_trained_on_a_build_with_errors(copy: Path) -> None:
    """`--end-to-end` says why it did not, and the errors are printed all the same."""
    shard(copy, "red_40", True).unlink()
    result = CliRunner().invoke(main, ["validate", str(copy), "--workers", "1", "--end-to-end"])

    assert result.exit_code == 1
    assert "does not apply: the build has errors" in result.output
    assert "the file is missing" in result.output


@pytest.mark.usefixtures("reads_back_here")
def test_a_sound_build_has_nothing_to_fold(whole: Path) -> None:
    """Results come in the order of the checks."""
    results = validate(collect_evidence(whole))

    assert [result.name for result in results] == [check.name for check in CHECKS]
