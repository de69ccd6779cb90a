"""``cnlw validate``: prove a build from the build alone."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import CACHE, DONOR, STORE, WORKERS, read_inputs

if TYPE_CHECKING:
    from cnlw_tools.checks import CheckResult

MARK = {"error": "ERROR", "note": "note", "ok": "ok", "skip": "-"}
COLOUR = {"error": "red", "note": "yellow", "ok": "green", "skip": "bright_black"}
WIDTH = 15  # letters of the longest name of a check
MOST_SHOWN = 10  # findings of a check


class NoBuild(click.ClickException):
    """There is no build to check: neither right nor wrong."""

    exit_code = 2


@click.command(short_help="Check that a build is what it says.")
@click.argument("build", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--end-to-end",
    is_flag=True,
    help="Also train on every config, briefly, and check the results.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of your copy of the images, to compare the build with.",
)
@DONOR
@STORE
@CACHE
@WORKERS
def validate(
    build: Path | None,
    as_json: bool,
    end_to_end: bool,
    data_dir: Path | None,
    donors: tuple[str, ...],
    store: Path | None,
    cache: Path | None,
    workers: int | None,
) -> None:
    """Prove that a build is what it says. BUILD: by default the last one below builds/.

    Exit code: 0: no errors, notes at most. 1: errors, or this machine cannot read the build. 2: no
    build to check.
    """
    from cnlw_tools.builds.build import last_build
    from cnlw_tools.checks import collect_evidence
    from cnlw_tools.checks import validate as run_checks
    from cnlw_tools.executor import EXECUTORS
    from cnlw_tools.executor.progress import ProgressBars

    inputs = read_inputs(None, data_dir, donors, store)
    with EXECUTORS["local"](workers) as executor, ProgressBars() as bars:
        try:
            folder = build or last_build(Path("builds"))
            evidence = collect_evidence(folder, inputs, executor, bars)
        except (ValueError, FileNotFoundError) as error:
            raise NoBuild(str(error)) from error
        results = list(run_checks(evidence, bars))
        if end_to_end:
            from cnlw_tools.checks.learnability import check_learnability

            results += check_learnability(folder, executor, bars, cache)
    severities = [finding.severity for result in results for finding in result.findings]
    n_errors = severities.count("error")
    if as_json:
        click.echo(json.dumps(_to_json(folder, results, n_errors), indent=1))
    else:
        for result in results:
            _print_result(result)
        n_notes = len(severities) - n_errors
        click.echo(f"{folder}: {n_errors} errors, {n_notes} notes, {len(results)} checks")
    raise SystemExit(1 if n_errors else 0)


def _to_json(folder: Path, results: Sequence["CheckResult"], n_errors: int) -> dict[str, object]:
    """Return what --json prints."""
    checks = []
    findings = []
    for result in results:
        checks.append(
            {"name": result.name, "claim": result.claim, "does_not_apply": result.skipped}
        )
        for finding in result.findings:
            findings.append({"check": result.name, **asdict(finding)})
    return {
        "build": str(folder),
        "ok": n_errors == 0,
        "errors": n_errors,
        "checks": checks,
        "findings": findings,
    }


def _print_result(result: "CheckResult") -> None:
    """Print a line for a check, and one for each of its first findings."""
    severities = [finding.severity for finding in result.findings]
    worst = "skip" if result.skipped else min(severities, default="ok")  # error < note
    mark = click.style(f"{MARK[worst]:6}", fg=COLOUR[worst])
    reason = f" (does not apply: {result.skipped})" if result.skipped else ""
    click.echo(f"{mark} {result.name:{WIDTH}} {result.claim}{reason}")
    for finding in result.findings[:MOST_SHOWN]:
        click.echo(f"       {finding.location}: {finding.message} [{finding.count}]; {finding.fix}")
    n_hidden = len(result.findings) - MOST_SHOWN
    if n_hidden > 0:
        click.echo(f"       and {n_hidden} more findings; --json shows all")
